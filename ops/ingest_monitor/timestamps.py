"""Time stamps as programs write them, in several forms, to moments in UTC. Pure.

Text: ISO 8601 with a zone, or without one, which means UTC, as SQLite's own functions do
(https://www.sqlite.org/lang_datefunc.html); a date alone is its midnight. Numbers, also as text: seconds, milliseconds or
microseconds since 1970, by their size, and Julian days where SQLite's `julianday()` was stored.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NUMBER: Final = re.compile(r"[+-]?\d+(?:\.\d+)?", re.ASCII)
JULIAN_DAYS: Final = (2_400_000.0, 2_500_000.0)
JULIAN_EPOCH: Final = 2_440_587.5
MILLISECONDS_FROM: Final = 1e11
MICROSECONDS_FROM: Final = 1e14


def moment_of(value: object) -> datetime | None:
    """The moment that a stored value means; None when it means none."""
    if isinstance(value, bool) or value is None:
        return None
    try:
        if isinstance(value, int | float):
            return _of_number(float(value))
        if isinstance(value, str):
            return _of_text(value.strip())
    except (ValueError, OverflowError):
        return None
    return None


def _of_number(value: float) -> datetime:
    if JULIAN_DAYS[0] < value < JULIAN_DAYS[1]:
        return EPOCH + timedelta(days=value - JULIAN_EPOCH)
    if abs(value) >= MICROSECONDS_FROM:
        value /= 1e6
    elif abs(value) >= MILLISECONDS_FROM:
        value /= 1e3
    return EPOCH + timedelta(seconds=value)


def _of_text(text: str) -> datetime | None:
    if not text:
        return None
    if text[4:5] != "-" and _NUMBER.fullmatch(text) and not _is_plain_date(text):
        return _of_number(float(text))
    moment = datetime.fromisoformat(text.removesuffix(" UTC"))
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _is_plain_date(text: str) -> bool:
    """`20260315`, which `fromisoformat` reads, is no number of seconds."""
    return len(text) == len("20260315") and text.startswith(("19", "20"))
