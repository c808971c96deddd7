from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from ops.actions.backup import take_backup
from ops.actions.begin_backup import BackupRequest
from ops.actions.drill import DrillRequest, run_drill
from ops.errors import OpsError
from ops.model.evidence import Level
from ops.model.findings import Severity, Verdict, worst
from ops.repository.repository import Repository
from ops.run.job import Job
from ops.sources.sqlite.check import check_database
from ops.sources.sqlite.options import SqliteOptions
from ops.sources.sqlite.source import SqliteSource
from ops.stores.local.store import LocalStore
from tests.conftest import ask, execute

pytestmark = [pytest.mark.alone, pytest.mark.long]

HOLD_LOCK = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
time.sleep(60)
"""
DIE_IN_TRANSACTION = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA journal_mode=DELETE")
connection.execute("PRAGMA cache_size=1")
connection.execute("BEGIN")
connection.execute("UPDATE notes SET body = hex(randomblob(4000))")
os.kill(os.getpid(), 9)
"""


def refused(path: Path, store: LocalStore) -> OpsError:
    """The error that a backup of `path` ends with; the store stays empty."""
    source = SqliteSource("s", SqliteOptions(path=path, busy_timeout=timedelta(seconds=0.3)))
    with pytest.raises(OpsError) as caught:
        take_backup(source, Repository(store=store), BackupRequest(), Job())
    assert list(store.list()) == []
    assert not list(store.options.path.glob(".tmp-*"))
    assert str(path) in caught.value.message
    return caught.value


def test_missing(tmp_path: Path, store: LocalStore) -> None:
    """A source that is not there is named, with what to check."""
    error = refused(tmp_path / "no.db", store)
    assert error.code == "source.missing"
    assert error.hint


def test_folder(tmp_path: Path, store: LocalStore) -> None:
    """A folder is called a folder."""
    assert refused(tmp_path, store).code == "source.not_a_file"


def test_pipe_does_not_block(tmp_path: Path, store: LocalStore) -> None:
    """A pipe is refused at once: nothing waits for somebody to write into it."""
    path = tmp_path / "pipe.db"
    os.mkfifo(path)
    started = time.monotonic()
    assert refused(path, store).code == "source.not_a_file"
    assert time.monotonic() - started < 5


def test_link_loop(tmp_path: Path, store: LocalStore) -> None:
    """A symbolic link that leads to itself is an error, not an endless walk."""
    path = tmp_path / "loop.db"
    path.symlink_to(path)
    assert refused(path, store).code == "source.unreadable"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "source.not_a_database"),
        (b"ticker,date,close\n" * 400, "source.not_a_database"),
        (b"SQLite format 3\0", "source.not_a_database"),
    ],
)
def test_other_content(tmp_path: Path, store: LocalStore, content: bytes, code: str) -> None:
    """An empty file, a text file and a bare header are no databases."""
    path = tmp_path / "x.db"
    path.write_bytes(content)
    assert refused(path, store).code == code


def test_encrypted(tmp_path: Path, store: LocalStore) -> None:
    """Pages of cipher text are recognised as probably encrypted."""
    path = tmp_path / "cipher.db"
    path.write_bytes(os.urandom(8192))
    assert refused(path, store).code == "source.encrypted"


def test_encrypted_with_a_plain_header(tmp_path: Path, store: LocalStore) -> None:
    """A header that is readable in front of cipher text is no sound and no damaged database."""
    path = tmp_path / "cipher.db"
    execute(path, "CREATE TABLE t (v);")
    path.write_bytes(path.read_bytes()[:32] + bytes([0x40]) * 68 + b"\x99" + os.urandom(8192 - 101))
    error = refused(path, store)
    assert error.code == "source.encrypted"
    assert "plain header" in error.message


