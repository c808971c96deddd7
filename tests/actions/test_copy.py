"""Copies in further stores: whole or not there, never over something else, repaired by the next run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ops.actions.copy import Home, copy_missing
from ops.actions.doctor import examine_copies
from ops.actions.prune import PruneRequest, prune
from ops.errors import BackupError, OpsError, StoreError
from ops.formats.names import checksum_key, manifest_key
from ops.model.findings import Finding, Severity, Verdict
from ops.ports.store import Store
from ops.repository.backup import Backup
from ops.repository.catalog import read_catalogue
from ops.repository.examine import examine_sameness
from ops.repository.find import find_backup
from ops.repository.identity import ensure_identity
from ops.repository.pins import keep_backup
from ops.repository.replicate import copy_backup
from ops.repository.repository import Repository
from ops.repository.retention import Policy
from ops.run.job import Job
from ops.stores.local.store import LocalOptions, LocalStore
from ops.stores.memory import MemoryStore
from ops.units import parse_span
from tests.dead import dead_name
from tests.histories import WHOSE, looked_at, put, stored_backup
from tests.keys import Keys

NOW = datetime(2026, 6, 30, 12, tzinfo=UTC)


class FailingStore(MemoryStore):
    """A store that takes so many files and no more."""

    room = 1_000_000

    def put(self, key: str, file: Path) -> None:
        """Take it while there is room."""
        if self.room == 0:
            raise StoreError("the server is away", code="store.unwritable")
        self.room -= 1
        super().put(key, file)


@pytest.fixture(params=["local", "memory"])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """Where backups are made: with files on this machine, and without."""
    if request.param == "memory":
        return MemoryStore("home")
    return LocalStore("home", LocalOptions(path=tmp_path / "home"))


@pytest.fixture
def away() -> FailingStore:
    """A further store."""
    return FailingStore("away")


def copy(backup: Backup, to: Store, scratch: Path) -> None:
    """Copy one backup now."""
    copy_backup(backup, Repository(store=to, scratch=scratch), Job(clock=lambda: NOW))


def update(home: Store, away: Store, scratch: Path, policy: Policy | None = None) -> list[Finding]:
    """Bring the further store up to date now."""
    return copy_missing(
        WHOSE,
        Repository(store=home),
        [Repository(store=away, policy=policy, scratch=scratch)],
        Job(clock=lambda: NOW),
    )


def content(store: Store) -> dict[str, bytes]:
    """Every file of a store."""
    found = {}
    for file in store.list():
        with store.open(file.key) as opened:
            found[file.key] = opened.read()
    return found


@pytest.mark.parametrize("files", [1, 3])
def test_a_copy_is_the_same(home: Store, away: FailingStore, scratch: Path, files: int) -> None:
    """Payload, checksum file, manifest, evidence and pins arrive byte for byte; a second time changes nothing."""
    backup = looked_at(stored_backup(home, NOW, files=files, content=b"x" * 3_000_000))
    keep_backup(backup, "why", None, Job(clock=lambda: NOW))
    copy(backup, away, scratch)
    assert content(away) == content(home)
    copy(backup, away, scratch)
    assert content(away) == content(home)
    assert find_backup(away, backup.name).good
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("room", range(6))
def test_cut_off_anywhere_and_finished_later(
    home: Store, away: FailingStore, scratch: Path, room: int
) -> None:
    """A copy that was cut off is no backup there, is a warning that says so, and is finished by the next run."""
    looked_at(stored_backup(home, NOW, files=2))
    away.room = room
    findings = update(home, away, scratch)
    if room < 4:
        assert read_catalogue(away).backups == ()
        assert [(item.code, item.severity) for item in findings] == [("copy.failed", Severity.WARNING)]
        assert "'away'" in findings[0].message
    away.room = 1_000_000
    update(home, away, scratch)
    assert content(away) == content(home)
    assert update(home, away, scratch) == []


def test_damage_is_not_spread(home: Store, away: FailingStore, scratch: Path) -> None:
    """A backup whose bytes are not those of its manifest is not copied, and the message says what is wrong."""
    backup = stored_backup(home, NOW)
    home.delete(backup.name)
    put(home, backup.name, b"c0ntent")
    with pytest.raises(BackupError, match="damaged") as caught:
        copy(backup, away, scratch)
    assert caught.value.code == "backup.checksum_mismatch"
    assert content(away) == {}
    assert [item.code for item in update(home, away, scratch)] == ["copy.failed"]


@pytest.mark.parametrize("files", [1, 2])
def test_a_copy_whose_payload_is_gone(home: Store, away: FailingStore, scratch: Path, files: int) -> None:
    """It is missing, whatever its manifest says: doctor says so, and the next push makes it whole."""
    backup = looked_at(stored_backup(home, NOW, files=files))
    update(home, away, scratch)
    whole = content(away)
    for entry in backup.manifest.files:
        away.delete(entry.path)
    there = Home.of(WHOSE, Repository(store=home))
    found = examine_copies(there, {"away": (read_catalogue(away), None)}, {}, NOW)
    assert {(item.severity, item.code) for item in found} == {
        (Severity.CRITICAL, "copy.not_whole"),
        (Severity.WARNING, "copy.missing"),
    }
    assert [item.code for item in update(home, away, scratch)] == ["copy.made"]
    assert content(away) == whole
    found = examine_copies(there, {"away": (read_catalogue(away), None)}, {}, NOW)
    assert {item.code for item in found} == {"copy.complete"}


def test_an_encrypted_copy_whose_payload_is_gone(
    home: Store, away: FailingStore, scratch: Path, keys: Keys
) -> None:
    """It is not called there; the message says what to delete, and after that it is encrypted anew."""
    looked_at(stored_backup(home, NOW))
    to = Repository(store=away, encryption=keys.sealing, scratch=scratch)
    copy_missing(WHOSE, Repository(store=home), [to], Job(clock=lambda: NOW))
    (copied,) = read_catalogue(away).backups
    away.delete(copied.name)
    (found,) = copy_missing(WHOSE, Repository(store=home), [to], Job(clock=lambda: NOW))
    assert (found.severity, found.code) == (Severity.WARNING, "copy.failed")
    assert manifest_key(copied.name) in found.message
    away.delete(manifest_key(copied.name))
    assert [
        item.code
        for item in copy_missing(WHOSE, Repository(store=home), [to], Job(clock=lambda: NOW))
        if item.severity is not Severity.OK or item.code == "copy.made"
    ] == ["copy.made"]


def test_a_further_store_that_does_not_list_a_payload(
    home: Store, away: FailingStore, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is there all the same is not called lost, and not pushed again; that the store lies is told."""
    backup = looked_at(stored_backup(home, NOW))
    update(home, away, scratch)
    listed = FailingStore.list
    monkeypatch.setattr(
        FailingStore,
        "list",
        lambda self, prefix="": [file for file in listed(self, prefix) if file.key != backup.name],
    )
    there = Home.of(WHOSE, Repository(store=home))
    found = examine_copies(there, {"away": (read_catalogue(away), None)}, {}, NOW)
    assert {(item.code, item.blocking) for item in found} == {
        ("store.unstable", True),
        ("copy.complete", False),
    }
    assert update(home, away, scratch) == []


