"""What a store says of itself, in `.drillbook/store.json`."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ops.actions.backup import BackupRequest, take_backup
from ops.errors import OpsError, StoreError
from ops.formats import store_identity
from ops.formats.names import payload_of_record
from ops.model.findings import Severity
from ops.repository.backup import Backup
from ops.repository.catalog import read_catalogue, sizes_in
from ops.repository.delete import beside, delete_backup
from ops.repository.find import find_backup
from ops.repository.identity import IDENTITY_KEY, ensure_identity, give_identity, read_identity
from ops.repository.listing import list_backups
from ops.repository.replicate import copy_backup
from ops.repository.repository import Repository
from ops.run.job import Job
from ops.sources.sqlite.source import SqliteSource
from ops.stores.local import LocalStore
from ops.stores.memory import MemoryStore
from tests.histories import stored_backup

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


def test_two_at_once_agree() -> None:
    """Of many that give it at once one is quicker, and all have its word."""
    store, found = MemoryStore(), []
    threads = [threading.Thread(target=lambda: found.append(ensure_identity(store).id)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


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


def test_keys_that_may_not_write_it_hinder_no_backup(store: LocalStore) -> None:
    """Where it cannot be written, that is a warning."""

    class Refusing(MemoryStore):
        def put(self, key: str, file: Path) -> None:
            if key == IDENTITY_KEY:
                raise StoreError("not allowed", code="store.refused")
            super().put(key, file)

    (finding,) = give_identity(Refusing())
    assert (finding.severity, finding.code) == (Severity.WARNING, "store.no_identity")


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