@pytest.mark.parametrize(("newer", "code"), [(True, "source.engine_older"), (False, "source.corrupt")])
def test_sql_of_a_later_version(tmp_path: Path, store: LocalStore, newer: bool, code: str) -> None:
    """A view in words that this SQLite does not know: where a newer one wrote it, nobody is told to restore over it."""
    path = tmp_path / "later.db"
    execute(
        path,
        "CREATE TABLE t (v); CREATE VIEW v AS SELECT 1; PRAGMA writable_schema=ON;"
        "UPDATE sqlite_schema SET sql = 'CREATE VIEW v AS SELECT v OF LATER FROM t' WHERE name = 'v'",
    )
    if newer:
        content = bytearray(path.read_bytes())
        content[96:100] = (4_001_000).to_bytes(4, "big")
        path.write_bytes(content)
    error = refused(path, store)
    assert error.code == code
    assert ("restore the newest" in error.hint) is not newer
    assert ("SQLite 4.1.0" in error.message) is newer


def test_a_schema_that_is_no_utf8(tmp_path: Path, store: LocalStore) -> None:
    """Bytes that are not UTF-8 in a definition and in a name keep nothing from being backed up, counted and checked."""
    path = tmp_path / "latin.db"
    execute(
        path,
        "CREATE TABLE t (v DEFAULT 'XYZZY'); INSERT INTO t VALUES (1); PRAGMA writable_schema=ON;"
        "UPDATE sqlite_schema SET sql = CAST(replace(CAST(sql AS BLOB), 'XYZZY', x'e9e8e7') AS TEXT)",
    )
    source = SqliteSource("latin", SqliteOptions(path=path))
    taken = take_backup(source, Repository(store=store), BackupRequest(), Job())
    assert taken.backup.manifest.measures.tables["t"].rows == 1
    assert worst(check_database(store.path_of(taken.backup.name), Level.FULL, "check")) is Severity.OK


def test_truncated_database(database: Path, store: LocalStore) -> None:
    """A database file that was cut in the middle is corrupt, not a smaller backup."""
    content = database.read_bytes()
    database.write_bytes(content[: len(content) - 4096])
    assert refused(database, store).code in {"source.corrupt", "source.changed"}