def test_a_damaged_manifest_in_a_further_store(home: Store, away: FailingStore, scratch: Path) -> None:
    """Doctor says in which store a manifest cannot be read, beside that the copy is missing."""
    backup = looked_at(stored_backup(home, NOW))
    update(home, away, scratch)
    away.delete(manifest_key(backup.name))
    put(away, manifest_key(backup.name), b"{")
    there = Home.of(WHOSE, Repository(store=home))
    found = examine_copies(there, {"away": (read_catalogue(away), None)}, {}, NOW)
    (damaged,) = [item for item in found if item.code == "backup.manifest_invalid"]
    assert damaged.severity is Severity.CRITICAL
    assert damaged.message.startswith("store 'away': ")


def test_what_a_killed_copy_left(home: Store, tmp_path: Path, scratch: Path) -> None:
    """The next run that copies to that store removes it, and says so."""
    looked_at(stored_backup(home, NOW))
    away = LocalStore("away", LocalOptions(path=tmp_path / "further"))
    update(home, away, scratch)
    left = tmp_path / "further" / dead_name("backup-20260101T000000Z.db")
    left.write_bytes(b"half")
    assert [item.code for item in update(home, away, scratch)] == ["store.swept"]
    assert not left.exists()


@pytest.mark.parametrize("which", ["payload", "checksum", "manifest"])
def test_something_else_of_that_name(home: Store, away: FailingStore, scratch: Path, which: str) -> None:
    """What has the name there and is not the same is never replaced: a conflict that names it."""
    backup = stored_backup(home, NOW)
    key = {
        "payload": backup.name,
        "checksum": checksum_key(backup.name),
        "manifest": manifest_key(backup.name),
    }[which]
    put(away, key, b"strange")
    with pytest.raises(OpsError) as caught:
        copy(backup, away, scratch)
    assert caught.value.code == "store.conflict"
    assert content(away)[key] == b"strange"


def test_bad_backups_are_not_copied(home: Store, away: FailingStore, scratch: Path) -> None:
    """One whose last look failed stays where it is."""
    looked_at(stored_backup(home, NOW), Verdict.FAILED)
    good = looked_at(stored_backup(home, NOW - timedelta(days=1)))
    update(home, away, scratch)
    assert [item.name for item in read_catalogue(away).backups] == [good.name]


