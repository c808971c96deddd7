"""Which backups of one source stay in one store, and why. Pure: recorded times and verdicts in, reasons out.

Grandfather, father, son: each hour, day, week (from Sunday), month and year is represented by its *first* backup, so
that a later one never pushes an earlier one out. Where that first one was not verified yet, the first good one of the
same period stays beside it. All periods are those of UTC: time zones and summer time do not matter. Ages are counted
to the newest backup, not to today: where backups stop, nothing expires any more.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from ops.units import Span, parse_span

_COMPARED: Final = 10
_RULES: Final = frozenset(("hourly", "daily", "weekly", "monthly", "yearly", "tag", "forever"))
_SUSPICIOUS_PART: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How long which backups are kept: a period's representative for as long as its `keep_…` says.

    `keep_last`: this many of the newest that are not known to be bad. `keep_tagged`: for ever, with one of these tags.
    `forever`: all that are not known to be bad.
    """

    keep_last: int = 0
    keep_hourly: Span | None = None
    keep_daily: Span | None = None
    keep_weekly: Span | None = None
    keep_monthly: Span | None = None
    keep_yearly: Span | None = None
    keep_tagged: tuple[str, ...] = ()
    forever: bool = False

    @property
    def keeps_something(self) -> bool:
        """Whether any rule keeps backups because of their time or number."""
        return self.forever or self.keep_last > 0 or any(span is not None for _, span, _ in _periods(self))


