"""Which backups of one source stay in one store, and why. Pure: recorded times, counts and verdicts in, reasons out.

Grandfather, father, son: each hour, day, week (from Sunday), month and year is represented by its *first* backup, so
that a later one never pushes an earlier one out. Where that first one was not verified yet, the first good one of the
same period stays beside it. All periods are those of UTC: time zones and summer time do not matter. A span is as many
periods *that have backups* as it is long: where backups pause or stop, nothing expires.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final

from ops.repository.periods import PERIODS, periods_in
from ops.repository.rows_dropped import DROP_KEPT, dropped_tables
from ops.repository.wrong_clocks import FUTURE, out_of_order
from ops.units import Span, parse_span

_COMPARED: Final = 10
_RULES: Final = frozenset(("hourly", "daily", "weekly", "monthly", "yearly", "tag", "forever"))
_SUSPICIOUS_PART: Final = 0.5
_VOLATILE: Final = 2
"""Drops within the last ten backups that make a table one that is emptied regularly."""


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
        return self.forever or self.keep_last > 0 or bool(self.spans)

    @property
    def spans(self) -> list[tuple[str, Span]]:
        """How long each rule keeps periods, without those that keep none."""
        given = ((rule, getattr(self, f"keep_{rule}")) for rule in PERIODS)
        return [(rule, span) for rule, span in given if span is not None]


DEFAULT_POLICY: Final = Policy(
    keep_daily=parse_span("30d"),
    keep_weekly=parse_span("3mo"),
    keep_monthly=parse_span("2y"),
    keep_yearly=parse_span("7y"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """What is known of one backup: time and sequence in its manifest, and what looks at it have shown.

    Order is by `sequence`, and by time where that is the same.

    `good`: its last verify or drill passed (True), failed (False), or there was none with a verdict (None). `proven`:
    its last drill passed. `aside`: it is kept beside the others and stands for no period, like safety backups.
    `held`: reasons of others to keep it now (a pin, a reader). `needs`: backups without which it cannot be restored.
    `tables`: rows by table (None where nobody here can tell).
    """

    name: str
    created_at: datetime
    sequence: int = 0
    size: int = 0
    good: bool | None = None
    proven: bool = False
    aside: bool = False
    tags: tuple[str, ...] = ()
    held: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    tables: Mapping[str, int] | None = None

    @property
    def rows(self) -> int | None:
        """All rows of all tables."""
        return None if self.tables is None else sum(self.tables.values())


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
    """A decision for each backup, newest first, and why nothing may be deleted now (None: it may).

    `volatile`: tables that lose most of their rows regularly, so that nothing is kept for that.
    """

    decisions: tuple[Decision, ...]
    refusal: str | None = None
    volatile: tuple[str, ...] = ()

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
    oldest_first = sorted(candidates, key=lambda item: (item.sequence, item.created_at, item.name))
    newest_first = oldest_first[::-1]
    future = {item.name for item in newest_first if item.created_at - now > FUTURE}
    odd = out_of_order([item.created_at for item in oldest_first], now)
    contradicting = {oldest_first[place].name for place in odd}
    ranked = [item for item in newest_first if not item.aside and item.name not in future]
    reasons: dict[str, list[str]] = defaultdict(list)
    for item in newest_first:
        reasons[item.name] += [
            *(["from the future"] if item.name in future else []),
            *(["its time contradicts the order"] if item.name in contradicting else []),
            *_own_reasons(item, policy),
        ]
    for reason, item in _indispensable(ranked):
        reasons[item.name].append(reason)
    for item in _sound(ranked)[: policy.keep_last]:
        reasons[item.name].append("last")
    for reason, item in _representatives([item for item in ranked if item.name not in contradicting], policy):
        reasons[item.name].append(reason)
    drops, volatile = _drops(ranked)
    if ranked:
        reference = min(now, ranked[0].created_at)
        for drop in drops:
            if drop.table not in volatile and reference - drop.seen_at <= DROP_KEPT:
                reasons[drop.before.name].append(f"before the drop of {drop.table}")
        for item in newest_first:
            if item.aside and (span := _longest_daily(policy)) and reference - item.created_at <= span:
                reasons[item.name].append("safety")
    _keep_needed(newest_first, reasons)
    decisions = tuple(Decision(item, tuple(dict.fromkeys(reasons[item.name]))) for item in newest_first)
    latest = next((item for item in newest_first if not item.aside), None)
    refusal = _behind(latest, decisions) if latest and latest.name in future else _refusal(ranked, decisions)
    return Plan(decisions, refusal, tuple(sorted(volatile)))


@dataclass(frozen=True, slots=True)
class _Drop:
    """A table that lost more than half of many rows, when that was seen first, and the last good backup before it."""

    table: str
    seen_at: datetime
    before: Candidate


def _drops(ranked: Sequence[Candidate]) -> tuple[list[_Drop], set[str]]:
    """Each drop, newest first; and the tables of which that is the habit."""
    known = [item for item in ranked if item.tables is not None and item.good is not False]
    found, counts = [], defaultdict[str, int](int)
    for place, (newer, older) in enumerate(pairwise(known)):
        before = next((item for item in known[place + 1 :] if item.good), older)
        for table in dropped_tables(older.tables or {}, newer.tables or {}):
            found.append(_Drop(table, newer.created_at, before))
            counts[table] += place < _COMPARED
    return found, {table for table, count in counts.items() if count >= _VOLATILE}


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


def _representatives(ranked: Sequence[Candidate], policy: Policy) -> list[tuple[str, Candidate]]:
    """Of each of the newest periods with backups the first that is not bad, and the first good one.

    Of as many periods that have only bad ones, the first of these.
    """
    found: list[tuple[str, Candidate]] = []
    timed = [(item.created_at.astimezone(UTC), item) for item in reversed(ranked)]
    for rule, span in policy.spans:
        first: dict[int, tuple[datetime, Candidate]] = {}
        first_good: dict[int, tuple[datetime, Candidate]] = {}
        first_bad: dict[int, tuple[datetime, Candidate]] = {}
        for moment, item in timed:
            period = PERIODS[rule].of(moment)
            (first_bad if item.good is False else first).setdefault(period, (moment, item))
            if item.good:
                first_good.setdefault(period, (moment, item))
        count = periods_in(rule, span)
        inside = list(first)[-count:]
        # Damaged ones stand where they are alone, and push no sound one out.
        alone = [period for period in first_bad if period not in first][-count:]
        chosen = [first[period] for period in inside]
        chosen += [first_good[period] for period in inside if period in first_good]
        chosen += [first_bad[period] for period in alone]
        found += [(f"{rule} {PERIODS[rule].shown(moment)}", item) for moment, item in chosen]
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


def _behind(newest: Candidate, decisions: Collection[Decision]) -> str | None:
    """Why nothing goes while the backup that was made last is from the future: the clock is behind now, or was ahead."""
    if not any(not item.keep for item in decisions):
        return None
    return (
        f"the backup that was made last, {newest.name}, is from the future ({newest.created_at:%Y-%m-%d %H:%M}Z): this"
        " machine's clock is behind, or the one that it was made with was ahead; the next backup tells"
    )


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
    return _shrunk(newest, [item for item in ranked[1:] if item.good][:_COMPARED])


def _shrunk(newest: Candidate, usual: Sequence[Candidate]) -> str | None:
    """Why the newest backup, as a whole, is suspiciously small."""
    from statistics import median

    rows = [item.rows for item in usual if item.rows is not None]
    if rows and newest.rows is not None and newest.rows < _SUSPICIOUS_PART * median(rows):
        return f"the newest backup, {newest.name}, holds less than half as many rows as usual ({newest.rows})"
    # One that leaves to others what they hold is small by intent.
    sizes = [item.size for item in usual if not item.needs]
    if sizes and not newest.needs and newest.size < _SUSPICIOUS_PART * median(sizes):
        return f"the newest backup, {newest.name}, is less than half as large as usual"
    return None
