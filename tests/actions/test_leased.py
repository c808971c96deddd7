"""One at a time in stores that know no locks: readers, deleters, and stores that show no leases."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from ops.actions.prune import Pruned, PruneRequest, prune
from ops.errors import BackupError, LockHeldError
from ops.formats.names import manifest_key, tombstone_key
from ops.model.findings import Severity
from ops.ports.store import StoredFile
from ops.repository.catalog import read_catalogue
from ops.repository.find import find_backup
from ops.repository.listing import list_backups
from ops.repository.locks import being_judged, being_read, in_use
from ops.repository.repository import Repository
from ops.repository.retention import Policy
from ops.run.job import Job
from ops.stores.memory import MemoryStore
from tests.histories import WHOSE, looked_at, stored_backup

NOW = datetime(2026, 6, 30, 12, tzinfo=UTC)


class Mute(MemoryStore):
    """A store whose listings never show leases: eventually consistent ones do not for a while."""

    def list(self, prefix: str = "") -> Iterator[StoredFile]:
        """All but those."""
        return (stored for stored in super().list(prefix) if "/leases/" not in stored.key)


def fill(store: MemoryStore, count: int = 4) -> list[str]:
    """Daily verified backups, oldest first; their names."""
    moments = [NOW - timedelta(days=count - number) for number in range(count)]
    return [looked_at(stored_backup(store, moment)).name for moment in moments]


def pruned(store: MemoryStore, wait_s: float = 0) -> Pruned:
    """Keep the newest one of `prices`."""
    request = PruneRequest(whose=WHOSE, policy=Policy(keep_last=1), wait_s=wait_s)
    return prune(Repository(store=store), request, Job(clock=lambda: NOW))


def names(store: MemoryStore) -> set[str]:
    """The backups in a store."""
    return {backup.name for backup in read_catalogue(store).backups}


def test_what_is_read_stays() -> None:
    """A backup that somebody reads stays, says who, and goes with the next prune; the others go."""
    store = MemoryStore()
    first, second, third, newest = fill(store)
    with being_read(find_backup(store, second), "drill", Job(job_id="j-7")) as noticed:
        assert noticed == []
        done = pruned(store)
        assert set(done.deleted) == {first, third}
        (finding,) = [item for item in done.findings if item.code == "prune.in_use"]
        assert finding.where == second
        assert "drill on" in finding.message
        assert "j-7" in finding.message
        assert tombstone_key(second) not in store.files
        assert names(store) == {second, newest}
        (who,) = in_use(store)
        assert (who.severity, who.code, who.where) == (Severity.OK, "store.in_use", second)
    assert pruned(store).deleted == (second,)
    assert in_use(store) == []
    assert not [key for key in store.files if "/leases/" in key]


def test_nobody_reads_what_is_gone() -> None:
    """Reading a backup that was deleted a moment ago says so; a verdict on one that goes meanwhile, too."""
    store = MemoryStore()
    first, *_ = fill(store)
    backup = find_backup(store, first)
    with pytest.raises(BackupError, match="a moment ago"), being_judged(backup, "drill", Job()):
        store.delete(manifest_key(first))
    with pytest.raises(BackupError, match="a moment ago"), being_read(backup, "drill", Job()):
        pytest.fail("it is gone")
    assert not [key for key in store.files if "/leases/" in key]


def test_a_stale_tombstone_keeps_nobody_from_reading() -> None:
    """A deletion that was cut off before anything went leaves a backup that can be restored."""
    store = MemoryStore()
    first, *_ = fill(store)
    store.files[tombstone_key(first)] = b'{"source": "prices"}'
    with being_read(find_backup(store, first), "restore", Job()):
        pass


def test_two_prune_at_once() -> None:
    """While one run prunes a source, another is told who is at it, and deletes nothing."""
    store = MemoryStore()
    fill(store)
    refused: list[LockHeldError] = []

    class Meeting(MemoryStore):
        def delete(self, key: str) -> None:
            if key.endswith(".manifest.json") and not refused:
                before = set(self.files)
                with pytest.raises(LockHeldError) as caught:
                    pruned(self)
                refused.append(caught.value)
                assert {key for key in before if "/leases/" not in key} <= set(self.files)
            super().delete(key)

    meeting = Meeting(files=store.files)
    assert len(pruned(meeting).deleted) == 3
    assert "prune on" in refused[0].message


def test_where_no_lease_is_seen_the_payload_stays_for_a_day() -> None:
    """Without leases a manifest goes now and the payload a day later by the store's clock; the list says so, exit code 0."""
    now = [0.0]
    store = Mute(clock=lambda: now[0])
    *doomed, newest = fill(store)
    done = pruned(store)
    assert set(done.deleted) == set(doomed)
    assert "prune.later" in {item.code for item in done.findings}
    assert names(store) == {newest}
    assert set(doomed) <= set(store.files)
    for findings in (read_catalogue(store).findings, list_backups(store, None).findings):
        assert [(item.severity, item.code) for item in findings] == [(Severity.OK, "prune.later")] * 3
    now[0] = 86_399
    assert pruned(store).deleted == ()
    assert set(doomed) <= set(store.files)
    now[0] = 86_400
    assert set(pruned(store).deleted) == set(doomed)
    assert {key for key in store.files if not key.startswith((".", newest))} == set()


def test_what_another_place_deletes_is_its_own() -> None:
    """A tombstone of another machine's prune is not finished by ours for seven days: it may be at work."""
    now = [0.0]
    store = MemoryStore(clock=lambda: now[0])
    first, *_, newest = fill(store)
    from tests.histories import put

    put(store, tombstone_key(first), b'{"source": "prices", "place": "0123456789abcdef"}')
    store.delete(manifest_key(first))
    pruned(store)
    assert first in store.files
    now[0] = 7 * 86_400
    assert pruned(store).deleted == (first,)
    assert {key for key in store.files if not key.startswith((".", newest))} == set()
