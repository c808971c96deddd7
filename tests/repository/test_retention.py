"""Retention: any history, any policy. What is kept is always enough, and every rule is met."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ops.repository.periods import periods_in
from ops.repository.retention import DEFAULT_POLICY, Candidate, Plan, Policy, plan_retention
from ops.units import Span

START = datetime(2026, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 12, 31, 12, tzinfo=UTC)
SPANS = st.none() | st.integers(1, 900).map(lambda days: Span(timedelta(days=days)))
POLICIES = st.builds(
    Policy,
    keep_last=st.integers(0, 4),
    keep_hourly=SPANS,
    keep_daily=SPANS,
    keep_weekly=SPANS,
    keep_monthly=SPANS,
    keep_yearly=SPANS,
    keep_tagged=st.just(()) | st.just(("kept",)),
    forever=st.booleans(),
)
MOMENTS = st.integers(0, 364 * 24 * 60).map(lambda minutes: START + timedelta(minutes=minutes))


@st.composite
def histories(draw: st.DrawFn, *, least: int = 0) -> list[Candidate]:
    """Backups of one source with all that can be true of them; needs only lead to older ones."""
    moments = sorted(draw(st.lists(MOMENTS, min_size=least, max_size=30)))
    found: list[Candidate] = []
    for number, moment in enumerate(moments):
        good = draw(st.sampled_from([True, True, True, None, False]))
        needs = draw(st.sampled_from([*[item.name for item in found[-3:]], ""]))
        found.append(
            Candidate(
                name=f"b{draw(st.integers(0, 999)):03}-{number}",
                created_at=moment,
                size=draw(st.integers(1000, 1400)),
                good=good,
                proven=good is True and draw(st.booleans()),
                tags=draw(st.sampled_from([(), ("kept",), ("other",)])),
                held=draw(st.sampled_from([(), (), (), ("pinned",)])),
                needs=(needs,) if needs else (),
            )
        )
    return found


def kept(plan: Plan) -> set[str]:
    """The names of what stays."""
    return {item.candidate.name for item in plan.decisions} - {item.name for item in plan.doomed}


@given(histories(least=1), POLICIES)
def test_what_is_needed_stays(history: list[Candidate], policy: Policy) -> None:
    """The newest, the last good, the last proven, pins, kept tags, and all that a kept one needs are always kept."""
    plan = plan_retention(history, policy, NOW)
    names = kept(plan)
    in_order = sorted(history, key=lambda item: (item.created_at, item.name))
    assert in_order[-1].name in names
    for chosen in (
        [item for item in in_order if item.good],
        [item for item in in_order if item.proven],
        [item for item in in_order if item.good is not False],
    ):
        assert not chosen or chosen[-1].name in names
    for item in history:
        if item.held or set(item.tags) & set(policy.keep_tagged):
            assert item.name in names
        if item.name in names:
            assert set(item.needs) <= names
    assert len(plan.decisions) == len(history)


PERIODS: dict[str, Callable[[datetime], object]] = {
    "keep_hourly": lambda moment: (moment.date(), moment.hour),
    "keep_daily": lambda moment: moment.date(),
    "keep_weekly": lambda moment: (moment.date() + timedelta(days=1)).isocalendar()[:2],
    "keep_monthly": lambda moment: (moment.year, moment.month),
    "keep_yearly": lambda moment: moment.year,
}


def periods_of(history: list[Candidate], rule: str) -> list[object]:
    """The periods of a rule that have a backup which is not bad, newest first."""
    moments = sorted((item.created_at for item in history if item.good is not False), reverse=True)
    return list(dict.fromkeys(PERIODS[rule](moment) for moment in moments))


@given(histories(least=1), POLICIES)
def test_every_rule_is_met(history: list[Candidate], policy: Policy) -> None:
    """Each of the newest periods of a rule keeps one that is not bad, and a good one where it has one."""
    names = kept(plan_retention(history, policy, NOW))
    for rule, period_of in PERIODS.items():
        span = getattr(policy, rule)
        if span is None:
            continue
        for period in periods_of(history, rule)[: periods_in(rule.removeprefix("keep_"), span)]:
            inside = [item for item in history if period_of(item.created_at) == period]
            assert names & {item.name for item in inside if item.good is not False}
            good = {item.name for item in inside if item.good}
            assert not good or names & good
    sound = sorted((item for item in history if item.good is not False), key=lambda item: item.created_at)
    assert len(names) >= min(policy.keep_last, len(sound))


@given(histories(least=1), POLICIES, st.integers(1, 60 * 24 * 60))
def test_a_later_backup_pushes_none_out_early(history: list[Candidate], policy: Policy, minutes: int) -> None:
    """With one more backup, what a rule kept stays by that rule, unless it was the last of as many periods."""
    before = plan_retention(history, policy, NOW)
    newest = max(item.created_at for item in history)
    later = Candidate(name="later", created_at=newest + timedelta(minutes=minutes), size=1200, good=True)
    after = plan_retention([*history, later], policy, NOW + timedelta(days=90))
    reasons = {item.candidate.name: set(item.reasons) for item in after.decisions}
    for item in before.decisions:
        for reason in item.reasons:
            rule = f"keep_{reason.split()[0]}"
            if rule not in PERIODS or item.candidate.good is False or reason in reasons[item.candidate.name]:
                continue
            periods = periods_of(history, rule)
            count = periods_in(rule.removeprefix("keep_"), getattr(policy, rule))
            assert len(periods) >= count
            assert PERIODS[rule](item.candidate.created_at) == periods[count - 1]


@given(histories(least=1), POLICIES, st.integers(0, 3000))
def test_a_pause_empties_nothing(history: list[Candidate], policy: Policy, days: int) -> None:
    """However long ago the last backup was made, the plan is the same."""
    plans = [plan_retention(history, policy, NOW + timedelta(days=late)) for late in (0, days)]
    assert kept(plans[0]) == kept(plans[1])


def test_a_bad_one_stands_for_its_period_while_it_is_alone() -> None:
    """Damaged is better than nothing: it goes when its period has one that is not damaged."""
    policy = Policy(keep_daily=Span(timedelta(days=30)))
    bad = Candidate(name="bad", created_at=NOW - timedelta(days=3, hours=5), good=False)
    worse = Candidate(name="worse", created_at=NOW - timedelta(days=3, hours=4), good=False)
    newest = Candidate(name="newest", created_at=NOW, good=True)
    day = f"daily {bad.created_at.date()}"
    reasons = {
        item.candidate.name: item.reasons
        for item in plan_retention([bad, worse, newest], policy, NOW).decisions
    }
    assert (reasons["bad"], reasons["worse"]) == ((day,), ())
    sound = Candidate(name="sound", created_at=NOW - timedelta(days=3, hours=3), good=None)
    plan = plan_retention([bad, worse, sound, newest], policy, NOW)
    reasons = {item.candidate.name: item.reasons for item in plan.decisions}
    assert (reasons["bad"], reasons["worse"], reasons["sound"]) == ((), (), (day,))


@given(histories(), POLICIES, st.integers(-14, 14))
def test_time_zones_do_not_matter(history: list[Candidate], policy: Policy, hours: int) -> None:
    """The same moments written in another zone give the same plan, and so does another order of the list."""
    zone = timezone(timedelta(hours=hours))
    moved = [replace(item, created_at=item.created_at.astimezone(zone)) for item in history]
    plan, other = (
        plan_retention(history, policy, NOW),
        plan_retention(moved[::-1], policy, NOW.astimezone(zone)),
    )
    assert [(item.candidate.name, item.reasons) for item in plan.decisions] == [
        (item.candidate.name, item.reasons) for item in other.decisions
    ]
    assert plan.refusal == other.refusal


@given(histories(), POLICIES)
@settings(max_examples=50)
def test_a_second_time_changes_nothing(history: list[Candidate], policy: Policy) -> None:
    """What a plan kept, it keeps again: pruning twice is pruning once."""
    plan = plan_retention(history, policy, NOW)
    left = [item for item in history if item.name in kept(plan)]
    again = plan_retention(left, policy, NOW)
    assert kept(again) == {item.name for item in left}


def daily(days: int, *, size: int = 1000, good: bool | None = True) -> list[Candidate]:
    """One backup a day at 02:00, the last on the last day of the year."""
    last = datetime(2026, 12, 31, 2, tzinfo=UTC)
    return [
        Candidate(name=f"d{number:04}", created_at=last - timedelta(days=number), size=size, good=good)
        for number in range(days)
    ]


def test_the_default_policy() -> None:
    """Of ten years of daily backups stay 30 days, 13 weeks from Sunday, 24 months and 7 years, and nothing else."""
    plan = plan_retention(daily(3650), DEFAULT_POLICY, NOW)
    rules = [reason.split()[0] for item in plan.decisions for reason in item.reasons]
    counted = {rule: rules.count(rule) for rule in ("daily", "weekly", "monthly", "yearly")}
    assert counted == {"daily": 30, "weekly": 13, "monthly": 24, "yearly": 7}
    for item in plan.decisions:
        for reason in item.reasons:
            if reason.startswith("weekly"):
                assert item.candidate.created_at.isoweekday() == 7
            if reason.startswith("monthly"):
                assert item.candidate.created_at.day == 1
    assert len(kept(plan)) < 30 + 13 + 24 + 7


def test_the_picture_of_the_page() -> None:
    """What the retention page draws: 439 nights, and what each rule keeps of them."""
    now = datetime(2026, 3, 15, 20, tzinfo=UTC)
    moments = [datetime(2025, 1, 1, 2, tzinfo=UTC) + timedelta(days=number) for number in range(439)]
    history = [Candidate(name=f"{item:%F}", created_at=item, size=1, good=True) for item in moments]
    plan = plan_retention(history, DEFAULT_POLICY, now)
    found: dict[str, list[str]] = {}
    for item in plan.decisions:
        for reason in item.reasons:
            found.setdefault(reason.split()[0], []).append(item.candidate.name)
    assert found["yearly"] == ["2026-01-01", "2025-01-01"]
    assert (len(found["monthly"]), found["monthly"][0], found["monthly"][-1]) == (
        15,
        "2026-03-01",
        "2025-01-01",
    )
    assert (len(found["weekly"]), found["weekly"][0], found["weekly"][-1]) == (13, "2026-03-15", "2025-12-21")
    assert (len(found["daily"]), found["daily"][0], found["daily"][-1]) == (30, "2026-03-15", "2026-02-14")
    assert len(kept(plan)) == 51


def test_half_a_year_without_backups() -> None:
    """After a pause the first new backup pushes out one day, not the history."""
    before = [replace(item, created_at=item.created_at - timedelta(days=183)) for item in daily(400)]
    newest = Candidate(name="new", created_at=NOW, size=1000, good=True)
    plan = plan_retention([newest, *before], Policy(keep_daily=Span(timedelta(days=30))), NOW)
    assert len(kept(plan)) == 30


def test_what_a_restore_replaced_waits_for_the_next_backup() -> None:
    """Safety backups grow old with the newest backup: where backups stop, they stay."""
    newest = Candidate(name="newest", created_at=NOW - timedelta(days=200), good=True)
    safety = Candidate(name="safety", created_at=newest.created_at - timedelta(days=1), aside=True)
    assert plan_retention([newest, safety], Policy(keep_last=1), NOW).doomed == ()


class TestDrops:
    """A table that lost most of its rows."""

    def history(self, *rows: int | None) -> list[Candidate]:
        """Nightly backups of one table with so many rows, the first number the newest."""
        return [
            Candidate(
                name=f"n{number}",
                created_at=NOW - timedelta(days=number),
                size=1000,
                good=True,
                tables={"other": 100_000} if count is None else {"t": count, "other": 100_000},
            )
            for number, count in enumerate(rows)
        ]

    def reasons(self, history: list[Candidate], days: int = 0) -> dict[str, tuple[str, ...]]:
        """Why each is kept, with the whole history so many days older."""
        newest = Candidate(name="today", created_at=NOW, size=1000, good=True, tables=history[0].tables)
        moved = [replace(item, created_at=item.created_at - timedelta(days=days)) for item in history]
        plan = plan_retention([newest, *moved] if days else moved, Policy(keep_last=1), NOW)
        return {item.candidate.name: item.reasons for item in plan.decisions}

    @pytest.mark.parametrize("after", [0, 499, None])
    def test_the_last_good_one_before_it_is_kept(self, after: int | None) -> None:
        """Emptied, more than halved or dropped: what had the rows stays thirty days."""
        history = self.history(after, after, 1000, 1000)
        assert self.reasons(history)["n2"] == ("before the drop of t",)
        assert self.reasons(history)["n3"] == ()
        assert self.reasons(history, 28)["n2"] == ("before the drop of t",)
        assert self.reasons(history, 31)["n2"] == ()

    @pytest.mark.parametrize("rows", [(500, 1000), (0, 999), (2000, 1000)])
    def test_no_drop(self, rows: tuple[int, int]) -> None:
        """Half is no drop, and neither is the loss of few rows."""
        assert self.reasons(self.history(*rows))["n1"] == ()

    def test_a_bad_one_is_not_what_had_the_rows(self) -> None:
        """What is kept is the last good one before the drop."""
        history = self.history(0, 1000, 1000)
        history[1] = replace(history[1], good=None)
        assert self.reasons(history)["n2"] == ("before the drop of t",)

    def test_a_volatile_table(self) -> None:
        """Twice within ten backups is a habit: it is listed, and nothing is kept for it."""
        history = self.history(0, 5000, 0, 5000, 5000)
        plan = plan_retention(history, Policy(keep_last=1), NOW)
        assert plan.volatile == ("t",)
        assert all("drop" not in reason for item in plan.decisions for reason in item.reasons)

    def test_uncounted(self) -> None:
        """Backups whose counts nobody here knows say nothing about rows."""
        history = [replace(item, tables=None) for item in self.history(0, 1000)]
        assert self.reasons(history)["n1"] == ()


def test_the_whole_shrinks() -> None:
    """A newest backup with less than half as many rows as usual stops all deletion, whatever its size."""
    usual = [replace(item, tables={"t": 600}) for item in daily(400)]
    for rows, refused in ((299, True), (300, False)):
        plan = plan_retention([replace(usual[0], tables={"t": rows}), *usual[1:]], DEFAULT_POLICY, NOW)
        assert (plan.refusal is not None and "rows" in plan.refusal) is refused


def test_a_newest_one_from_the_future() -> None:
    """While what was made last is more than an hour ahead of this clock nothing goes; an older one is kept, and no more."""
    history = daily(400)
    for ahead, refused in ((timedelta(minutes=59), False), (timedelta(days=365), True)):
        moved = [replace(history[0], created_at=NOW + ahead), *history[1:]]
        plan = plan_retention(moved, DEFAULT_POLICY, NOW)
        assert (plan.refusal is not None and "from the future" in plan.refusal) is refused
    ordered = [replace(item, sequence=400 - number) for number, item in enumerate(history)]
    ordered[5] = replace(ordered[5], created_at=NOW + timedelta(days=365))
    plan = plan_retention(ordered, Policy(keep_last=1), NOW)
    assert kept(plan) == {ordered[0].name, ordered[5].name}
    reasons = {item.candidate.name: item.reasons for item in plan.decisions}
    assert reasons[ordered[5].name] == ("from the future",)


@given(st.lists(st.integers(-2000, 2000), min_size=1, max_size=40))
def test_times_that_fall(hours: list[int]) -> None:
    """Whatever clocks said, the plan has one decision for each, in the order of their sequence, and keeps the last one."""
    moments = [NOW - timedelta(days=100) + timedelta(hours=number) for number in hours]
    history = [
        Candidate(name=f"b{number:02}", created_at=moment, sequence=number, size=1, good=True)
        for number, moment in enumerate(moments)
    ]
    plan = plan_retention(history, Policy(keep_daily=Span(timedelta(days=5))), NOW)
    assert [item.candidate.name for item in plan.decisions] == [item.name for item in history[::-1]]
    assert history[-1].name in kept(plan)


def nights(*runs: tuple[str, int]) -> list[Candidate]:
    """Nightly good backups in the order in which they were made: so many from each day on, as their clocks said."""
    moments = [
        datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(days=number)
        for day, count in runs
        for number in range(count)
    ]
    return [
        Candidate(name=f"{number:03}", created_at=moment, sequence=number, size=1, good=True)
        for number, moment in enumerate(moments)
    ]


@pytest.mark.parametrize(
    "runs",
    [
        [("2026-05-01", 10), ("2025-05-11", 3), ("2026-05-14", 1)],
        [("2026-05-01", 10), ("2025-05-11", 12), ("2026-05-23", 1)],
        [("2026-01-01", 2), ("2025-01-03", 2), ("2026-01-05", 1)],
        [("2026-05-01", 10), ("1970-01-01", 20), ("2026-05-23", 1)],
        [("2026-05-01", 10), ("2025-05-11", 12)],
    ],
)
def test_a_clock_set_back_deletes_nothing(runs: list[tuple[str, int]]) -> None:
    """However many nights it was wrong: what may be right is kept, and so is what may be wrong."""
    history = nights(*runs)
    now = datetime(2026, 6, 1, tzinfo=UTC)
    plan = plan_retention(history, Policy(keep_daily=Span(timedelta(days=30))), now)
    assert plan.doomed == ()


def test_a_run_that_outvotes_the_right_one() -> None:
    """More backups with a wrong clock than with a right one push no right one out."""
    right = nights(("2026-04-01", 30))
    wrong = [
        Candidate(
            name=f"w{hour:02}",
            created_at=datetime(1970, 1, 1, hour, tzinfo=UTC),
            sequence=30 + hour,
            good=True,
        )
        for hour in range(24)
    ] + [
        Candidate(
            name=f"x{hour:02}",
            created_at=datetime(1970, 1, 2, hour, tzinfo=UTC),
            sequence=60 + hour,
            good=True,
        )
        for hour in range(11)
    ]
    newest = Candidate(name="new", created_at=datetime(2026, 5, 2, tzinfo=UTC), sequence=99, good=True)
    plan = plan_retention(
        [*right, *wrong, newest],
        Policy(keep_daily=Span(timedelta(days=30))),
        datetime(2026, 5, 3, tzinfo=UTC),
    )
    assert kept(plan) >= {item.name for item in right} | {"new", "w00", "x00"}


def test_order_is_by_recorded_time_never_by_name() -> None:
    """A name that sorts last does not make the oldest backup the newest."""
    old = Candidate(name="zzz", created_at=START, good=True)
    new = Candidate(name="aaa", created_at=NOW, good=True)
    plan = plan_retention([old, new], Policy(keep_last=1), NOW)
    assert [item.name for item in plan.doomed] == ["zzz"]


@pytest.mark.parametrize(
    ("newest", "why"),
    [
        ({"good": None}, "not verified"),
        ({"good": False}, "failed"),
        ({"size": 400}, "half as large"),
    ],
)
def test_nothing_goes_while_the_newest_is_doubtful(newest: dict[str, object], why: str) -> None:
    """An unverified, failed or suspiciously small newest backup stops all deletion, and the plan says why."""
    history = daily(400)
    history[0] = replace(history[0], **newest)  # type: ignore[arg-type] # one field of several types
    plan = plan_retention(history, DEFAULT_POLICY, NOW)
    assert plan.refusal is not None
    assert why in plan.refusal
    assert plan.doomed == ()
    assert plan_retention(daily(400), DEFAULT_POLICY, NOW).doomed != ()


def test_where_backups_stop_nothing_expires() -> None:
    """Ages are counted to the newest backup: a century later the same ones are kept."""
    history = daily(100)
    then = plan_retention(history, DEFAULT_POLICY, NOW)
    later = plan_retention(history, DEFAULT_POLICY, NOW + timedelta(days=36500))
    assert kept(then) == kept(later)


def test_a_clock_that_ran_ahead_deletes_nothing() -> None:
    """One backup from the year 2099 does not make all others too old."""
    history = daily(30)
    ahead = Candidate(name="ahead", created_at=datetime(2099, 1, 1, tzinfo=UTC), size=1000, good=True)
    plan = plan_retention([*history, ahead], DEFAULT_POLICY, NOW)
    assert kept(plan) == {item.name for item in [*history, ahead]}


def test_bad_backups_stand_for_nothing() -> None:
    """A failed backup represents no period: the next one of its day does, and it may go itself."""
    bad = Candidate(name="bad", created_at=datetime(2026, 12, 1, 1, tzinfo=UTC), size=1000, good=False)
    plan = plan_retention([*daily(31), bad], DEFAULT_POLICY, NOW)
    assert [item.name for item in plan.doomed] == ["bad"]


def test_safety_backups_stand_aside() -> None:
    """What a restore replaced stays a month, pushes nothing out, and is no newest backup."""
    history = daily(40)
    young = Candidate(name="young", created_at=NOW, size=10, aside=True)
    old = Candidate(name="old", created_at=NOW - timedelta(days=45), size=10, aside=True)
    plan = plan_retention([*history, young, old], DEFAULT_POLICY, NOW)
    assert plan.refusal is None
    assert "young" in kept(plan)
    assert "old" not in kept(plan)


def test_nothing_but_safety_backups() -> None:
    """Where only backups of restores are left, nothing is deleted."""
    only = Candidate(name="old", created_at=START, aside=True)
    newer = Candidate(name="new", created_at=NOW, aside=True)
    assert plan_retention([only, newer], DEFAULT_POLICY, NOW).doomed == ()
    assert plan_retention([], DEFAULT_POLICY, NOW).decisions == ()


def test_an_unverified_first_does_not_stand_alone() -> None:
    """Where the first of a day was never verified, the first good one of that day stays beside it; later ones go."""
    day = datetime(2026, 12, 10, tzinfo=UTC)
    first, second, third = (
        Candidate(name=name, created_at=day + timedelta(hours=hour), size=1000, good=good)
        for hour, (name, good) in enumerate([("first", None), ("second", True), ("third", True)], 1)
    )
    plan = plan_retention(
        [*daily(15), first, second, third], Policy(keep_daily=Span(timedelta(days=30))), NOW
    )
    assert {"first", "second"} <= kept(plan)
    assert "third" not in kept(plan)
