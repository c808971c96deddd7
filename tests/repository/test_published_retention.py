"""What other tools publish about their retention, beside ours: the same periods, another backup of each.

The differences are those that the retention page names: a period is represented by its first backup here and by its
last one there; weeks begin on Sunday here and on Monday there; every rule is applied for itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from ops.repository.periods import periods_in
from ops.repository.retention import Candidate, Plan, Policy, plan_retention
from ops.units import Span, parse_span

PUBLISHED = json.loads((Path(__file__).parent / "restic_forget.json").read_text())
LENGTHS = {
    "hourly": timedelta(hours=1),
    "daily": timedelta(days=1),
    "weekly": timedelta(weeks=1),
    "monthly": timedelta(days=30.4),
    "yearly": timedelta(days=365.25),
}
PERIODS: dict[str, Callable[[datetime], str]] = {
    "hourly": lambda moment: f"{moment:%Y-%m-%d %H}",
    "daily": lambda moment: f"{moment:%Y-%m-%d}",
    "monthly": lambda moment: f"{moment:%Y-%m}",
    "yearly": lambda moment: f"{moment:%Y}",
}


def moment(text: str) -> datetime:
    """A moment as it is published."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def sunday(day: date) -> date:
    """The first day of the week as we count weeks."""
    return day - timedelta(days=day.isoweekday() % 7)


def plan_of(times: Iterable[datetime], **counts: int) -> Plan:
    """Our plan for good backups at these times, with so many periods of each rule."""
    spans = {f"keep_{rule}": Span(count * LENGTHS[rule]) for rule, count in counts.items() if rule != "last"}
    policy = replace(Policy(keep_last=counts.get("last", 0)), **spans)  # type: ignore[arg-type]
    candidates = [
        Candidate(name=f"{time:%Y%m%dT%H%M%S.%f}", created_at=time, size=1, good=True) for time in times
    ]
    return plan_retention(candidates, policy, max(item.created_at for item in candidates))


def kept_by(plan: Plan, rule: str) -> list[datetime]:
    """What a rule keeps, newest first."""
    return [
        item.candidate.created_at
        for item in plan.decisions
        if any(reason.split()[0] == rule for reason in item.reasons)
    ]


@pytest.mark.parametrize("case", PUBLISHED["cases"], ids=lambda case: str(case["policy"]))
def test_the_periods_of_restic(case: dict[str, dict[str, list[str]]]) -> None:
    """Each rule keeps as many periods as restic's, the same ones, and of each the first backup."""
    history = [moment(text) for text in PUBLISHED["history"]]
    plan = plan_of(history, **case["policy"])  # type: ignore[arg-type] # numbers
    for rule, count in case["policy"].items():
        # restic names what only fills up a rule that has not enough periods "oldest": the first of that period here.
        theirs = [moment(text) for key in (rule, f"oldest {rule}") for text in case["kept"].get(key, [])]
        ours = kept_by(plan, rule)
        if rule == "last":
            assert ours == theirs
        elif rule == "weekly":
            weeks = sorted({sunday(item.date()) for item in history}, reverse=True)[: int(str(count))]
            assert [sunday(item.date()) for item in ours] == weeks
        else:
            period_of = PERIODS[rule]
            assert {period_of(item) for item in ours} == {period_of(item) for item in theirs}
            assert all(
                item == min(other for other in history if period_of(other) == period_of(item))
                for item in ours
            )


def test_the_example_of_borg() -> None:
    """A year of daily backups with a gap, 14 daily, 6 monthly, 1 yearly: what borg's documentation draws."""
    days = [date(2015, 1, 1) + timedelta(days=number) for number in range(365)]
    history = [
        datetime(day.year, day.month, day.day, 3, tzinfo=UTC) for day in days if day != date(2015, 12, 19)
    ]
    plan = plan_of(history, daily=14, monthly=6, yearly=1)
    theirs = [date(2015, 12, number) for number in (*range(31, 19, -1), 18, 17)]
    assert [item.date() for item in kept_by(plan, "daily")] == theirs
    # Borg leaves out December, which its daily rule has taken already, and keeps the last day of each month.
    assert [item.date() for item in kept_by(plan, "monthly")] == [
        date(2015, month, 1) for month in (12, 11, 10, 9, 8, 7)
    ]
    assert [item.date() for item in kept_by(plan, "yearly")] == [date(2015, 1, 1)]


@pytest.mark.parametrize(
    ("rule", "span", "count"),
    [
        ("daily", "30d", 30),
        ("weekly", "3mo", 13),
        ("monthly", "2y", 24),
        ("yearly", "7y", 7),
        ("hourly", "24h", 24),
        ("daily", "12h", 1),
        ("monthly", "1y", 12),
        ("weekly", "1y", 52),
    ],
)
def test_spans_are_numbers_of_periods(rule: str, span: str, count: int) -> None:
    """A span is rounded to the nearest number of its periods, at least one."""
    assert periods_in(rule, parse_span(span)) == count
