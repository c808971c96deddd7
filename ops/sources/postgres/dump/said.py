"""What the programs and the server say beside their results, as findings: a dump that ends with 0 may lack something.

Lines of detail and hints belong to the line before them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from ops.model.findings import Finding, Severity

_CONTINUED: Final = re.compile(
    r"^\S+: (?:detail|hint): |^(?:DETAIL|HINT|CONTEXT):|^\S+:\s{2,}", re.IGNORECASE
)
_DAMAGE: Final = re.compile(
    r"zeroing out page|invalid page|page verification failed|could not read block|missing chunk|unexpected chunk"
    r"|compressed .* is corrupt|invalid memory alloc|ignoring checksum failure|corrupt",
    re.IGNORECASE,
)
# A restore of ours loads rows before there are keys, in whatever order.
_HARMLESS: Final = re.compile(r"circular foreign-key constraints")


def findings_of(program: str, lines: Iterable[str]) -> list[Finding]:
    """Return a finding for everything that a program wrote to standard error, or a server warned of, though it ended well.

    Critical where it speaks of damage: what was written may lack rows.
    """
    return [_finding(program, text) for text in dict.fromkeys(_joined(lines))]


def _joined(lines: Iterable[str]) -> Iterator[str]:
    waiting = ""
    for line in lines:
        if waiting and _CONTINUED.match(line):
            waiting = f"{waiting} {line.strip()}"
            continue
        if waiting:
            yield waiting
        waiting = line.strip()
    if waiting:
        yield waiting


def _finding(program: str, text: str) -> Finding:
    if _DAMAGE.search(text):
        message = f"{text} (rows may be missing in what was read)"
        return Finding(severity=Severity.CRITICAL, code="postgres.damaged", message=message, where=program)
    severity = Severity.OK if _HARMLESS.search(text) else Severity.WARNING
    return Finding(severity=severity, code="postgres.said", message=text, where=program)
