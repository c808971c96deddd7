"""How full a store is, and when it will be full: today's habits carried on, retention applied. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

from ops.repository.retention import Candidate, Policy, plan_retention

WARN_ABOVE: Final = 0.8
_LOOK_BACK: Final = timedelta(days=28)
_STEP: Final = timedelta(days=7)
_STEPS: Final = 104
_MOST_A_STEP: Final = 56
_SHORTEST: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Usage:
    """Bytes that a store holds, and bytes that it may hold."""

    used: int
    limit: int

    @property
    def fraction(self) -> float:
        """The part of the limit that is used; 1 or more: full."""
        return self.used / self.limit if self.limit else 1.0

    @property
    def is_high(self) -> bool:
        """Whether somebody should look."""
        return self.fraction > WARN_ABOVE


@dataclass(frozen=True, slots=True)
class Habit:
    """The backups of one kind and scope of one source in a store, and the policy that prunes them there."""

    candidates: tuple[Candidate, ...]
    policy: Policy


def forecast_full(habits: Iterable[Habit], usage: Usage, now: datetime) -> datetime | None:
    """About when the limit is reached if all goes on as in the last four weeks; None: not within two years.

    Each habit goes on in its usual interval with backups that grow as they did, and is pruned once a week. Where
    backups are made more often than every three hours, it looks less far ahead: some 5,800 backups.
    """
    going = [item for habit in habits if (item := _Going.of(habit, now)) is not None]
    if not going:
        return None
    others = usage.used - sum(item.size for item in going)
    step = min(_STEP, *(_MOST_A_STEP * item.interval for item in going))
    moment = now
    for _ in range(_STEPS):
        if others + sum(item.size for item in going) >= usage.limit:
            return moment
        moment += step
        for item in going:
            item.go_on(moment)
    return None


@dataclass(slots=True)
class _Going:
    """One habit on its way into the future."""

    candidates: list[Candidate]
    policy: Policy
    interval: timedelta
    growth_a_day: float
    last_size: float
    start: datetime

    @classmethod
    def of(cls, habit: Habit, now: datetime) -> _Going | None:
        from statistics import median

        ranked = sorted(habit.candidates, key=lambda item: item.created_at)
        recent = [item for item in ranked if now - item.created_at <= _LOOK_BACK and not item.aside]
        if len(recent) < 2:  # noqa: PLR2004 - one backup is no habit
            return None
        gaps = [
            (later.created_at - earlier.created_at).total_seconds() for earlier, later in pairwise(recent)
        ]
        interval = max(timedelta(seconds=median(gaps)), _SHORTEST)
        newest = recent[-1]
        return cls(ranked, habit.policy, interval, _slope(recent), newest.size, newest.created_at)

    @property
    def size(self) -> int:
        return sum(item.size for item in self.candidates)

    def go_on(self, until: datetime) -> None:
        newest = self.candidates[-1].created_at
        while (moment := newest + self.interval) <= until:
            days = (moment - self.start) / timedelta(days=1)
            size = round(self.last_size + self.growth_a_day * days)
            self.candidates.append(
                Candidate(
                    name=f"to come {moment}",
                    created_at=moment,
                    sequence=self.candidates[-1].sequence + 1,
                    size=size,
                    good=True,
                )
            )
            newest = moment
        plan = plan_retention(self.candidates, self.policy, until)
        doomed = {item.name for item in plan.doomed}
        self.candidates = [item for item in self.candidates if item.name not in doomed]


def _slope(recent: Sequence[Candidate]) -> float:
    """By how many bytes a day backups grow; never less than 0: one that shrank may be a smaller day."""
    from statistics import linear_regression

    start = recent[0].created_at
    days = [(item.created_at - start) / timedelta(days=1) for item in recent]
    if len(set(days)) == 1:
        return 0.0
    return max(0.0, linear_regression(days, [item.size for item in recent]).slope)
