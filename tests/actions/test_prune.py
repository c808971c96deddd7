"""Pruning: whole backups, explained, in an order that a kill cannot hurt; and pins against it."""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import BinaryIO

import pytest

from ops.actions.prune import Pruned, PruneRequest, prune
from ops.errors import BackupError, LockHeldError, StoreError
from ops.formats.names import SAFETY_TAG, manifest_key, tombstone_key
from ops.fsio.locks import source_lock
from ops.model.findings import Severity, Verdict
from ops.ports.removal import BucketProtection, ObjectProtection
from ops.ports.store import OWN_PREFIX, Store
from ops.repository.catalog import read_catalogue
from ops.repository.find import find_backup
from ops.repository.locks import being_read
from ops.repository.pins import keep_backup, release_backup
from ops.repository.repository import Repository
from ops.repository.retention import Policy
from ops.run.job import Job
from ops.stores.local.store import LocalStore
from ops.stores.memory import MemoryStore
from tests.histories import WHOSE, looked_at, put, stored_backup

NOW = datetime(2026, 6, 30, 12, tzinfo=UTC)
LAST_TWO = Policy(keep_last=2)


class CutError(Exception):
    """The power went."""


class CutStore(MemoryStore):
    """A store that fails for good after so many deletions."""

    left = 1_000_000
    error: type[Exception] = CutError

    def delete(self, key: str) -> None:
        """Delete while there is power."""
        if self.left == 0:
            raise self.error("no more")
        self.left -= 1
        super().delete(key)


def fill(store: Store, count: int = 5, *, files: int = 1) -> list[str]:
    """Daily verified backups, oldest first; their names."""
    moments = [NOW - timedelta(days=count - number) for number in range(count)]
    return [looked_at(stored_backup(store, moment, files=files)).name for moment in moments]


def pruned(store: Store, policy: Policy = LAST_TWO, *, dry_run: bool = False, wait_s: float = 0) -> Pruned:
    """Prune the source `prices` now."""
    return prune(
        Repository(store=store),
        PruneRequest(whose=WHOSE, policy=policy, dry_run=dry_run, wait_s=wait_s),
        Job(clock=lambda: NOW),
    )


def names(store: Store) -> set[str]:
    """The backups in a store."""
    return {backup.name for backup in read_catalogue(store).backups}


@pytest.mark.parametrize("files", [1, 3])
def test_all_of_a_backup_goes_and_nothing_else(store: LocalStore, files: int) -> None:
    """Payload, checksum, manifest and evidence of what no rule keeps are gone; the others, and strangers, are whole."""
    all_names = fill(store, files=files)
    stored_backup(store, NOW - timedelta(days=90), source="other")
    put(store, "stranger.txt", b"x")
    before = {stored.key for stored in store.list()}
    done = pruned(store)
    assert list(done.deleted) == all_names[:3]
    assert done.freed == 3 * files * len(b"content")
    assert names(store) >= set(all_names[3:])
    gone = before - {stored.key for stored in store.list()}
    assert gone == {key for key in before if key.startswith(tuple(all_names[:3]))}


def test_a_dry_run_changes_nothing(store: LocalStore) -> None:
    """The plan names each backup with its rules, and every file stays."""
    fill(store)
    before = sorted((stored.key, stored.size) for stored in store.list())
    plan = pruned(store, dry_run=True)
    assert sorted((stored.key, stored.size) for stored in store.list()) == before
    assert plan.deleted == ()
    (decisions,) = [plan.decisions for plan in plan.plans.values()]
    assert [item.keep for item in decisions] == [True, True, False, False, False]
    assert decisions[0].reasons == ("newest", "last good", "last")