def test_locked_for_longer_than_the_timeout(database: Path, store: LocalStore) -> None:
    """A database that another process keeps locked ends in source.locked after the time-out."""
    execute(database, "PRAGMA journal_mode=DELETE")
    with subprocess.Popen([sys.executable, "-c", HOLD_LOCK, str(database)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        assert refused(database, store).code == "source.locked"
        holder.kill()


def test_hot_journal(database: Path, store: LocalStore) -> None:
    """A journal left by a dead writer is an error with advice, and is left exactly as it was."""
    subprocess.run([sys.executable, "-c", DIE_IN_TRANSACTION, str(database)], check=False)
    journal = database.with_name("data.db-journal")
    before = (journal.read_bytes(), database.read_bytes())
    error = refused(database, store)
    assert error.code == "source.hot_journal"
    assert "sqlite3" in error.hint
    assert (journal.read_bytes(), database.read_bytes()) == before


@pytest.mark.needs_root
def test_no_permission(database: Path, tmp_path: Path) -> None:
    """A user who may not read the source is told so by name of the file; nothing hangs, nothing is published."""
    database.chmod(0o600)
    for folder in (*database.parents,):
        if folder.stat().st_mode & 0o005 != 0o005 and folder.is_relative_to(tmp_path.parents[1]):
            folder.chmod(0o755)
    child = os.fork()
    if child == 0:
        os.setgid(65534)
        os.setuid(65534)
        try:
            SqliteSource("s", SqliteOptions(path=database)).estimate()
        except OpsError as error:
            os._exit(7 if error.code == "source.unreadable" and "Permission denied" in error.message else 8)
        finally:
            os._exit(9)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_source_deleted_during_the_copy(database: Path, store: LocalStore) -> None:
    """When the source is deleted while it is read, the backup is still whole: it shows what was there."""
    source = SqliteSource("s", SqliteOptions(path=database))

    class DeleteWhileCopying:
        def step(self, what: str, total: int | None = None) -> None:
            if what == "copying":
                for file in database.parent.iterdir():
                    file.unlink()

        def advance(self, count: int) -> None:
            pass

    taken = take_backup(source, Repository(store=store), BackupRequest(), Job(progress=DeleteWhileCopying()))
    assert ask(store.path_of(taken.backup.name), "SELECT count(*) FROM notes") == 200


def test_source_replaced_during_the_copy(database: Path, store: LocalStore) -> None:
    """When the source is replaced while it is read, the backup is what was there when the reading began."""
    other = database.with_name("other.db")
    execute(other, "CREATE TABLE something_else (a)")
    source = SqliteSource("s", SqliteOptions(path=database))

    class ReplaceWhileCopying:
        def step(self, what: str, total: int | None = None) -> None:
            if what == "copying":
                other.rename(database)

        def advance(self, count: int) -> None:
            pass

    taken = take_backup(source, Repository(store=store), BackupRequest(), Job(progress=ReplaceWhileCopying()))
    assert ask(store.path_of(taken.backup.name), "SELECT count(*) FROM notes") == 200


def test_source_truncated_during_the_copy(tmp_path: Path, store: LocalStore) -> None:
    """When something cuts the file while it is read, that is an error and nothing is kept."""
    path = tmp_path / "cut.db"
    execute(path, "CREATE TABLE t (a); INSERT INTO t VALUES (zeroblob(20000000));")

    class TruncateWhileCopying:
        def step(self, what: str, total: int | None = None) -> None:
            pass

        def advance(self, count: int) -> None:
            os.truncate(path, 4096)

    with pytest.raises(OpsError) as caught:
        take_backup(
            SqliteSource("s", SqliteOptions(path=path)),
            Repository(store=store),
            BackupRequest(),
            Job(progress=TruncateWhileCopying()),
        )
    assert caught.value.code == "source.changed"
    assert list(store.list()) == []


def test_missing_module_does_not_stop_a_backup(tmp_path: Path, store: LocalStore) -> None:
    """A virtual table of a module that is not installed here is backed up all the same: it is only bytes."""
    path = tmp_path / "odd.db"
    execute(path, "CREATE TABLE t (a); INSERT INTO t VALUES (1);")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA writable_schema=ON")
        connection.execute(
            "INSERT INTO sqlite_schema VALUES ('table', 'v', 'v', 0, 'CREATE VIRTUAL TABLE v USING nothere(a)')"
        )
        connection.commit()
    taken = take_backup(
        SqliteSource("s", SqliteOptions(path=path)), Repository(store=store), BackupRequest(), Job()
    )
    assert taken.backup.manifest.measures.tables["t"].rows == 1


@pytest.mark.parametrize("what", ["table", "column"])
def test_names_that_are_not_utf8(tmp_path: Path, store: LocalStore, what: str) -> None:
    """A database with such a name is backed up; a table that cannot be named is told, and nobody calls it proven."""
    path, scratch = tmp_path / "app.db", tmp_path / "scratch"
    scratch.mkdir()
    made = "tXYZ (a)" if what == "table" else "t (aXYZ)"
    change = "{0}=CAST(replace(CAST({0} AS BLOB), 'XYZ', x'e9') AS TEXT)".format
    execute(path, f"CREATE TABLE {made}; INSERT INTO {made.split(maxsplit=1)[0]} VALUES (1);")
    changes = ", ".join(map(change, ("name", "tbl_name", "sql")))
    execute(path, f"PRAGMA writable_schema=ON; UPDATE sqlite_schema SET {changes};")
    source = SqliteSource("s", SqliteOptions(path=path))
    backup = take_backup(source, Repository(store=store), BackupRequest(), Job()).backup
    evidence = run_drill(backup, source, DrillRequest(scratch=scratch), Job())
    told = [finding.code for finding in evidence.findings if finding.code == "sqlite.not_counted"]
    if what == "table":
        assert (evidence.verdict, told) == (Verdict.INCONCLUSIVE, ["sqlite.not_counted"])
    else:
        assert (evidence.verdict, told) == (Verdict.PASSED, [])
