from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ops.actions.backup import take_backup
from ops.actions.begin_backup import BackupRequest
from ops.actions.verify import VerifyRequest, verify_backup
from ops.model.evidence import Level
from ops.model.findings import Verdict
from ops.repository.catalog import read_catalogue
from ops.repository.find import find_backup
from ops.repository.repository import Repository
from ops.run.job import Job
from ops.sources.sqlite.options import SqliteOptions
from ops.sources.sqlite.source import SqliteSource
from ops.stores.local.store import LocalOptions, LocalStore
from tests.conftest import ask, execute
from tests.histories import looked_at, stored_backup
from tests.keys import Keys
from tests.killing import run_and_kill

pytestmark = [pytest.mark.alone, pytest.mark.long]

OPERATION = Path(__file__).with_name("operation.py")
KILLS = 20


def make_bank(path: Path, mark: str, rows: int = 60_000) -> None:
    """A database of some megabytes in WAL mode whose every row carries `mark`."""
    execute(
        path,
        f"""
        PRAGMA journal_mode=WAL;
        CREATE TABLE t (id INTEGER PRIMARY KEY, mark TEXT, filler TEXT);
        CREATE INDEX t_mark ON t (mark, id);
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
        INSERT INTO t SELECT i, '{mark}', hex(randomblob(60)) FROM n;
        """,
    )


def kill_creates(tmp_path: Path, kills: int, seed: int) -> None:
    """Kill creates at random moments; afterwards every published backup verifies and nothing else is left."""
    chance = random.Random(seed)
    database, folder = tmp_path / "bank.db", tmp_path / "backups"
    make_bank(database, "a")
    duration = run_and_kill(OPERATION, "create", database, folder, "-", after_s=None)
    for _ in range(kills):
        run_and_kill(OPERATION, "create", database, folder, "-", after_s=chance.uniform(0, duration * 1.05))
    source = SqliteSource("bank", SqliteOptions(path=database))
    store = LocalStore("local", LocalOptions(path=folder))
    # The next run cleans up after the dead.
    last = take_backup(source, Repository(store=store), BackupRequest(), Job()).backup
    assert not list(folder.glob(".tmp-*"))
    catalogue = read_catalogue(store)
    assert catalogue.findings == ()
    assert catalogue.backups[0].name == last.name
    for backup in catalogue.backups:
        look = VerifyRequest(Level.FULL, tmp_path, keep=False)
        assert verify_backup(backup, source, look, Job()).verdict is Verdict.PASSED
    published = {stored.key for stored in store.list()}
    assert len(published) == 3 * len(catalogue.backups)


def test_create_killed_at_twenty_moments(tmp_path: Path) -> None:
    """SIGKILL at twenty random moments of create: every published backup verifies, no leftover survives."""
    kill_creates(tmp_path, KILLS, seed=random.randrange(10**6))