def test_a_manifest_that_cannot_be_read_is_told(home: Store, away: FailingStore, scratch: Path) -> None:
    """Whether such a backup is missing in the further store is not known: that is a warning, never `nothing is missing`."""
    good, bad = stored_backup(home, NOW - timedelta(days=1)), stored_backup(home, NOW)
    home.delete(manifest_key(bad.name))
    put(home, manifest_key(bad.name), b"<html>sign in</html>")
    findings = update(home, away, scratch)
    assert [(item.severity, item.code) for item in findings] == [
        (Severity.WARNING, "copy.unread"),
        (Severity.OK, "copy.made"),
    ]
    assert bad.name in findings[0].message
    assert [item.name for item in read_catalogue(away).backups] == [good.name]


def test_one_place_under_two_names(tmp_path: Path, scratch: Path) -> None:
    """A store that is the first one under another name gets no copies, is told, and nothing is pruned in either."""
    home = LocalStore("home", LocalOptions(path=tmp_path / "home"))
    for days in (2, 1):
        looked_at(stored_backup(home, NOW - timedelta(days=days)))
    ensure_identity(home)
    (tmp_path / "link").symlink_to(tmp_path / "home")
    same = LocalStore("cp", LocalOptions(path=tmp_path / "link"))
    findings = copy_missing(WHOSE, Repository(store=home), [Repository(store=same)], Job(clock=lambda: NOW))
    assert [(item.severity, item.where) for item in findings] == [(Severity.WARNING, "store.same")]
    assert [item.code for item in examine_sameness([home, same])] == ["store.same"]
    request = PruneRequest(whose=WHOSE, policy=Policy(keep_last=1), elsewhere=(Repository(store=home),))
    with pytest.raises(StoreError) as caught:
        prune(Repository(store=same), request, Job(clock=lambda: NOW))
    assert caught.value.code == "store.same"
    assert len(read_catalogue(home).backups) == 2
    other = LocalStore("other", LocalOptions(path=tmp_path / "other"))
    ensure_identity(other)
    assert examine_sameness([home, other]) == []


def test_what_is_not_whole_is_told(home: Store, away: FailingStore, scratch: Path) -> None:
    """A backup without its payload that the further store does not have is a warning; one that was copied before is none."""
    first = stored_backup(home, NOW - timedelta(days=1))
    update(home, away, scratch)
    second = stored_backup(home, NOW)
    for backup in (first, second):
        home.delete(backup.name)
    findings = update(home, away, scratch)
    assert [(item.severity, item.code, item.where) for item in findings] == [
        (Severity.WARNING, "copy.failed", second.name)
    ]


def test_a_tier_gets_what_its_policy_keeps(home: Store, away: FailingStore, scratch: Path) -> None:
    """A monthly tier gets the first backup of each month and no other, however often it is brought up to date."""
    monthly = Policy(keep_monthly=parse_span("2y"))
    for day in range(91, -1, -1):
        looked_at(stored_backup(home, NOW - timedelta(days=day)))
    update(home, away, scratch, monthly)
    days = sorted(item.manifest.created_at.strftime("%m-%d") for item in read_catalogue(away).backups)
    assert days == ["03-31", "04-01", "05-01", "06-01"]
    looked_at(stored_backup(home, NOW + timedelta(hours=1)))
    assert update(home, away, scratch, monthly) == []


def test_other_sources_are_left_alone(home: Store, away: FailingStore, scratch: Path) -> None:
    """Only the backups of the source that is asked for are copied."""
    stored_backup(home, NOW, source="audit")
    assert update(home, away, scratch) == []
    assert content(away) == {}


def test_later_evidence_follows(home: Store, away: FailingStore, scratch: Path) -> None:
    """A drill and a pin that came after the copy are brought there too, and no file is replaced."""
    backup = stored_backup(home, NOW)
    update(home, away, scratch)
    looked_at(backup, action="drill")
    keep_backup(backup, "why", None, Job(clock=lambda: NOW))
    assert update(home, away, scratch) == []
    copied = find_backup(away, backup.name)
    assert (copied.proven, len(copied.pins)) == (True, 1)


def test_a_store_that_is_away(home: Store, tmp_path: Path, away: FailingStore, scratch: Path) -> None:
    """One further store that cannot be read is a warning; the other one gets its copy."""
    (tmp_path / "broken").write_bytes(b"")
    broken = LocalStore("broken", LocalOptions(path=tmp_path / "broken"))
    backup = stored_backup(home, NOW)
    findings = copy_missing(
        WHOSE,
        Repository(store=home),
        [Repository(store=broken, scratch=scratch), Repository(store=away, scratch=scratch)],
        Job(clock=lambda: NOW),
    )
    assert [item.code for item in findings] == ["copy.failed", "copy.made"]
    assert [item.name for item in read_catalogue(away).backups] == [backup.name]


def test_a_full_tier(home: Store, away: FailingStore, scratch: Path) -> None:
    """Beyond the limit of a further store nothing is copied: a warning that says what it holds."""
    stored_backup(home, NOW, content=b"x" * 1000)
    tier = Repository(store=away, limit=900)
    findings = copy_missing(WHOSE, Repository(store=home), [tier], Job(clock=lambda: NOW))
    assert [(item.code, item.where) for item in findings] == [("copy.failed", "space.limit")]
    assert content(away) == {}
