"""What a store says of itself, in `.drillbook/store.json`."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ops.actions.backup import take_backup
from ops.actions.begin_backup import BackupRequest
from ops.actions.copy import copy_missing
from ops.errors import OpsError, StoreError
from ops.formats import store_identity
from ops.formats.names import payload_of_record
from ops.model.findings import Severity
from ops.repository.backup import Backup
from ops.repository.catalog import read_catalogue, sizes_in
from ops.repository.delete import beside, delete_backup
from ops.repository.find import find_backup
from ops.repository.identity import IDENTITY_KEY, ensure_identity, read_identity
from ops.repository.listing import list_backups
from ops.repository.replicate import copy_backup
from ops.repository.repository import Repository
from ops.run.job import Job
from ops.sources.sqlite.source import SqliteSource
from ops.stores.local.store import LocalStore
from ops.stores.memory import MemoryStore
from tests.histories import WHOSE, looked_at, stored_backup

NOW = datetime(2026, 6, 30, 12, tzinfo=UTC)


def write(store: MemoryStore, **changes: object) -> None:
    """Have the store say something else of itself."""
    said = {"id": "0" * 32, "format": 1, "min_version": "0.1.0", **changes}
    store.files[IDENTITY_KEY] = json.dumps(said).encode()


def test_the_first_backup_gives_it(source: SqliteSource, store: LocalStore) -> None:
    """It is private, stays the same for every later backup, and is told by no listing of backups."""
    take_backup(source, Repository(store=store), BackupRequest(), Job())
    first = read_identity(store)
    take_backup(source, Repository(store=store), BackupRequest(), Job())
    assert first is not None
    assert read_identity(store) == first
    path = store.options.path / IDENTITY_KEY
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert not [key for key in sizes_in(store) if key.startswith(".")]
    assert read_catalogue(store).findings == ()


def test_a_copy_gives_it_and_reading_does_not() -> None:
    """A store without one is read as it is, and nothing is written into it; a copy that is put there gives it one."""
    home, away = MemoryStore("home"), MemoryStore("away")
    backup = stored_backup(home, NOW)
    read_catalogue(home)
    find_backup(home, backup.name)
    list_backups(home, None)
    assert read_identity(home) is None
    copy_backup(backup, Repository(store=away), Job())
    assert read_identity(away) is not None


class Meeting(MemoryStore):
    """A store in which eight writers stand before the same empty place, and put what they have at once."""

    def __init__(self) -> None:
        super().__init__()
        self.barrier = threading.Barrier(8)

    def put(self, key: str, file: Path) -> None:
        """Waits for all of them."""
        if key == IDENTITY_KEY:
            self.barrier.wait(30)
        super().put(key, file)


def test_many_at_once_agree() -> None:
    """Of many that give it at once one is quicker, and all have its word."""
    store, found = Meeting(), []
    threads = [threading.Thread(target=lambda: found.append(ensure_identity(store).id)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert set(found) == {json.loads(store.files[IDENTITY_KEY])["id"]}


@pytest.mark.parametrize("changes", [{"min_version": "999.0"}, {"format": 2}])
def test_an_older_program_stops_with_one_sentence(source: SqliteSource, changes: dict[str, object]) -> None:
    """A store of a later Drillbook is neither read nor written by this one."""
    store = MemoryStore()
    backup = stored_backup(store, NOW)
    write(store, **changes)
    before = dict(store.files)
    for attempt in (
        lambda: read_catalogue(store),
        lambda: find_backup(store, "latest"),
        lambda: list_backups(store, None),
        lambda: take_backup(source, Repository(store=store), BackupRequest(), Job()),
        lambda: copy_backup(backup, Repository(store=store), Job()),
    ):
        with pytest.raises(StoreError, match=r"or newer; this is|has form 2, and this Drillbook") as caught:
            attempt()
        assert caught.value.code == "store.newer_format"
    assert store.files == before


def test_keys_that_are_not_known_are_left_aside() -> None:
    """A later version may say more."""
    store = MemoryStore()
    write(store, later={"a": 1})
    assert read_identity(store) == store_identity.StoreIdentity("0" * 32, 1, "0.1.0")


@pytest.mark.parametrize(
    "content",
    [b"", b"<html>", b"[]", b"{}", b'{"id": 1, "format": 1, "min_version": "0.1.0"}',
     b'{"id": "' + b"0" * 32 + b'", "format": 0, "min_version": "0.1.0"}',
     b'{"id": "' + b"0" * 32 + b'", "format": true, "min_version": "0.1.0"}',
     b'{"id": "x", "format": 1, "min_version": "0.1.0"}', b'{"id": "' + b"0" * 32 + b'", "format": 1, "min_version": ""}'],
)  # fmt: skip
def test_damage_is_told(content: bytes) -> None:
    """What is no identity is an error, never a store without one."""
    store = MemoryStore()
    store.files[IDENTITY_KEY] = content
    with pytest.raises(StoreError) as caught:
        read_catalogue(store)
    assert caught.value.code == "store.identity_invalid"
    assert "remove that one file" in caught.value.hint


class Refusing(MemoryStore):
    """A store whose keys may write backups and nothing about the store."""

    def put(self, key: str, file: Path) -> None:
        """Refuses the one file."""
        if key == IDENTITY_KEY:
            raise StoreError("not allowed", code="store.refused")
        super().put(key, file)


def test_keys_that_may_not_write_it_hinder_no_backup(source: SqliteSource) -> None:
    """Where it cannot be written, the backup is there all the same, with a warning."""
    store = Refusing()
    taken = take_backup(source, Repository(store=store), BackupRequest(), Job())
    (finding,) = [item for item in taken.findings if item.severity is not Severity.OK]
    assert (finding.severity, finding.code) == (Severity.WARNING, "store.no_identity")
    assert find_backup(store, "latest").name == taken.backup.name


def test_keys_that_may_not_write_it_hinder_no_copy() -> None:
    """So it is of a further store, told once for all the copies that a run makes."""
    home, away = MemoryStore(), Refusing()
    names = {looked_at(stored_backup(home, NOW - timedelta(days=days))).name for days in range(3)}
    findings = copy_missing(WHOSE, Repository(store=home), [Repository(store=away)], Job())
    assert sorted(item.code for item in findings) == ["copy.made"] * 3 + ["store.no_identity"]
    assert {item.name for item in read_catalogue(away).backups} == names


class TestRecords:
    """Files of the form `<payload>.<word>-<time>-<8 hex>.<anything>` belong to their payload, whatever they are."""

    NAMES = (
        "{}.proof-20261127T000000Z-0123abcd.bin",
        "{}.drill-20261127T000000Z-0123abcd.json.sig",
        "{}.verify-20261127T000000Z-0123abcd.ots",
    )

    def with_records(self, store: MemoryStore) -> Backup:
        """A backup with records that this version does not know."""
        backup = stored_backup(store, NOW)
        for name in self.NAMES:
            store.files[name.format(backup.name)] = name.encode()
        return backup

    def test_are_no_payloads(self) -> None:
        """They are listed as nothing of their own, and nothing is said to be incomplete."""
        store = MemoryStore()
        backup = self.with_records(store)
        catalogue = read_catalogue(store)
        assert [item.name for item in catalogue.backups] == [backup.name]
        assert catalogue.findings == ()
        assert {payload_of_record(name.format("a.b.db")) for name in self.NAMES} == {"a.b.db"}
        assert payload_of_record("backup-20261127T000000Z.db") is None

    def test_are_copied_with_it(self) -> None:
        """A copy has them, byte for byte."""
        home, away = MemoryStore("home"), MemoryStore("away")
        backup = self.with_records(home)
        copy_backup(backup, Repository(store=away), Job())
        for name in self.NAMES:
            assert away.files[name.format(backup.name)] == name.encode()

    def test_go_with_it(self) -> None:
        """Deleting the backup leaves none of them."""
        store = MemoryStore()
        backup = self.with_records(store)
        assert delete_backup(backup, beside(store.files)[backup.name], Job()) is None
        assert not [key for key in store.files if key.startswith(backup.name)]

    @pytest.mark.parametrize(
        "name", ["x.proof-20261127T000000Z-0123abcd.db", "x.db.checksum", "x.sha256", "x.manifest.json"]
    )
    def test_no_backup_is_called_like_one(self, source: SqliteSource, store: LocalStore, name: str) -> None:
        """A payload with the name of a file that lies beside another one is refused before the work begins."""
        with pytest.raises(OpsError) as caught:
            take_backup(source, Repository(store=store), BackupRequest(name=name), Job())
        assert caught.value.code == "refused.unsafe_name"
