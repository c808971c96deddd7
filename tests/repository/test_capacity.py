"""How full a store is, and when it will be full."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

import pytest

from ops.fsio.remove import remove_tree
from ops.repository.capacity import _held
from ops.repository.catalog import sizes_in
from ops.repository.forecast import Habit, Usage, forecast_full
from ops.repository.retention import Candidate, Policy
from ops.stores.local.store import LocalStore
from ops.stores.memory import MemoryStore
from ops.units import Span
from tests.histories import stored_backup
from tests.listings import day, put_all_kinds

NOW = datetime(2026, 6, 30, 12, tzinfo=UTC)
FOREVER = Policy(forever=True)
WEEK = Policy(keep_daily=Span(timedelta(days=7)))


def daily(count: int, policy: Policy, *, size: int = 100, growth: int = 0) -> Habit:
    """Daily backups until today, the newest of `size`, each `growth` larger than the one before."""
    return Habit(
        tuple(
            Candidate(
                name=f"d{days}", created_at=NOW - timedelta(days=days), size=size - growth * days, good=True
            )
            for days in range(count)
        ),
        policy,
    )


def used(*habits: Habit) -> int:
    """What the backups of these take."""
    return sum(item.size for habit in habits for item in habit.candidates)


@pytest.mark.parametrize(("used_bytes", "high"), [(80, False), (81, True), (100, True), (150, True)])
def test_high_is_above_eighty_percent(used_bytes: int, high: bool) -> None:
    """The warning line is 80 % of the limit; nothing at all may be held where the limit is 0."""
    assert Usage(used_bytes, 100).is_high is high
    assert Usage(0, 0).is_high


def test_kept_for_ever_it_fills_up_in_time() -> None:
    """What is never deleted reaches the limit on the day that arithmetic gives, to the week."""
    habit = daily(20, FOREVER)
    full = forecast_full([habit], Usage(used(habit), 20 * 100 + 60 * 100), NOW)
    assert full is not None
    assert timedelta(days=56) <= full - NOW <= timedelta(days=67)


def test_retention_holds_it_steady() -> None:
    """Where as much is pruned as is added, it is never full."""
    habit = daily(8, WEEK)
    assert forecast_full([habit], Usage(used(habit), 2000), NOW) is None


def test_growth_counts() -> None:
    """The same retention of backups that grow by a fiftieth a day is full within the year, and not at once."""
    habit = daily(8, WEEK, size=1000, growth=20)
    full = forecast_full([habit], Usage(used(habit), 16_000), NOW)
    assert full is not None
    assert timedelta(days=30) < full - NOW < timedelta(days=90)


def test_shrinking_backups_never_make_room_by_forecast() -> None:
    """One small week does not promise an empty disk."""
    habit = daily(20, FOREVER, size=100, growth=-5)
    assert forecast_full([habit], Usage(used(habit), used(habit) + 3000), NOW) is not None


def test_other_things_in_the_store_count() -> None:
    """What is no backup takes room too; a store that is full is full now."""
    habit = daily(8, WEEK)
    assert forecast_full([habit], Usage(5000, 4000), NOW) == NOW


@pytest.mark.parametrize("count", [0, 1])
def test_no_habit_no_forecast(count: int) -> None:
    """Nothing is said from less than two backups of the last four weeks."""
    assert forecast_full([daily(count, FOREVER)], Usage(0, 10), NOW) is None


def test_backups_at_one_moment() -> None:
    """Two backups of one instant are no reason to fail or to run for ever."""
    same = tuple(Candidate(name=str(n), created_at=NOW, size=10, good=True) for n in range(3))
    assert forecast_full([Habit(same, FOREVER)], Usage(30, 10_000), NOW) is not None


@pytest.mark.parametrize("folders", [False, True])
def test_what_a_store_holds(store: LocalStore, folders: bool) -> None:
    """It is the bytes of what a listing of all files has, and of each payload what is there, links and hidden files apart."""
    put_all_kinds(store)
    whole = [stored_backup(store, day(50), content=b"abc")]
    if folders:
        whole.append(stored_backup(store, day(51), files=3, content=b"abc"))
    else:
        for path in store.options.path.iterdir():
            if path.is_dir():
                remove_tree(path)
    (store.options.path / "link.db").symlink_to("README")
    os.mkfifo(store.options.path / "pipe.db")
    (store.options.path / ".hidden").write_bytes(b"hidden")
    names = {item.name for item in whole} | {"link.db", "gone.db"}
    used, present = _held(store, names)
    assert used == sum(sizes_in(store).values())
    assert present == {item.name: item.manifest.size for item in whole}


def test_what_a_store_elsewhere_holds() -> None:
    """The same of a store that is no folder here."""
    store = MemoryStore()
    backup = stored_backup(store, day(0), files=3)
    used, present = _held(store, {backup.name})
    assert (used, present) == (sum(sizes_in(store).values()), {backup.name: backup.manifest.size})
