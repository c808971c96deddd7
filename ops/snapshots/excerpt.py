"""The first line and the last lines of a file, so that people see at once what is another in it."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ops.errors import StoreError
from ops.fsio.output import opened_file

_LINES: Final = 3
_LONGEST: Final = 300
_BLOCK: Final = 4096


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A first line and up to three last ones, each cut after 300 characters; a last line without its end says so."""

    header: str
    tail: tuple[str, ...]


def excerpt_of(path: Path) -> Excerpt | None:
    """The excerpt of the file at `path`, None when it cannot be read."""
    with contextlib.suppress(OSError, StoreError), opened_file(path) as descriptor:
        size = os.fstat(descriptor).st_size
        first = os.pread(descriptor, _BLOCK, 0)
        last = os.pread(descriptor, _BLOCK, max(0, size - _BLOCK))
        lines = last.split(b"\n")
        cut = lines.pop() if lines else b""
        tail = [_shown(line) for line in lines[-_LINES:]]
        if cut:
            tail = [*tail[-_LINES + 1 :], f"{_shown(cut)} (no line end)"]
        return Excerpt(_shown(first.split(b"\n")[0]), tuple(tail))
    return None


def _shown(line: bytes) -> str:
    return line.decode("utf-8", "backslashreplace")[:_LONGEST]


def header_difference(expected: str, found: str) -> str:
    """Which columns of two header lines are missing, extra or moved; empty when the lines are equal."""
    if expected == found:
        return ""
    old, new = expected.strip("\r\ufeff").split(","), found.strip("\r\ufeff").split(",")
    parts = []
    if gone := [name for name in old if name not in new]:
        parts.append(f"missing: {', '.join(gone)}")
    if extra := [name for name in new if name not in old]:
        parts.append(f"new: {', '.join(extra)}")
    return "; ".join(parts) or "the same columns in another order, or other bytes around them"
