"""The codes of errors and findings with what they mean and what to do, as the page about exit codes has them.

They lie in the package as a page of their own (`codes.md`), so that they are there without a network and without the
documentation; it is read when one is asked for.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ops.model.findings import Finding, Severity

_PAGE: Final = Path(__file__).with_name("codes.md")
_ROW: Final = re.compile(r"\| `([a-z]+\.[a-z_]+)` \| (.+) \|")
_BETWEEN: Final = " | "
_NOTHING: Final = "-"
_OF_ERRORS: Final = 2
"""Columns behind the code in the table of errors; that of findings has the severity as well."""


@dataclass(frozen=True, slots=True)
class Code:
    """One code: how serious it is, what it means, and what to do (empty where it is always fine)."""

    code: str
    severity: str
    meaning: str
    move: str


@functools.cache
def codes() -> Mapping[str, Code]:
    """Return all codes, in the order of the page."""
    found = {}
    for line in _PAGE.read_text(encoding="utf-8").splitlines():
        if row := _ROW.fullmatch(line):
            cells = row[2].split(_BETWEEN)
            severity = "error" if len(cells) == _OF_ERRORS else cells[0]
            move = "" if cells[-1] == _NOTHING else cells[-1]
            found[row[1]] = Code(row[1], severity, cells[-2], move)
    return found


def usual_move(code: str) -> str:
    """Return what to do after an error or finding of this code; empty where the page does not know it."""
    known = codes().get(code)
    return known.move if known else ""


def move_of(finding: Finding, source: str = "") -> str:
    """Return the next move of a finding: its own, else the usual one of its code; empty where it is fine, or known.

    `source`: what stands for the source's name, where it is known.
    """
    if finding.severity is Severity.OK or finding.known:
        return ""
    move = finding.hint or usual_move(finding.code)
    return (
        move.replace("source NAME", f"source {source}").replace("source.NAME.", f"source.{source}.")
        if source
        else move
    )
