"""What time the server says it is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ops.actions.backup import take_backup
from ops.actions.begin_backup import BackupRequest
from ops.repository.repository import Repository
from ops.run.job import Job
from ops.sources.sqlite.source import SqliteSource
from ops.stores.s3 import connection
from tests.stores.conftest import NewStore

pytestmark = pytest.mark.long


def test_nothing_is_known_before_an_answer(new_store: NewStore) -> None:
    """A store that was not asked anything says nothing, and then what the last answer said."""
    store = new_store()
    assert store.clock_ahead() is None
    assert list(store.list()) == []
    ahead = store.clock_ahead()
    assert ahead is not None
    assert abs(ahead) < timedelta(minutes=1)


@pytest.mark.parametrize(("wrong", "told"), [(0, False), (4, False), (10, True), (-10, True)])
def test_a_backup_compares(
    new_store: NewStore, source: SqliteSource, monkeypatch: pytest.MonkeyPatch, wrong: int, told: bool
) -> None:
    """Ten minutes apart are a warning of the backup, in either direction; the backup is made."""

    class Shifted(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override] # the test has one clock
            return datetime.now(UTC) + timedelta(minutes=wrong)

    monkeypatch.setattr(connection, "datetime", Shifted)
    store = new_store(prefix=f"clock-{wrong}")
    taken = take_backup(source, Repository(store=store), BackupRequest(), Job())
    found = [item.message for item in taken.findings if item.code == "clock.differs"]
    assert bool(found) is told
    assert not told or ("behind" in found[0]) is (wrong > 0)
