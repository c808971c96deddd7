"""Leases: word in a store that somebody reads or deletes there."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from ops.errors import LockHeldError, OpsError, StoreError
from ops.formats.lease import DELETING, READING, Note, from_json, lease_name, parse_lease_name, to_json
from ops.fsio.writer_marks import Writer
from ops.ports.store import OWN_PREFIX, StoredFile
from ops.repository.leases import Lease, Observer, all_notes, delete_lease, read_lease
from ops.repository.notes import new_note
from ops.repository.transfer import put_new
from ops.run.job import Job
from ops.stores.memory import MemoryStore
from tests.dead import ELSEWHERE, gone

pytestmark = pytest.mark.long

READERS = f"{OWN_PREFIX}{READING}a.db/"
DELETERS = f"{OWN_PREFIX}{DELETING}place/"
SHORT_S = 0.4


def note_of(writer: object, *, length_s: float = SHORT_S, renewed: bool = True) -> Note:
    """A note by such a process."""
    return replace(
        new_note("drill", "a.db", Job()),
        writer=str(writer),
        length_s=length_s,
        renewed=renewed,
        host="elsewhere",
    )


def put_lease(store: MemoryStore, folder: str, note: Note, count: int = 0, lease_id: str = "") -> str:
    """A lease that nobody renews; its id."""
    lease_id = lease_id or secrets.token_hex(8)
    put_new(store, f"{folder}{lease_name(lease_id, count)}", to_json(note))
    return lease_id


def deleter() -> Note:
    """Our own note of a run that deletes."""
    return replace(new_note("prune", "prices", Job()), length_s=SHORT_S)


def leases_in(store: MemoryStore) -> list[str]:
    """What is left of leases."""
    return [key for key in store.files if "/leases/" in key]


def test_a_note_is_read_as_it_was_written() -> None:
    """What a note says comes back; what says nothing sensible is none."""
    note = note_of(ELSEWHERE)
    assert from_json(to_json(note)) == note
    for bad in (b"", b"{}", b"[]", b"x", to_json(replace(note, length_s=0)), b"[" * 100_000):
        assert from_json(bad) is None
    assert parse_lease_name(lease_name("0" * 16, 7)) == ("0" * 16, 7)
    assert parse_lease_name("x.1.json") is None


def test_it_is_there_while_the_block_runs() -> None:
    """A reader's lease is seen from outside while it reads, tells who reads, and is gone afterwards."""
    store = MemoryStore()
    with read_lease(store, "a.db", "drill", Job(job_id="j-1")):
        (note,) = Observer(store).readers("a.db")
        assert (note.verb, note.subject, note.job_id) == ("drill", "a.db", "j-1")
        assert [str(item) for item in all_notes(store)] == [str(note)]
        assert Observer(store).readers("b.db") == []
    assert leases_in(store) == []
    assert all_notes(store) == []


def test_it_is_renewed_under_a_new_name() -> None:
    """While its owner lives, a lease changes within its length, and only one of it is there."""
    store = MemoryStore()
    lease = Lease(store, READERS, note_of("x"))
    with lease.held():
        deadline = time.monotonic() + 30
        while lease.count < 3:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert leases_in(store) == []


def test_the_living_of_another_machine_is_seen_by_its_changes() -> None:
    """A lease whose owner cannot be asked lives when it changes within its length."""
    store = MemoryStore()
    lease = Lease(store, READERS, note_of(ELSEWHERE))
    with lease.held():
        assert list(Observer(store).living(READERS)) == [lease.id]


def test_one_that_sleeps_is_taken_for_dead() -> None:
    """A lease that does not change for its whole length is removed, and remembered as dead when it comes again."""
    store, observer = MemoryStore(), None
    lease_id = put_lease(store, READERS, note_of(ELSEWHERE))
    observer = Observer(store)
    assert len(observer.readers("a.db")) == 1, "without waiting, nobody can say that it is dead"
    started = time.monotonic()
    assert observer.living(READERS) == {}
    assert time.monotonic() - started >= SHORT_S
    assert leases_in(store) == []
    put_lease(store, READERS, note_of(ELSEWHERE), count=5, lease_id=lease_id)
    assert observer.readers("a.db") == []


def test_nobody_waits_for_readers_of_what_stays() -> None:
    """A prune finds out only about readers of what it would delete: the lease of another backup costs it no time."""
    store = MemoryStore()
    put_lease(store, READERS, note_of(ELSEWHERE, length_s=10**6))
    observer = Observer(store)
    observer.watch_readers(["b.db"])
    assert len(observer.readers("a.db")) == 1


def test_the_dead_of_this_machine_are_known_at_once() -> None:
    """Nobody waits for a process of this machine that is gone, however long its lease is; its lease is removed."""
    store = MemoryStore()
    put_lease(store, READERS, note_of(gone(), length_s=10**9))
    put_lease(store, READERS, note_of(gone(), length_s=10**9, renewed=False))
    put_lease(store, READERS, note_of(Writer.here(), length_s=10**9))
    assert Observer(store).readers("a.db") == []
    assert leases_in(store) == []


