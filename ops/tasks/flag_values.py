"""Reading the values of flags; raises ConfigError (`usage.bad_value`) that names the flag."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Final

from ops.errors import ConfigError
from ops.model.evidence import Level
from ops.units import parse_duration

_DIGITS: Final = 9
_MOST_DAYS: Final = 36500


def seconds(flag: str, value: str) -> float:
    """A number of seconds, 0 or more."""
    try:
        number = float(value)
    except ValueError:
        number = -1
    if not math.isfinite(number) or number < 0:
        raise ConfigError(f"{flag} {value!r} is no number of seconds", code="usage.bad_value")
    return number


def number(flag: str, value: str) -> int:
    """A whole number, 0 or more, of nine digits at most."""
    if not (value.isascii() and value.isdigit()) or len(value) > _DIGITS:
        raise ConfigError(f"{flag} {value!r} is no number", code="usage.bad_value")
    return int(value)


def days(flag: str, value: str) -> int:
    """A number of days, written "90" or "90d", at most a hundred years."""
    found = number(flag, value.removesuffix("d"))
    if found > _MOST_DAYS:
        raise ConfigError(f"{flag} {value!r} is longer than a hundred years", code="usage.bad_value")
    return found


def level(value: str) -> Level:
    """`quick` or `full`."""
    try:
        return Level(value)
    except ValueError:
        known = ", ".join(Level)
        raise ConfigError(
            f"--level {value!r} is not known", code="usage.bad_value", hint=f"one of: {known}"
        ) from None


def moment_after(flag: str, value: str, now: datetime) -> datetime:
    """A day ("2027-03-01", from its start in UTC), a time with offset, or a duration from now ("90d"); never past."""
    try:
        moment = now + parse_duration(value)
    except (ValueError, OverflowError):
        try:
            moment = datetime.fromisoformat(value)
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        except ValueError:
            hint = 'a day like 2027-03-01, or a duration like "90d"'
            raise ConfigError(f"{flag} {value!r} is no time", code="usage.bad_value", hint=hint) from None
    if moment <= now:
        raise ConfigError(f"{flag} {value!r} is past already", code="usage.bad_value")
    return moment.astimezone(UTC)