DEFAULT_POLICY: Final = Policy(
    keep_daily=parse_span("30d"),
    keep_weekly=parse_span("3mo"),
    keep_monthly=parse_span("2y"),
    keep_yearly=parse_span("7y"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """What is known of one backup: the time in its manifest, and what looks at it have shown.

    `good`: its last verify or drill passed (True), failed (False), or there was none with a verdict (None). `proven`:
    its last drill passed. `aside`: it is kept beside the others and stands for no period, like safety backups.
    `held`: reasons of others to keep it now (a pin, a reader). `needs`: backups without which it can not be restored.
    """

    name: str
    created_at: datetime
    size: int = 0
    good: bool | None = None
    proven: bool = False
    aside: bool = False
    tags: tuple[str, ...] = ()
    held: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """One backup, and the rules that keep it; none: it may go."""

    candidate: Candidate
    reasons: tuple[str, ...]

    @property
    def keep(self) -> bool:
        """Whether anything keeps it."""
        return bool(self.reasons)

    @property
    def by_rule(self) -> bool:
        """Whether a rule of the policy keeps it: more than that it is the newest, the last good one, or held."""
        return any(reason == "last" or reason.split()[0] in _RULES for reason in self.reasons)


@dataclass(frozen=True, slots=True)
class Plan:
    """A decision for each backup, newest first, and why nothing may be deleted now (None: it may)."""

    decisions: tuple[Decision, ...]
    refusal: str | None = None

    @property
    def doomed(self) -> tuple[Candidate, ...]:
        """What is to be deleted, oldest first; nothing where it is refused."""
        if self.refusal is not None:
            return ()
        return tuple(item.candidate for item in reversed(self.decisions) if not item.keep)


def plan_retention(candidates: Iterable[Candidate], policy: Policy, now: datetime) -> Plan:
    """The plan for all backups of one source in one store. Order is by recorded time, never by name.

    Always kept: the newest, the last good, the last proven, what is held, and everything that a kept one needs.
    """
    newest_first = sorted(candidates, key=lambda item: (item.created_at, item.name), reverse=True)
    ranked = [item for item in newest_first if not item.aside]
    reasons: dict[str, list[str]] = defaultdict(list)
    for item in newest_first:
        reasons[item.name] += _own_reasons(item, policy)
    for reason, item in _indispensable(ranked):
        reasons[item.name].append(reason)
    for item in _sound(ranked)[: policy.keep_last]:
        reasons[item.name].append("last")
    if ranked:
        reference = min(now, ranked[0].created_at)
        for reason, item in _representatives(ranked, policy, reference):
            reasons[item.name].append(reason)
        for item in newest_first:
            if item.aside and (span := _longest_daily(policy)) and reference - item.created_at <= span:
                reasons[item.name].append("safety")
    _keep_needed(newest_first, reasons)
    decisions = tuple(Decision(item, tuple(dict.fromkeys(reasons[item.name]))) for item in newest_first)
    return Plan(decisions, _refusal(ranked, decisions))


def _own_reasons(item: Candidate, policy: Policy) -> list[str]:
    tags = [f"tag {tag}" for tag in item.tags if tag in policy.keep_tagged]
    forever = ["forever"] if policy.forever and item.good is not False else []
    return [*item.held, *tags, *forever]


def _sound(ranked: Sequence[Candidate]) -> list[Candidate]:
    return [item for item in ranked if item.good is not False]


def _indispensable(ranked: Sequence[Candidate]) -> list[tuple[str, Candidate]]:
    """The newest, the last good and the last proven. Where none is known to be good, the last that is not bad."""
    found = [("newest", item) for item in ranked[:1]]
    good = [item for item in ranked if item.good] or _sound(ranked)
    found += [("last good", item) for item in good[:1]]
    return found + [("last proven", item) for item in [item for item in ranked if item.proven][:1]]


_Period = Callable[[datetime], str]


def _week(moment: datetime) -> str:
    day = moment.date()
    return str(day - timedelta(days=day.isoweekday() % 7))


def _periods(policy: Policy) -> list[tuple[str, timedelta | None, _Period]]:
    return [
        ("hourly", policy.keep_hourly, lambda moment: f"{moment:%Y-%m-%d %H}h"),
        ("daily", policy.keep_daily, lambda moment: str(moment.date())),
        ("weekly", policy.keep_weekly, _week),
        ("monthly", policy.keep_monthly, lambda moment: f"{moment:%Y-%m}"),
        ("yearly", policy.keep_yearly, lambda moment: f"{moment:%Y}"),
    ]


def _representatives(
    ranked: Sequence[Candidate], policy: Policy, reference: datetime
) -> list[tuple[str, Candidate]]:
    """Of each period the first backup that is not bad, and the first good one, while they are young enough.

    Of a period that has only bad ones, the first of these.
    """
    found = []
    for rule, span, period_of in _periods(policy):
        if span is None:
            continue
        first: dict[str, Candidate] = {}
        first_good: dict[str, Candidate] = {}
        first_bad: dict[str, Candidate] = {}
        for item in reversed(ranked):
            period = period_of(item.created_at.astimezone(UTC))
            (first_bad if item.good is False else first).setdefault(period, item)
            if item.good:
                first_good.setdefault(period, item)
        # A damaged backup may be all that is left of its period.
        alone = {period: item for period, item in first_bad.items() if period not in first}
        for period, item in [*first.items(), *first_good.items(), *alone.items()]:
            if reference - item.created_at <= span:
                found.append((f"{rule} {period}", item))
    return found


def _longest_daily(policy: Policy) -> timedelta:
    """How long what a restore replaced is kept: as long as daily backups, a month at least."""
    return max(policy.keep_daily or timedelta(), timedelta(days=30))


def _keep_needed(candidates: Sequence[Candidate], reasons: Mapping[str, list[str]]) -> None:
    """Whatever a kept backup needs is kept, through any number of steps."""
    by_name = {item.name: item for item in candidates}
    todo = [item for item in candidates if reasons[item.name]]
    while todo:
        item = todo.pop()
        for name in item.needs:
            if name in by_name and f"needed by {item.name}" not in reasons[name]:
                if not reasons[name]:
                    todo.append(by_name[name])
                reasons[name].append(f"needed by {item.name}")


def _refusal(ranked: Sequence[Candidate], decisions: Collection[Decision]) -> str | None:
    if not any(not item.keep for item in decisions):
        return None
    if not ranked:
        return "there is no backup beside those of restores"
    newest = ranked[0]
    if newest.good is None:
        return f"the newest backup, {newest.name}, is not verified yet"
    if newest.good is False:
        return (
            f"the newest backup, {newest.name}, is not good: its last verify or drill failed, or its payload is gone or"
            " has another size"
        )
    # One that leaves to others what they hold is small by intent.
    usual = [item.size for item in ranked[1:] if item.good and not item.needs][:_COMPARED]
    if usual and not newest.needs and newest.size < _SUSPICIOUS_PART * statistics.median(usual):
        return f"the newest backup, {newest.name}, is less than half as large as usual"
    return None