@pytest.mark.parametrize("verdict", [None, Verdict.FAILED, Verdict.INCONCLUSIVE])
def test_nothing_goes_while_the_newest_is_doubtful(store: LocalStore, verdict: Verdict | None) -> None:
    """A newest backup that is unverified, failed, or without a verdict stops it, with a warning that says why."""
    fill(store)
    newest = stored_backup(store, NOW)
    if verdict:
        looked_at(newest, verdict)
    done = pruned(store)
    assert done.deleted == ()
    assert [(item.code, item.severity) for item in done.findings] == [("prune.refused", Severity.WARNING)]
    assert newest.name in done.findings[0].message
    assert len(names(store)) == 6


def test_a_backup_whose_files_are_gone_is_not_the_last_good_one(store: LocalStore) -> None:
    """Old evidence does not make a backup good whose payload was taken away: the one before it is kept."""
    all_names = fill(store)
    store.delete(all_names[-1])
    done = pruned(store, Policy(keep_last=1))
    assert done.deleted == ()
    gone, refused = done.findings
    assert (gone.code, gone.where) == ("backup.payload_missing", all_names[-1])
    assert (refused.code, "payload is gone" in refused.message) == ("prune.refused", True)


def test_an_old_payload_that_is_gone_stops_nothing(store: LocalStore) -> None:
    """It is told each time, and what no rule keeps goes all the same, with the rest of that backup."""
    all_names = fill(store)
    store.delete(all_names[0])
    done = pruned(store, Policy(keep_last=1))
    assert [item.code for item in done.findings] == ["backup.payload_missing"]
    assert set(done.deleted) == set(all_names[:-1])
    assert [item.code for item in pruned(store, Policy(keep_last=1)).findings] == []


def test_scopes_do_not_push_each_other_out(store: LocalStore) -> None:
    """Backups of another scope are counted apart."""
    folders = fill(store, 3, files=2)
    single = looked_at(stored_backup(store, NOW - timedelta(days=40), scope="schema")).name
    assert set(pruned(store, Policy(keep_last=1)).deleted) == set(folders[:2])
    assert single in names(store)


def test_safety_backups_are_no_newest(store: LocalStore) -> None:
    """What a restore replaced does not stand in the way, and stays for its month."""
    all_names = fill(store)
    safety = stored_backup(store, NOW, tags=(SAFETY_TAG,))
    assert list(pruned(store).deleted) == all_names[:3]
    assert safety.name in names(store)


def test_pins(store: LocalStore) -> None:
    """A pin keeps a backup until its day or its release, and the plan gives the reason."""
    all_names = fill(store)
    job = Job(clock=lambda: NOW)
    keep_backup(find_backup(store, all_names[0]), "audit of May", None, job)
    keep_backup(find_backup(store, all_names[1]), "short", NOW + timedelta(days=1), job)
    plan = pruned(store, dry_run=True)
    reasons = {item.candidate.name: item.reasons for plan in plan.plans.values() for item in plan.decisions}
    assert reasons[all_names[0]] == ("pinned until released: audit of May",)
    assert reasons[all_names[1]] == ("pinned until 2026-07-01: short",)
    assert list(pruned(store).deleted) == [all_names[2]]
    assert len(release_backup(find_backup(store, all_names[0]), job)) == 1
    assert list(pruned(store).deleted) == [all_names[0]]
    later = Job(clock=lambda: NOW + timedelta(days=2))
    prune(Repository(store=store), PruneRequest(whose=WHOSE, policy=LAST_TWO), later)
    assert names(store) == set(all_names[3:])
    assert [stored.key for stored in store.list() if ".pin-" in stored.key] == []


def test_a_pin_that_can_not_be_read_still_holds(store: LocalStore) -> None:
    """A damaged pin is critical, and keeps its backup: somebody wanted it to stay."""
    all_names = fill(store)
    keep_backup(find_backup(store, all_names[0]), "x", NOW + timedelta(days=1), Job(clock=lambda: NOW))
    (key,) = [stored.key for stored in store.list() if ".pin-" in stored.key]
    path = store.path_of(key)
    path.write_bytes(path.read_bytes().replace(b"2026-07", b"2026-06"))
    done = pruned(store)
    assert all_names[0] not in done.deleted
    assert "backup.pin_invalid" in {item.code for item in done.findings if item.severity is Severity.CRITICAL}
    release_backup(find_backup(store, all_names[0]), Job())
    assert list(pruned(store).deleted) == [all_names[0]]


