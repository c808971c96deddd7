from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from ops.actions.backup import take_backup
from ops.actions.begin_backup import BackupRequest
from ops.actions.verify import VerifyRequest, verify_backup
from ops.model.evidence import Level
from ops.model.findings import Verdict
from ops.repository.repository import Repository
from ops.run.job import Job
from ops.run.progress import silent
from ops.sources.sqlite.capture import CaptureOptions, capture_database
from ops.sources.sqlite.connection import connect_still
from ops.sources.sqlite.options import SqliteOptions
from ops.sources.sqlite.source import SqliteSource
from ops.stores.local.store import LocalStore
from tests.faults.hostile_writer import TOTAL, prepare

pytestmark = [pytest.mark.alone, pytest.mark.long]

WRITER = Path(__file__).with_name("hostile_writer.py")


@contextlib.contextmanager
def writers(path: Path, count: int) -> Iterator[None]:
    """`count` writer processes at work while the block runs."""
    processes = [
        subprocess.Popen([sys.executable, WRITER, path, str(seed)], stdout=subprocess.PIPE)
        for seed in range(count)
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
        yield
        assert [process.poll() for process in processes] == [None] * count, "a writer failed because of us"
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def require_whole(copy: Path) -> None:
    """The copy is a sound database in which no money was lost."""
    with closing(connect_still(copy)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("SELECT sum(balance) FROM accounts").fetchone() == (TOTAL,)


def attack(path: Path, copies: Path, count: int, *, seconds: float) -> Counter[str]:
    """Capture again and again while `count` processes write; the methods that were used."""
    methods: Counter[str] = Counter()
    options = CaptureOptions(busy_timeout_s=60)
    with writers(path, count):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            copy = copies / "copy.db"
            copy.touch(0o600)
            captured = capture_database(path, copy, options, Job().clock, silent)
            methods[captured.method] += 1
            require_whole(copy)
            copy.unlink()
    return methods


@pytest.mark.parametrize("page_size", [512, 4096, 65536])
def test_money_is_never_lost_in_wal_mode(tmp_path: Path, page_size: int) -> None:
    """Four processes write and checkpoint as fast as they can; every capture is a committed state."""
    path = tmp_path / "bank.db"
    prepare(str(path), "WAL", page_size)
    methods = attack(path, tmp_path, 4, seconds=4)
    assert methods["raw+wal"] > 3, methods


def test_money_is_never_lost_in_rollback_mode(tmp_path: Path) -> None:
    """The same with a rollback journal, where writers wait for the copy."""
    path = tmp_path / "bank.db"
    prepare(str(path), "DELETE")
    methods = attack(path, tmp_path, 2, seconds=4)
    assert methods["raw"] > 1, methods


@pytest.mark.faults_long
@pytest.mark.timeout(600)  # two minutes of attack, and then what was copied is checked
@pytest.mark.parametrize("mode", ["WAL", "DELETE", "TRUNCATE", "PERSIST"])
def test_money_is_never_lost_for_long(tmp_path: Path, mode: str) -> None:
    """The same for two minutes in each journal mode."""
    path = tmp_path / "bank.db"
    prepare(str(path), mode)
    assert attack(path, tmp_path, 4, seconds=120)


def test_backup_under_writers_verifies(tmp_path: Path, store: LocalStore, scratch: Path) -> None:
    """A backup taken while four processes write carries the measures of its own snapshot, and verifies in full."""
    path = tmp_path / "bank.db"
    prepare(str(path), "WAL")
    source = SqliteSource("bank", SqliteOptions(path=path, busy_timeout=timedelta(seconds=60)))
    with writers(path, 4):
        taken = [take_backup(source, Repository(store=store), BackupRequest(), Job()) for _ in range(3)]
    for item in taken:
        evidence = verify_backup(item.backup, source, VerifyRequest(Level.FULL, scratch), Job())
        assert evidence.verdict is Verdict.PASSED
        require_whole(store.path_of(item.backup.name))


def test_both_methods_give_the_same_bytes(database: Path, tmp_path: Path) -> None:
    """The raw copy with its log overlaid is, byte for byte, what SQLite's backup API makes."""
    with closing(sqlite3.connect(database)) as writer:
        writer.execute("PRAGMA wal_autocheckpoint=0")
        writer.execute("UPDATE notes SET body = body || '!' WHERE id % 3 = 0")
        writer.execute("INSERT INTO notes SELECT id + 1000, hex(zeroblob(3000)) FROM notes")
        writer.commit()
        copies = []
        for raw in (True, False):
            copy = tmp_path / f"copy-{raw}.db"
            copy.touch()
            options = CaptureOptions(busy_timeout_s=5, raw_copy=raw)
            copies.append(
                (capture_database(database, copy, options, Job().clock, silent).method, copy.read_bytes())
            )
    (first_method, first), (second_method, second) = copies
    assert (first_method, second_method) == ("raw+wal", "backup-api")
    assert len(first) == len(second)
    # The API stamps its own change counter and version (bytes 24-27 and 92-99) into the header.
    assert first[100:] == second[100:]
    assert first[:24] == second[:24]


def test_the_source_is_not_touched(database: Path, tmp_path: Path) -> None:
    """Capturing a database at rest changes neither its bytes nor its times, and leaves no log behind."""
    before = (database.read_bytes(), database.stat().st_mtime_ns)
    copy = tmp_path / "copy.db"
    copy.touch()
    capture_database(database, copy, CaptureOptions(busy_timeout_s=5), Job().clock, silent)
    assert (database.read_bytes(), database.stat().st_mtime_ns) == before
    assert [file.name for file in database.parent.iterdir()] == ["data.db"]


def test_log_of_a_dead_writer_is_read_and_kept(database: Path, tmp_path: Path) -> None:
    """Commits that lie only in the log of a writer that was killed are in the copy, and the log stays."""
    script = (
        "import os, sqlite3, sys\n"
        "connection = sqlite3.connect(sys.argv[1])\n"
        "connection.execute('PRAGMA wal_autocheckpoint=0')\n"
        "connection.execute(\"INSERT INTO notes VALUES (9999, 'only in the log')\")\n"
        "connection.commit()\n"
        "os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", script, database], check=False)
    log = database.with_name("data.db-wal")
    before = (log.read_bytes(), database.read_bytes())
    copy = tmp_path / "copy.db"
    copy.touch()
    captured = capture_database(database, copy, CaptureOptions(busy_timeout_s=5), Job().clock, silent)
    assert captured.method == "raw+wal"
    with closing(connect_still(copy)) as connection:
        assert connection.execute("SELECT body FROM notes WHERE id = 9999").fetchone() == ("only in the log",)
    assert (log.read_bytes(), database.read_bytes()) == before


@pytest.mark.needs_root
def test_without_access_to_the_shared_index(database: Path, tmp_path: Path) -> None:
    """A user who may only read the database and its log still gets a whole copy, through SQLite itself."""
    base = Path(tempfile.gettempdir())
    for folder in {database.parent, *database.parents, tmp_path, *tmp_path.parents}:
        if base in folder.parents:
            folder.chmod(0o755)
    into = tmp_path / "theirs"
    into.mkdir()
    os.chown(into, 65534, 65534)
    with closing(sqlite3.connect(database)) as writer:
        writer.execute("INSERT INTO notes VALUES (5000, 'x')")
        writer.commit()
        for file in database.parent.iterdir():
            file.chmod(0o644)
        child = os.fork()
        if child == 0:
            os.setgid(65534)
            os.setuid(65534)
            copy, method = into / "copy.db", ""
            try:
                copy.touch()
                options = CaptureOptions(busy_timeout_s=5)
                method = capture_database(database, copy, options, Job().clock, silent).method
            finally:
                os._exit(0 if method == "backup-api" else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    with closing(connect_still(into / "copy.db")) as connection:
        assert connection.execute("SELECT count(*) FROM notes").fetchone() == (201,)
