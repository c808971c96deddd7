"""Hours, days, weeks, months and years as retention counts them, all in UTC. Pure.

A period is a number, because making its name takes ten times as long and only kept backups show it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Final, NamedTuple

_DAYS: Final = 7


class Periods(NamedTuple):
    """One sort of period: how long it is about, which one a moment (in UTC) lies in, and what that is called."""

    length: timedelta
    of: Callable[[datetime], int]
    shown: Callable[[datetime], str]


def _week(moment: datetime) -> int:
    """The day that its Sunday is: ordinals of Sundays are multiples of seven."""
    day = moment.toordinal()
    return day - day % _DAYS


PERIODS: Final = {
    "hourly": Periods(
        timedelta(hours=1),
        lambda moment: 24 * moment.toordinal() + moment.hour,
        lambda moment: f"{moment:%Y-%m-%d %H}h",
    ),
    "daily": Periods(timedelta(days=1), datetime.toordinal, lambda moment: str(moment.date())),
    "weekly": Periods(
        timedelta(days=_DAYS), _week, lambda moment: str(date.fromordinal(max(1, _week(moment))))
    ),
    "monthly": Periods(
        timedelta(days=30.4), lambda moment: 12 * moment.year + moment.month, lambda moment: f"{moment:%Y-%m}"
    ),
    "yearly": Periods(timedelta(days=365.25), lambda moment: moment.year, lambda moment: f"{moment:%Y}"),
}


def periods_in(rule: str, span: timedelta) -> int:
    """Return how many periods of a rule (`daily`, …) a span is long: the nearest number, at least one."""
    return max(1, int(span / PERIODS[rule].length + 0.5))
