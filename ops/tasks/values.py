"""Reading the values of flags; raises ConfigError (`usage.bad_value`) that names the flag."""

from __future__ import annotations

import math

from ops.errors import ConfigError
from ops.model import Level


def seconds(flag: str, value: str) -> float:
    """A number of seconds, 0 or more."""
    try:
        number = float(value)
    except ValueError:
        number = -1
    if not math.isfinite(number) or number < 0:
        raise ConfigError(f"{flag} {value!r} is no number of seconds", code="usage.bad_value")
    return number


def level(value: str) -> Level:
    """`quick` or `full`."""
    try:
        return Level(value)
    except ValueError:
        known = ", ".join(Level)
        raise ConfigError(
            f"--level {value!r} is not known", code="usage.bad_value", hint=f"one of: {known}"
        ) from None
