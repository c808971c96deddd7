"""The forms that time stamps have in a column, each as a range that an index can serve.

SQLite orders numbers before text (https://www.sqlite.org/datatype3.html#sort_order), and each form by itself is ordered by
time; so each is asked for by itself, a day more than needed because of zones, and what came is compared as moments. A column
that turns numbers into text lets a row be found in the range of another form: `holds` says whose it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from ops.ingest_monitor.timestamps import (
    EPOCH,
    JULIAN_DAYS,
    JULIAN_EPOCH,
    MICROSECONDS_FROM,
    MILLISECONDS_FROM,
)

SLACK: Final = timedelta(days=1)
"""No two zones are further apart than two of it."""
_AFTER_DIGITS: Final = ":"
_SECOND_MILLENNIUM: Final = "2"
_ISO: Final = re.compile(r"(?:19|20)\d\d-", re.ASCII)
_DAY_S: Final = 86400
_UNITS: Final = (
    (1, JULIAN_DAYS[1], MILLISECONDS_FROM),
    (1000, MILLISECONDS_FROM, MICROSECONDS_FROM),
    (1_000_000, MICROSECONDS_FROM, ""),
)
"""Of each unit of numbers how many make a second, and the first number that means it, and the first beyond."""


@dataclass(frozen=True, slots=True)
class Form:
    """A condition on the time column, which stands as `{time}` in it, with its parameters."""

    condition: str
    parameters: tuple[object, ...]
    holds: Callable[[object], bool]


UNCLEAR: Final = (
    Form("{time} IS NULL", (), lambda value: value is None),
    Form(
        "({time} >= ? OR ({time} >= '' AND {time} < '0'))",
        (":",),
        lambda value: isinstance(value, str | bytes),
    ),
    Form("{time} < ?", (JULIAN_DAYS[0],), lambda value: isinstance(value, int | float)),
)
"""The rows whose time is in none of the ranges below: nothing, other text, numbers that are too small."""


def forms_since(since: datetime) -> list[Form]:
    """Ranges that hold all time stamps since then: ISO text first, then digits as text, then numbers by their unit."""
    begin = since - SLACK if since > EPOCH + SLACK else EPOCH
    seconds = int((begin - EPOCH).total_seconds())
    numbers: list[tuple[float, object]] = [
        (max(seconds * factor, first), last) for factor, first, last in _UNITS
    ]
    numbers.append((JULIAN_EPOCH + seconds / _DAY_S, JULIAN_DAYS[1]))
    return [
        Form(_BETWEEN, (f"{begin:%Y-%m-%d}", _AFTER_DIGITS), _is_other_text),
        Form(_BETWEEN, (str(seconds), _SECOND_MILLENNIUM), _is_digits),
        *(Form(_BETWEEN, bounds, _is_number) for bounds in numbers),
    ]


_BETWEEN: Final = "{time} >= ? AND {time} < ?"


def is_iso(value: object) -> bool:
    """Whether it begins like an ISO date; every other form is ordered before those."""
    return isinstance(value, str) and _ISO.match(value) is not None


def _is_digits(value: object) -> bool:
    """Seconds and milliseconds since 1970 as text begin with 0 or 1 until 2033."""
    return isinstance(value, str) and value < _SECOND_MILLENNIUM and not is_iso(value)


def _is_other_text(value: object) -> bool:
    return isinstance(value, str) and not _is_digits(value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float)
