"""Two clocks beside each other. Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from ops.model.findings import Finding, Severity
from ops.units import format_duration

_APART: Final = timedelta(minutes=5)


def compare_clocks(ahead: timedelta, whose: str) -> list[Finding]:
    """Return a warning where the clock of `whose` is more than five minutes ahead of this machine's, or behind it."""
    if abs(ahead) <= _APART:
        return []
    apart = format_duration(abs(ahead).total_seconds())
    message = (
        f"the clock of {whose} is {apart} {'ahead of' if ahead > timedelta() else 'behind'} this machine's:"
        " one of them is wrong, and times of backups with it"
    )
    return [Finding(severity=Severity.WARNING, code="clock.differs", message=message, where="clock")]
