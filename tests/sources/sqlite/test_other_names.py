"""A log that lies beside another name of the database file is noticed, and nothing is taken without it."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import get_args

import pytest

from ops.actions.backup import take_backup
from ops.actions.begin_backup import BackupRequest
from ops.errors import OpsError, SourceError
from ops.repository.repository import Repository
from ops.run.job import Job
from ops.sources.sqlite import other_names
from ops.sources.sqlite.open_by import Occupant
from ops.sources.sqlite.options import SqliteOptions
from ops.sources.sqlite.other_names import OtherNames, require_own_log
from ops.sources.sqlite.source import SqliteSource
from ops.stores.local.store import LocalStore
from tests.conftest import ask

APPLICATION = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA journal_mode=WAL").fetchone()
connection.execute("INSERT INTO t VALUES ('in the log')")
print("ready", flush=True)
sys.stdin.read()
"""


@contextmanager
def application(path: Path) -> Iterator[None]:
    """A process that has the database open by this name, with a row in its log, while the block runs."""
    process = subprocess.Popen(
        [sys.executable, "-c", APPLICATION, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """One row, in WAL mode, and nobody has it open."""
    path = tmp_path / "host" / "app.db"
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL").fetchone()
        connection.execute("CREATE TABLE t (v)")
        connection.execute("INSERT INTO t VALUES ('old')")
        connection.commit()
    return path


@pytest.fixture
def inside(database: Path, tmp_path: Path) -> Path:
    """A second name of it, in another folder."""
    other = tmp_path / "inside" / "data.db"
    other.parent.mkdir()
    other.hardlink_to(database)
    return other


def backed_up(path: Path, store: LocalStore, other_names: OtherNames = "refuse") -> int:
    """How many rows the backup of the file has."""
    source = SqliteSource("app", SqliteOptions(path=path, other_names=other_names))
    made = take_backup(source, Repository(store=store), BackupRequest(), Job())
    return int(str(ask(store.path_of(made.backup.name), "SELECT count(*) FROM t")))


def test_a_process_has_the_other_log(database: Path, inside: Path, store: LocalStore) -> None:
    """The application's name and log are told, also where second names are accepted; by its own name the row is there."""
    with application(inside):
        for other_names in get_args(OtherNames):
            with pytest.raises(SourceError) as caught:
                backed_up(database, store, other_names)
            assert caught.value.code == "source.log_elsewhere"
            assert f"{inside}-wal" in caught.value.message
        assert backed_up(inside, store) == 2
    assert [path.name for path in database.parent.iterdir()] == ["app.db"]


def test_a_second_name_at_rest(database: Path, inside: Path, store: LocalStore) -> None:
    """Where nobody has it open, nobody can see whether a log lies elsewhere: refused, until somebody says that it is not so."""
    with pytest.raises(SourceError, match="has 2 names") as caught:
        backed_up(database, store)
    assert caught.value.code == "source.log_elsewhere"
    assert 'other_names = "accept"' in caught.value.hint
    assert backed_up(database, store, "accept") == 1


def test_a_second_name_without_a_log(database: Path, inside: Path, store: LocalStore) -> None:
    """In rollback mode there is no log that could lie elsewhere."""
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE").fetchone()
    assert backed_up(database, store) == 1


def test_the_application_uses_our_name(database: Path, inside: Path, store: LocalStore) -> None:
    """A second name does not matter where the application has this one's log open."""
    with application(database):
        assert backed_up(database, store) == 2


def test_a_log_that_was_removed(database: Path, store: LocalStore) -> None:
    """An application whose log was deleted below it goes on writing into that: told, and nothing is taken."""
    with application(database):
        for suffix in ("-wal", "-shm"):
            database.with_name(f"{database.name}{suffix}").unlink()
        with pytest.raises(SourceError) as caught:
            backed_up(database, store)
    assert caught.value.code == "source.log_elsewhere"


@pytest.mark.needs_root
def test_a_file_that_is_mounted_by_itself(database: Path, store: LocalStore, tmp_path: Path) -> None:
    """As a container sees it: the mount is told, and the folder is what is to be mounted."""
    mounted = tmp_path / "mounted.db"
    mounted.touch()
    subprocess.run(["mount", "--bind", database, mounted], check=True)
    try:
        with pytest.raises(SourceError, match="mounted by itself") as caught:
            backed_up(mounted, store)
        assert "mount its whole folder" in caught.value.hint
        with application(database), pytest.raises(SourceError, match="open as"):
            backed_up(mounted, store)
    finally:
        subprocess.run(["umount", mounted], check=True)


def test_doctor_says_it(database: Path, inside: Path, store: LocalStore, scratch: Path) -> None:
    """Doctor finds it before the backup does."""
    source = SqliteSource("app", SqliteOptions(path=database))
    with application(inside), pytest.raises(OpsError) as caught:
        source.probe()
    assert caught.value.code == "source.log_elsewhere"


def test_application_comes_meanwhile(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log that appears beside the file while the processes are looked at is its own, and nothing is refused."""
    look = other_names._opened

    def beside(identity: tuple[int, int]) -> Iterator[tuple[Occupant, str, tuple[int, int]]]:
        assert not database.with_name(f"{database.name}-wal").exists()
        with application(database):
            found = list(look(identity))
            assert found
            yield from found

    monkeypatch.setattr(other_names, "_opened", beside)
    require_own_log(database, "refuse")
