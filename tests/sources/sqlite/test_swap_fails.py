"""Where a restored file cannot be put, the old database stays as its application left it."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ops.actions.backup import take_backup
from ops.actions.begin_backup import BackupRequest
from ops.actions.restore import restore_backup
from ops.actions.restore_request import RestoreRequest
from ops.errors import OpsError, RefusedError
from ops.repository.backup import Backup
from ops.repository.repository import Repository
from ops.run.job import Job
from ops.sources.sqlite import swap
from ops.sources.sqlite.options import SqliteOptions
from ops.sources.sqlite.source import SqliteSource
from ops.stores.local.store import LocalOptions, LocalStore
from tests.conftest import ask, execute


@pytest.fixture
def source(tmp_path: Path) -> SqliteSource:
    """A database in WAL mode, with a row."""
    path = tmp_path / "data" / "app.db"
    path.parent.mkdir()
    execute(path, "PRAGMA journal_mode=WAL; CREATE TABLE t (v); INSERT INTO t VALUES ('backed up');")
    return SqliteSource("app", SqliteOptions(path=path))


@pytest.fixture
def backup(source: SqliteSource, store: LocalStore) -> Backup:
    """Its backup; the row has changed since."""
    made = take_backup(source, Repository(store=store), BackupRequest(), Job()).backup
    execute(source.options.path, "UPDATE t SET v = 'live'")
    return made


def restore(backup: Backup, source: SqliteSource, scratch: Path, to: Path, *stores: LocalStore) -> None:
    """Put it there."""
    request = RestoreRequest(
        scratch=scratch,
        safety=Repository(store=backup.store),
        stores=[Repository(store=store) for store in stores],
        to=str(to),
        yes=True,
    )
    restore_backup(backup, source, request, Job())


def journal_mode(path: Path) -> object:
    """As the header says it."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("PRAGMA journal_mode").fetchone()[0]


@pytest.fixture
def mounted(source: SqliteSource, tmp_path: Path) -> Iterator[Path]:
    """The database as a file that is mounted by itself."""
    place = tmp_path / "mounted.db"
    place.touch()
    subprocess.run(["mount", "--bind", source.options.path, place], check=True)
    yield place
    subprocess.run(["umount", place], check=True)


@pytest.mark.needs_root
def test_over_a_mount_point(backup: Backup, source: SqliteSource, scratch: Path, mounted: Path) -> None:
    """It is refused before anything is built, kept or changed."""
    before = {item.key for item in backup.store.list()}
    with pytest.raises(RefusedError, match="mounted by itself") as caught:
        restore(backup, source, scratch, mounted)
    assert caught.value.code == "refused.target_mounted"
    assert {item.key for item in backup.store.list()} == before
    assert ask(source.options.path, "SELECT v FROM t") == "live"
    assert journal_mode(source.options.path) == "wal"


def test_a_rename_that_fails(
    backup: Backup, source: SqliteSource, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The live database is in the mode that its application chose, with its rows, and can be written."""

    def refuse(built: Path, target: Path) -> None:
        raise OSError(16, os.strerror(16), str(target))

    monkeypatch.setattr(swap, "replace_durably", refuse)
    with pytest.raises((OpsError, OSError)):
        restore(backup, source, scratch, source.options.path)
    assert journal_mode(source.options.path) == "wal"
    assert ask(source.options.path, "SELECT v FROM t") == "live"
    execute(source.options.path, "INSERT INTO t VALUES ('and goes on')")
    assert list(source.options.path.parent.glob("*")) == [source.options.path]


@pytest.mark.parametrize("name", ["new.db", "inside/new.db", "."])
def test_into_a_store(
    backup: Backup, source: SqliteSource, scratch: Path, store: LocalStore, tmp_path: Path, name: str
) -> None:
    """Neither the store of the backup nor another one that is configured, by whatever way the path leads there."""
    other = LocalStore("other", LocalOptions(path=tmp_path / "other"))
    (tmp_path / "other" / "inside").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "other")
    places = [store.options.path / backup.name, tmp_path / "link" / name, tmp_path / "other" / name]
    content = store.path_of(backup.name).read_bytes()
    for place in places:
        with pytest.raises(RefusedError):
            restore(backup, source, scratch, place, store, other)
    assert store.path_of(backup.name).read_bytes() == content
    assert list((tmp_path / "other").rglob("*.db")) == []


def test_beside_a_store(
    backup: Backup, source: SqliteSource, scratch: Path, store: LocalStore, tmp_path: Path
) -> None:
    """A folder whose name only begins like a store's is no part of it."""
    beside = tmp_path / f"{store.options.path.name}-restored"
    beside.mkdir()
    restore(backup, source, scratch, beside / "new.db", store)
    assert ask(beside / "new.db", "SELECT v FROM t") == "backed up"


@pytest.mark.parametrize(
    "name", ["x.checksum", "x.sha256", "x.manifest.json", "x.pruned.json", "x" * 161, "é" * 100]
)
def test_names_that_would_poison_a_store(source: SqliteSource, store: LocalStore, name: str) -> None:
    """A payload with the name of what lies beside one, or so long that nothing beside it could be named, is refused."""
    with pytest.raises(RefusedError) as caught:
        take_backup(source, Repository(store=store), BackupRequest(name=name), Job())
    assert caught.value.code == "refused.unsafe_name"
    assert [item.key for item in store.list() if not item.key.startswith(".")] == []


def test_the_longest_name(source: SqliteSource, store: LocalStore, scratch: Path) -> None:
    """It is backed up, looked at and restored like any other."""
    made = take_backup(source, Repository(store=store), BackupRequest(name="x" * 160), Job()).backup
    restore(made, source, scratch, source.options.path)
    assert ask(source.options.path, "SELECT v FROM t") == "backed up"