def test_where_versions_stay_it_is_written_once() -> None:
    """In a store that keeps versions a lease is never renewed, and dead after a day by the store's own clock."""

    class Versioned(MemoryStore):
        def keeps_versions(self) -> bool | None:
            return None

    now = [0.0]
    store = Versioned(clock=lambda: now[0])
    with read_lease(store, "a.db", "drill", Job()):
        (key,) = leases_in(store)
        note = from_json(store.files[key])
        assert note is not None
        assert (note.renewed, note.length) == (False, timedelta(days=1))
    put_lease(store, READERS, replace(note, writer=str(ELSEWHERE)))
    observer = Observer(store)
    assert len(observer.living(READERS)) == 1
    now[0] = 86_399
    assert len(observer.living(READERS)) == 1
    now[0] = 86_400
    assert observer.living(READERS) == {}


def test_what_cannot_be_read_is_as_long_as_any() -> None:
    """A lease that says nothing sensible is left alone for a day by the store's clock."""
    now = [0.0]
    store = MemoryStore(clock=lambda: now[0])
    put_new(store, f"{READERS}{lease_name('0' * 16, 0)}", b"{}")
    assert Observer(store).readers("a.db") == []
    assert len(leases_in(store)) == 1
    now[0] = 86_400
    assert Observer(store).readers("a.db") == []
    assert leases_in(store) == []


def test_one_deletes_at_a_time() -> None:
    """While one run deletes, another of the same source is told by whom; after it, it goes on; other places do not wait."""
    store = MemoryStore()
    with delete_lease(store, "place", deleter(), 0) as first:
        assert first is not None
        with pytest.raises(LockHeldError, match="prune on"), delete_lease(store, "place", deleter(), 0):
            pytest.fail("two delete")
        with delete_lease(store, "other", deleter(), 0) as other:
            assert other is not None
    with delete_lease(store, "place", deleter(), 0) as again:
        assert again is not None
    assert leases_in(store) == []


def test_two_that_begin_together() -> None:
    """However often two begin at the same moment, never both delete; with patience both get their turn."""
    store, at_work, most = MemoryStore(), [0], [0]
    lock = threading.Lock()

    def run(gate: threading.Barrier) -> None:
        gate.wait()
        with delete_lease(store, "place", deleter(), 60) as lease:
            assert lease is not None
            with lock:
                at_work[0] += 1
                most[0] = max(most[0], at_work[0])
            time.sleep(0.005)
            with lock:
                at_work[0] -= 1

    for _ in range(10):
        gate = threading.Barrier(3)
        threads = [threading.Thread(target=run, args=(gate,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(100)
            assert not thread.is_alive()
    assert most == [1]


def test_a_deleter_that_slept_stops() -> None:
    """A run whose lease was taken for dead while it slept finds that out before its next deletion."""
    store = MemoryStore()
    sleeping = replace(deleter(), writer=str(ELSEWHERE), renewed=False, length_s=0.01)
    lease = Lease(store, DELETERS, sleeping)
    with lease.held():
        time.sleep(0.02)
        lease.require()
        store.delete(lease.key)
        with pytest.raises(LockHeldError, match="taken for dead"):
            lease.require()


def test_a_lease_that_was_taken_away_does_not_come_back() -> None:
    """Renewing ends when somebody has removed the lease: a sleeper must not take back what others use by now."""
    store = MemoryStore()
    lease = Lease(store, DELETERS, note_of(ELSEWHERE, length_s=0.03))
    with lease.held():
        for key in leases_in(store):
            store.delete(key)
        time.sleep(0.2)
        for key in leases_in(store):  # a renewal may have been under way
            store.delete(key)
        time.sleep(0.1)
        assert leases_in(store) == []


class Mute(MemoryStore):
    """A store whose listings show no leases."""

    def list(self, prefix: str = "") -> Iterator[StoredFile]:
        """All but those."""
        return (stored for stored in super().list(prefix) if "/leases/" not in stored.key)


class Forbidding(MemoryStore):
    """A store in which nothing of ours may be written."""

    def put(self, key: str, file: Path) -> None:
        """Not there."""
        if key.startswith(OWN_PREFIX):
            raise StoreError("no", code="store.refused")
        super().put(key, file)


@pytest.mark.parametrize("kind", [Mute, Forbidding])
def test_where_there_are_none(kind: type[MemoryStore]) -> None:
    """A store that takes or shows no leases is told as such: nothing is taken for a lease that holds."""
    with delete_lease(kind(), "place", deleter(), 0) as lease:
        assert lease is None


def test_a_store_that_breaks_while_a_lease_is_held() -> None:
    """What the block raises is what is heard, also when the lease cannot be taken back."""

    class Breaking(MemoryStore):
        broken = False

        def delete(self, key: str) -> None:
            if self.broken:
                raise StoreError("gone", code="store.unreachable")
            super().delete(key)

    def read(store: Breaking) -> None:
        with read_lease(store, "a.db", "drill", Job()):
            Breaking.broken = True
            raise StoreError("the disk")

    with pytest.raises(OpsError, match="the disk"):
        read(Breaking())