def test_one_that_is_read_stays_for_now(store: LocalStore) -> None:
    """A backup that a verify, drill or restore reads is not deleted under it, and goes with the next prune."""
    all_names = fill(store)
    with being_read(find_backup(store, all_names[0]), "drill", Job()):
        done = pruned(store)
        assert list(done.deleted) == all_names[1:3]
        assert [item.code for item in done.findings] == ["prune.in_use"]
    assert list(pruned(store).deleted) == [all_names[0]]


def test_one_that_is_gone_can_not_be_read(store: LocalStore) -> None:
    """A backup that was deleted after it was looked up is said to be gone, and is no failed backup."""
    backup = looked_at(stored_backup(store, NOW))
    store.delete(manifest_key(backup.name))
    with pytest.raises(BackupError, match="a moment ago"), being_read(backup, "drill", Job()):
        pass


@pytest.mark.parametrize("deletions", range(16))
def test_cut_off_anywhere_and_resumed(deletions: int) -> None:
    """Wherever it is cut off, no backup is half there, and the next prune ends with nothing left over."""
    store = CutStore()
    all_names = fill(store, files=2)
    store.left = deletions
    try:
        pruned(store)
    except CutError:
        for backup in read_catalogue(store).backups:
            assert all(entry.path in store.files for entry in backup.manifest.files), backup.name
    store.left = 1_000_000
    done = pruned(store)
    assert all(item.severity is Severity.OK for item in done.findings)
    assert names(store) == set(all_names[3:])
    assert all(key.startswith((OWN_PREFIX, *all_names[3:])) for key in store.files), sorted(store.files)


def test_cut_off_and_then_wanted_again() -> None:
    """A backup that was about to go and is pinned before its manifest went stays, whole."""
    store = CutStore()
    all_names = fill(store)
    store.left = 0
    with pytest.raises(CutError):
        pruned(store)
    assert tombstone_key(all_names[0]) in store.files
    store.left = 1_000_000
    keep_backup(find_backup(store, all_names[0]), "after all", None, Job(clock=lambda: NOW))
    assert all_names[0] not in pruned(store).deleted
    assert all_names[0] in names(store)
    assert tombstone_key(all_names[0]) not in store.files


def test_a_store_that_lets_nobody_delete() -> None:
    """Where deletion is denied, each backup is a critical finding, and all of them are still backups."""
    store = CutStore()
    all_names = fill(store)
    store.left, store.error = 0, StoreError
    done = pruned(store)
    assert [item.severity for item in done.findings] == [Severity.CRITICAL] * 3
    assert names(store) == set(all_names)


def test_unfinished_is_said(store: LocalStore) -> None:
    """What a prune left half deleted is no backup, and the list says what to run; another source's is left alone."""
    all_names = fill(store)
    content = b'{"version": 1, "source": "prices"}'
    put(store, tombstone_key(all_names[0]), content)
    store.delete(manifest_key(all_names[0]))
    put(store, tombstone_key("other.db"), b'{"version": 1, "source": "other"}')
    put(store, "other.db", b"x")
    codes = [(item.code, item.where) for item in read_catalogue(store).findings]
    assert sorted(codes) == [("prune.unfinished", all_names[0]), ("prune.unfinished", "other.db")]
    done = pruned(store)
    assert done.deleted[0] == all_names[0]
    assert "prune.resumed" in {item.code for item in done.findings}
    assert {"other.db", tombstone_key("other.db")} <= {stored.key for stored in store.list()}


def test_one_run_at_a_time(store: LocalStore) -> None:
    """While another run holds the source's lock nothing is deleted; a dry run looks all the same."""
    fill(store)
    with source_lock(store.lock_path("prices"), job_id="x", now=NOW):
        with pytest.raises(LockHeldError):
            pruned(store)
        assert pruned(store, dry_run=True).plans


