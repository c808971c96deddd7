"""Durations and sizes as people write them ("24h", "3mo", "50GB") and back. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final, NewType

Size = NewType("Size", int)
"""Bytes; written as "50GB" or a number."""

Fraction = NewType("Fraction", float)
"""A part of one; written as "5%" or 0.05."""

Span = NewType("Span", timedelta)
"""How long something is kept; written as a duration is, and never shorter than the calendar's months and years."""

_SECONDS: Final = {
    "ms": 0.001,
    "s": 1,
    "m": 60,
    "min": 60,
    "h": 3600,
    "d": 86400,
    "w": 7 * 86400,
    "mo": 30 * 86400,
    "y": 365 * 86400,
}
_LONGEST_SECONDS: Final = {**_SECONDS, "mo": 31 * 86400, "y": 366 * 86400}
_BYTES: Final = {
    "b": 1,
    "k": 10**3,
    "kb": 10**3,
    "kib": 2**10,
    "m": 10**6,
    "mb": 10**6,
    "mib": 2**20,
    "g": 10**9,
    "gb": 10**9,
    "gib": 2**30,
    "t": 10**12,
    "tb": 10**12,
    "tib": 2**40,
}
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]+)")


def parse_duration(text: str) -> timedelta:
    """The duration that `text` names: one or more of `<number><unit>`, units ms s m h d w mo y.

    A month is 30 days and a year 365: these are ages of backups, not calendar dates.
    Raises ValueError with an example when the text is anything else, is zero, or is beyond what fits.
    """
    return timedelta(seconds=_sum_of_parts(text, _SECONDS, example='"24h", "1d12h", "3mo"'))


def parse_span(text: str) -> Span:
    """The same for how long something is kept: a month is 31 days and a year 366, so that nothing goes early."""
    return Span(timedelta(seconds=_sum_of_parts(text, _LONGEST_SECONDS, example='"30d", "3mo", "7y"')))


def parse_size(text: str) -> int:
    """The number of bytes that `text` names, such as "50GB" (10^9) or "1GiB" (2^30); a bare number is bytes.

    Raises ValueError with an example when the text is anything else.
    """
    if text.strip().isascii() and text.strip().isdigit():
        return int(text)
    return int(_sum_of_parts(text, _BYTES, example='"50GB", "512MiB"'))


def _sum_of_parts(text: str, units: dict[str, float] | dict[str, int], *, example: str) -> float:
    lowered = text.strip().lower()
    parts = _PART.findall(lowered)
    rest = _PART.sub("", lowered).strip()
    if not parts or rest or any(unit not in units for _, unit in parts):
        message = f"{text!r} is not understood; write it like {example}"
        raise ValueError(message)
    total = sum(float(number) * units[unit] for number, unit in parts)
    if not 0 < total < 10**15:
        message = f"{text!r} is out of range; write it like {example}"
        raise ValueError(message)
    return total


def format_size(size: float) -> str:
    """`size` bytes for people: binary units, three significant digits ("1.21 GiB")."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.3g} {unit}"
        size /= 1024
    return f"{size:.3g} TiB"


def format_duration(seconds: float) -> str:
    """`seconds` for people: "0.04 s", "1.4 s", "12 s", "3m 05s", "2h 10m", "3d 4h"."""
    if seconds < 10:
        return f"{seconds:.2f} s" if seconds < 1 else f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest_s = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}m {rest_s:02}s"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours}h {minutes:02}m"
    days, hours = divmod(hours, 24)
    return f"{days}d {hours}h"


def format_time(moment: datetime) -> str:
    """`moment` as ISO 8601 in UTC with milliseconds and Z, the form used in every file that we write."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_time(text: str) -> datetime:
    """The aware UTC time that `text` (ISO 8601 with an offset or Z) names.

    Raises ValueError when it is no time, or one without an offset.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        message = f"{text!r} has no UTC offset"
        raise ValueError(message)
    return moment.astimezone(UTC)


def format_stamp(moment: datetime) -> str:
    """`moment` as it stands in names: YYYYMMDDTHHMMSSZ in UTC."""
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def age_s(moment: datetime, now: datetime) -> float:
    """Seconds from `moment` to `now`, never negative: a clock that was set back makes nothing young."""
    return max(0.0, (now - moment).total_seconds())
