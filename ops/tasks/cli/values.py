"""Reading the values of flags; raises ConfigError (`usage.bad_value`) that names the flag.

What reading needs is imported when a value is read: each start of the program loads this file.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NoReturn

if TYPE_CHECKING:
    from datetime import datetime

_DIGITS: Final = 9
_MOST_DAYS: Final = 36500
_DAY_S: Final = 86400
_ZERO: Final = ("ms", "s", "m", "min", "h", "d")
"""Units behind a zero, which as a duration of the configuration would make no sense."""


def seconds(flag: str, value: str) -> float:
    """A duration in seconds, 0 or more: "30s", "5m", or a number of seconds."""
    try:
        number = float(value)
    except ValueError:
        number = _duration_s(value)
    if not math.isfinite(number) or number < 0:
        _refuse(f"{flag} {value!r} is not a duration", 'write one like "30s" or "5m", or a number of seconds')
    return number


def _duration_s(value: str) -> float:
    """Seconds of a duration; -1 where it is none."""
    from ops.units import parse_duration

    if value.startswith("0") and value.lstrip("0") in _ZERO:
        return 0
    try:
        return parse_duration(value).total_seconds()
    except (ValueError, OverflowError):
        return -1


def number(flag: str, value: str) -> int:
    """A whole number, 0 or more, of nine digits at most."""
    if not (value.isascii() and value.isdigit()) or len(value) > _DIGITS:
        _refuse(f"{flag} {value!r} is not a number", "write a whole number, 0 or more")
    return int(value)


def days(flag: str, value: str) -> int:
    """A number of days, at most a hundred years: "90", or a duration of whole days like "90d" or "3mo"."""
    plain = value.isascii() and value.isdigit() and len(value) <= _DIGITS
    found = int(value) if plain else _duration_s(value) / _DAY_S
    if found < 0 or found != int(found):
        _refuse(
            f"{flag} {value!r} is not a number of days", 'write a number, or a duration like "90d" or "3mo"'
        )
    if found > _MOST_DAYS:
        _refuse(f"{flag} {value!r} is longer than a hundred years", "write a shorter time")
    return int(found)


def one_of(*known: str) -> Callable[[str, str], str]:
    """Return a parser that takes these words and no others."""

    def parse(flag: str, value: str) -> str:
        if value not in known:
            _refuse(f"{flag} {value!r} is not known", f"one of: {', '.join(known)}")
        return value

    return parse


def moment_after(flag: str, value: str, now: datetime) -> datetime:
    """A day ("2027-03-01", from its start in UTC), a time with offset, or a duration from now ("90d"); never past."""
    from datetime import UTC, datetime

    from ops.units import parse_duration

    try:
        moment = now + parse_duration(value)
    except (ValueError, OverflowError):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            hint = 'write a day like 2027-03-01, or a duration like "90d"'
            _refuse(f"{flag} {value!r} is not a time", hint)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if moment <= now:
        _refuse(f"{flag} {value!r} is in the past", "write a day to come, or a duration from now")
    return moment.astimezone(UTC)


def _refuse(message: str, hint: str) -> NoReturn:
    from ops.errors import ConfigError

    raise ConfigError(message, code="usage.bad_value", hint=hint)
