"""Lines for systemd's journal: a number in front says how serious a line is.

Source: https://www.freedesktop.org/software/systemd/man/latest/sd-daemon.html (`<3>` to `<6>`, and `JOURNAL_STREAM`)
"""

from __future__ import annotations

import enum
import os
from collections.abc import Mapping
from typing import Final

_VARIABLE: Final = "JOURNAL_STREAM"
_ERROR: Final = 2


class Priority(enum.IntEnum):
    """How serious a line is, as syslog numbers it."""

    ERROR = 3
    WARNING = 4
    INFO = 6


def is_journal(environ: Mapping[str, str], descriptor: int = _ERROR) -> bool:
    """Return whether what is written to standard error goes to the journal, and not into a file or a terminal."""
    given = environ.get(_VARIABLE)
    if not given:
        return False
    try:
        there = os.fstat(descriptor)
    except OSError:
        return False
    # A child whose standard error goes elsewhere inherits the variable: the numbers must fit.
    return given == f"{there.st_dev}:{there.st_ino}"


def with_priority(text: str, priority: Priority, environ: Mapping[str, str]) -> str:
    """Return the text as standard error takes it: each line with its priority where that is the journal."""
    if not is_journal(environ):
        return text
    return "\n".join(f"<{priority:d}>{line}" for line in text.split("\n"))
