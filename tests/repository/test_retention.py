"""Retention: any history, any policy. What is kept is always enough, and every rule is met."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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


@given(histories(least=1), POLICIES)
def test_every_rule_is_met(history: list[Candidate], policy: Policy) -> None:
    """Each period that a rule covers whole keeps one that is not bad, and a good one where it has one."""
    names = kept(plan_retention(history, policy, NOW))
    newest = max(item.created_at for item in history)
    for rule, period_of in PERIODS.items():
        span = getattr(policy, rule)
        if span is None:
            continue
        for wanted in (lambda item: item.good is not False, lambda item: item.good):
            chosen = [item for item in history if wanted(item)]
            for period in {period_of(item.created_at) for item in chosen}:
                inside = [item for item in chosen if period_of(item.created_at) == period]
                if all(newest - item.created_at <= span for item in inside):
                    assert names & {item.name for item in inside}, (rule, period)
    sound = sorted((item for item in history if item.good is not False), key=lambda item: item.created_at)
    assert len(names) >= min(policy.keep_last, len(sound))


@given(histories(least=1), POLICIES, st.integers(1, 60 * 24 * 60))
def test_a_later_backup_pushes_none_out_early(history: list[Candidate], policy: Policy, minutes: int) -> None:
    """With one more backup, whatever sound one a period's rule kept stays by that rule until its own time is over."""
    before = plan_retention(history, policy, NOW)
    newest = max(item.created_at for item in history)
    later = Candidate(name="later", created_at=newest + timedelta(minutes=minutes), size=1200, good=True)
    after = plan_retention([*history, later], policy, NOW + timedelta(days=90))
    reasons = {item.candidate.name: set(item.reasons) for item in after.decisions}
    for item in before.decisions:
        for reason in item.reasons:
            rule = reason.split()[0]
            span = getattr(policy, f"keep_{rule}", None)
            young = isinstance(span, timedelta) and later.created_at - item.candidate.created_at <= span
            if young and item.candidate.good is not False:
                assert reason in reasons[item.candidate.name]


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
    """Of ten years of daily backups stay 31 days, 13 weeks from Sunday, 24 months and 7 years, and nothing else."""
    plan = plan_retention(daily(3650), DEFAULT_POLICY, NOW)
    rules = [reason.split()[0] for item in plan.decisions for reason in item.reasons]
    counted = {rule: rules.count(rule) for rule in ("daily", "weekly", "monthly", "yearly")}
    assert counted == {"daily": 31, "weekly": 13, "monthly": 24, "yearly": 7}
    for item in plan.decisions:
        for reason in item.reasons:
            if reason.startswith("weekly"):
                assert item.candidate.created_at.isoweekday() == 7
            if reason.startswith("monthly"):
                assert item.candidate.created_at.day == 1
    assert len(kept(plan)) < 31 + 13 + 24 + 7


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