def test_sealed_create_killed_at_ten_moments(tmp_path: Path) -> None:
    """SIGKILL while a backup is made, looked at, sealed: never a plain byte in the store, all that is there opens."""
    chance, keys = random.Random(random.randrange(10**6)), Keys(tmp_path, "escrow")
    database, folder, scratch = tmp_path / "bank.db", tmp_path / "backups", tmp_path / "scratch"
    scratch.mkdir()
    make_bank(database, "canary", rows=20_000)
    duration = run_and_kill(OPERATION, "seal", database, folder, keys.recipient, after_s=None)
    for _ in range(KILLS // 2):
        run_and_kill(
            OPERATION, "seal", database, folder, keys.recipient, after_s=chance.uniform(0, duration * 1.05)
        )
        assert not [path for path in folder.rglob("*") if path.is_file() and b"canary" in path.read_bytes()]
    # The next run cleans up after the dead, in the store and in the scratch place.
    run_and_kill(OPERATION, "seal", database, folder, keys.recipient, after_s=None)
    assert list(folder.glob(".tmp-*")) == []
    assert list(scratch.iterdir()) == []
    source = SqliteSource("bank", SqliteOptions(path=database))
    catalogue = read_catalogue(LocalStore("local", LocalOptions(path=folder)))
    assert catalogue.findings == ()
    assert len(catalogue.backups) >= 2
    for backup in catalogue.backups:
        look = VerifyRequest(Level.FULL, scratch, keep=False)
        opened = replace(backup, openers=(keys.opening,))
        assert verify_backup(opened, source, look, Job()).verdict is Verdict.PASSED


def kill_restores(tmp_path: Path, kills: int, seed: int) -> None:
    """Kill restores at random moments; the live database is the old one or the new one, whole, each time."""
    chance = random.Random(seed)
    database, folder = tmp_path / "live" / "bank.db", tmp_path / "backups"
    database.parent.mkdir()
    make_bank(database, "new", rows=30_000)
    store = LocalStore("local", LocalOptions(path=folder))
    source = SqliteSource("bank", SqliteOptions(path=database))
    name = take_backup(source, Repository(store=store), BackupRequest(), Job()).backup.name
    old = tmp_path / "old.db"
    make_bank(old, "old", rows=20_000)
    duration: float | None = None
    seen = set()
    for _ in range(kills + 1):
        shutil.copy(old, database)
        leave_log(database)
        moment = None if duration is None else chance.uniform(0, duration * 1.05)
        elapsed = run_and_kill(OPERATION, "restore", database, folder, name, after_s=moment)
        duration = duration or elapsed
        with closing(sqlite3.connect(database)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            state = connection.execute("SELECT mark, count(*) FROM t GROUP BY mark ORDER BY mark").fetchall()
        assert state in ([("new", 30_000)], [("in the log", 1), ("old", 19_999)]), state
        seen.add(state[0][0])
        for file in database.parent.iterdir():
            if file.name.startswith("bank.db-"):
                file.unlink()
    assert "new" in seen
    # An interrupted restore can be run again, and leaves nothing of the interrupted ones.
    shutil.copy(old, database)
    run_and_kill(OPERATION, "restore", database, folder, name, after_s=None)
    assert ask(database, "SELECT min(mark) FROM t") == "new"
    assert sorted(file.name for file in database.parent.iterdir()) == ["bank.db"]


def leave_log(database: Path) -> None:
    """Commit a change that lies only in the log, as a crashed application leaves it."""
    script = (
        "import os, sqlite3, sys\n"
        "connection = sqlite3.connect(sys.argv[1])\n"
        "connection.execute('PRAGMA wal_autocheckpoint=0')\n"
        "connection.execute(\"UPDATE t SET mark = 'in the log' WHERE id = 1\")\n"
        "connection.commit()\n"
        "os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", script, database], check=False)


def test_restore_killed_at_twenty_moments(tmp_path: Path) -> None:
    """SIGKILL at twenty random moments of an overwriting restore: old or new, whole, never a replayed log."""
    kill_restores(tmp_path, KILLS, seed=random.randrange(10**6))


@pytest.mark.faults_long
@pytest.mark.timeout(1800)  # four hundred kills, each with a check of what is left
def test_kills_for_long(tmp_path: Path) -> None:
    """Two hundred kills of each."""
    for number in range(10):
        (tmp_path / f"create-{number}").mkdir()
        (tmp_path / f"restore-{number}").mkdir()
        kill_creates(tmp_path / f"create-{number}", KILLS, seed=number)
        kill_restores(tmp_path / f"restore-{number}", KILLS, seed=number)


PRUNE = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from ops.actions.prune import PruneRequest, prune
from ops.model.series import Whose
from ops.repository.repository import Repository
from ops.repository.retention import Policy
from ops.run.job import Job
from ops.stores.local.store import LocalOptions, LocalStore

store = LocalStore("local", LocalOptions(path=Path(sys.argv[1])))
now = datetime(2026, 6, 30, tzinfo=UTC)
whose = Whose(name="prices", kind="sqlite", location="/srv/data.db")
print("ready", flush=True)
sys.stdin.readline()
prune(Repository(store=store), PruneRequest(whose=whose, policy=Policy(keep_last=1), many=True), Job(clock=lambda: now))
"""


def test_prune_killed_at_ten_moments(tmp_path: Path) -> None:
    """Whatever is listed after a kill is whole, and a last prune leaves the newest backup and nothing else."""
    store = LocalStore("local", LocalOptions(path=tmp_path / "store"))
    now = datetime(2026, 6, 30, tzinfo=UTC)
    for hours in range(200):
        stored_backup(store, now - timedelta(hours=hours), files=3)
    newest = looked_at(find_backup(store, "backup-20260630T000000Z.pg"))
    script = tmp_path / "prune.py"
    script.write_text(PRUNE)
    deleted, killed = [], 0
    for number in range(10):
        with subprocess.Popen(
            [sys.executable, script, tmp_path / "store"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            process.stdin.write(b"\n")
            process.stdin.flush()
            if number < 9:
                # A quick disk lets one run delete all that is left before anybody sees it at work.
                while not list((tmp_path / "store").glob("*.pruned.json")) and process.poll() is None:
                    time.sleep(0.001)
                time.sleep(random.uniform(0, 0.02))
                process.kill()
            process.communicate()
            killed += process.returncode != 0
        sizes = {stored.key: stored.size for stored in store.list()}
        backups = read_catalogue(store).backups
        for backup in backups:
            assert all(sizes.get(entry.path) == entry.size for entry in backup.manifest.files)
        deleted.append(200 - len(backups))
    assert killed
    assert 0 < deleted[0] <= deleted[-2] <= deleted[-1] == 199
    assert [item.name for item in backups] == [newest.name]
    assert all(stored.key.startswith(newest.name) for stored in store.list())