def test_two_machines_at_once() -> None:
    """A second prune that planned the same and comes later finds the work done, and nothing breaks."""
    store = CutStore()
    all_names = fill(store)
    first = pruned(store)
    second = pruned(store)
    assert (list(first.deleted), list(second.deleted)) == (all_names[:3], [])
    put(store, tombstone_key(all_names[3]), b'{"version": 1, "source": "prices"}')
    assert list(pruned(store, Policy(keep_last=1)).deleted) == [all_names[3]]


class LockingStore(MemoryStore):
    """A store that keeps every file for ten days, as a bucket with object lock does."""

    def bucket_protection(self) -> BucketProtection:
        """It keeps no versions."""
        return BucketProtection(
            versioning=False,
            retention=None,
            retention_known=True,
            old_versions_end_after=None,
            lifecycle_known=True,
        )

    def protection_of(self, key: str) -> ObjectProtection:
        """Ten days from the beginning."""
        return ObjectProtection(NOW + timedelta(days=10), held=False)

    def delete(self, key: str) -> None:
        """Not yet."""
        raise StoreError("locked", code="store.object_locked")


def test_what_the_store_keeps_is_not_fought() -> None:
    """Locked backups stay whole, nothing is written beside them, and each is shown with its time; also in a dry run."""
    store = LockingStore()
    all_names = fill(store)
    before = dict(store.files)
    for dry_run in (True, False):
        done = pruned(store, dry_run=dry_run)
        assert done.deleted == ()
        assert [(item.code, item.where) for item in done.findings] == [
            ("prune.locked", name) for name in all_names[:3]
        ]
        assert "2026-07-10" in done.findings[0].message
    assert {key: content for key, content in store.files.items() if not key.startswith(OWN_PREFIX)} == {
        key: content for key, content in before.items() if not key.startswith(OWN_PREFIX)
    }


@pytest.mark.parametrize("what", ["manifest", "verify"])
def test_nothing_goes_while_something_can_not_be_read(store: LocalStore, what: str) -> None:
    """A manifest or evidence that cannot be read might be the newest, or a bad verdict: nothing is deleted."""
    all_names = fill(store)
    newest = looked_at(stored_backup(store, NOW))
    (key,) = [
        stored.key
        for stored in store.list()
        if stored.key.startswith(f"{newest.name}.") and what in stored.key
    ]
    store.path_of(key).write_bytes(b"{}")
    done = pruned(store, Policy(keep_last=1))
    assert done.deleted == ()
    assert {item.severity for item in done.findings} == {Severity.CRITICAL, Severity.WARNING}
    assert set(all_names) <= names(store)
    store.delete(key)
    if what == "verify":
        looked_at(newest)
    assert pruned(store, Policy(keep_last=1)).deleted


class PacedStore(MemoryStore):
    """A store without locks, in which each deletion and each look takes a moment of its own length."""

    def __init__(self, seed: int) -> None:
        super().__init__("far")
        self._random = random.Random(seed)

    def delete(self, key: str) -> None:
        """Delete after a moment."""
        time.sleep(self._random.random() / 1000)
        super().delete(key)

    def open(self, key: str) -> BinaryIO:
        """Open after a moment."""
        time.sleep(self._random.random() / 1000)
        return super().open(key)


@pytest.mark.parametrize("seed", range(12))
def test_two_machines_that_overlap(seed: int) -> None:
    """Pruning one bucket from two machines deletes what one of them would, one after the other, and the next ends clean."""
    store = PacedStore(seed)
    all_names = fill(store, 6)
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(pruned, store, wait_s=60) for _ in range(2)]
        gone = {name for run in runs for name in run.result().deleted}
    assert gone <= set(all_names[:4])
    assert names(store) >= set(all_names[4:])
    pruned(store)
    assert names(store) == set(all_names[4:])
    assert {key for key in store.files if not key.startswith((OWN_PREFIX, *all_names[4:]))} == set()
