"""A database in WAL mode that nobody has open is read without a file beside it, by whoever and wherever it lies."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ops.errors import SourceError
from ops.model.evidence import Level
from ops.model.findings import Severity, worst
from ops.run.job import Job
from ops.run.progress import Progress, silent
from ops.sources.sqlite import at_rest
from ops.sources.sqlite.at_rest import Look, copy_at_rest
from ops.sources.sqlite.at_rest import at_rest as rest_of
from ops.sources.sqlite.capture import CaptureOptions, capture_database, probe_database
from ops.sources.sqlite.check import check_database
from ops.sources.sqlite.raw_copy import RawPlan, copy_planned
from tests.conftest import CONSOLE, ask, execute
from tests.other_user import UID, as_other_user

OPTIONS = CaptureOptions(busy_timeout_s=2)
CONFIG = """
state_dir = "{there}/state"
scratch_dir = "{there}"
[source.app]
kind = "sqlite"
path = "{database}"
[store.local]
kind = "local"
path = "{there}/store"
"""


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """One row, in WAL mode, closed, and written some time ago."""
    path = tmp_path / "data" / "app.db"
    path.parent.mkdir()
    execute(path, "PRAGMA journal_mode=WAL; CREATE TABLE t (v); INSERT INTO t VALUES ('old');")
    made_old(path)
    return path


def made_old(*paths: Path) -> None:
    """As if they had been written a minute ago."""
    for path in paths:
        os.utime(path, (time.time() - 60,) * 2)


def left_log(path: Path, *, commits: int = 3) -> None:
    """The files as a machine leaves them that lost power: a log, no index."""
    folder = path.parent / "aside"
    folder.mkdir()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA wal_autocheckpoint=0").fetchone()
        for number in range(commits):
            connection.execute("INSERT INTO t VALUES (?)", (f"{number}" * 3000,))
        for name in (path.name, f"{path.name}-wal"):
            shutil.copy(path.with_name(name), folder)
    for name in (path.name, f"{path.name}-wal"):
        shutil.copy(folder / name, path.parent)
    shutil.rmtree(folder)
    made_old(path, path.with_name(f"{path.name}-wal"))


@pytest.fixture
def read_only(database: Path, tmp_path: Path) -> Iterator[Path]:
    """Its folder mounted so that nothing can be written there, as a snapshot of a disk is."""
    place = tmp_path / "snapshot"
    place.mkdir()
    subprocess.run(["mount", "--bind", "-o", "ro", database.parent, place], check=True)
    yield place / database.name
    subprocess.run(["umount", place], check=True)


def captured(path: Path, into: Path) -> str:
    """How the copy was made, which is sound."""
    into.touch()
    method = capture_database(path, into, OPTIONS, Job().clock, silent).method
    assert worst(check_database(into, Level.FULL, "check")) is Severity.OK
    return method


def names(path: Path) -> list[str]:
    """All that lies in its folder."""
    return sorted(item.name for item in path.parent.iterdir())


@pytest.mark.needs_root
def test_read_only(read_only: Path, tmp_path: Path) -> None:
    """A snapshot of a database at rest is backed up from where nothing can be written."""
    assert captured(read_only, tmp_path / "copy.db") == "raw"
    assert ask(tmp_path / "copy.db", "SELECT v FROM t") == "old"
    assert probe_database(read_only, OPTIONS) == "journal mode wal, at rest"


@pytest.mark.needs_root
@pytest.mark.parametrize("commits", [1, 3, 30])
def test_read_only_with_a_log(database: Path, read_only: Path, tmp_path: Path, commits: int) -> None:
    """What its log holds is in the copy, as SQLite would have it."""
    left_log(database, commits=commits)
    assert captured(read_only, tmp_path / "copy.db") == "raw+wal"
    shutil.copytree(database.parent, tmp_path / "apart")
    rows = ask(tmp_path / "apart" / database.name, "SELECT group_concat(v) FROM t")
    assert ask(tmp_path / "copy.db", "SELECT group_concat(v) FROM t") == rows
    assert ask(tmp_path / "copy.db", "SELECT count(*) FROM t") == commits + 1


@pytest.mark.needs_root
@pytest.mark.parametrize("damage", ["tail", "middle", "header", "salt", "empty", "half frame"])
def test_a_log_that_breaks_off(database: Path, read_only: Path, tmp_path: Path, damage: str) -> None:
    """As many commits count as SQLite itself would count, whatever is left of the log."""
    left_log(database)
    log = database.with_name(f"{database.name}-wal")
    content = bytearray(log.read_bytes())
    match damage:
        case "tail":
            content[-100] ^= 1
        case "middle":
            content[len(content) // 2] ^= 1
        case "header":
            content[5] ^= 1
        case "salt":
            content[32 + 8] ^= 1
        case "empty":
            content.clear()
        case _:
            del content[-2000:]
    log.write_bytes(content)
    made_old(log)
    shutil.copytree(database.parent, tmp_path / "apart")
    captured(read_only, tmp_path / "copy.db")
    rows = ask(tmp_path / "apart" / database.name, "SELECT count(*) FROM t")
    assert ask(tmp_path / "copy.db", "SELECT count(*) FROM t") == rows


@pytest.mark.needs_root
@pytest.mark.parametrize("log", [False, True])
def test_another_user_leaves_nothing(database: Path, tmp_path: Path, log: bool) -> None:
    """A user who may write the folder, and is not the application's, leaves no file beside the database: neither by a backup nor by doctor."""
    if log:
        left_log(database)
    before = names(database)
    database.parent.chmod(0o777)
    database.chmod(0o644)
    there = tmp_path / "theirs"
    there.mkdir()
    (there / "ops.toml").write_text(CONFIG.format(there=there, database=database))
    os.chown(there, UID, UID)
    for path in (tmp_path, *tmp_path.parents):
        if path != Path("/tmp"):
            path.chmod(path.stat().st_mode | 0o055) if str(path).startswith("/tmp") else None
    for task in ("backup.create", "doctor", "backup.drill"):
        done = subprocess.run(
            as_other_user([CONSOLE, task, "--config", there / "ops.toml"]),
            capture_output=True,
            text=True,
            check=False,
            cwd=there,
            env={**os.environ, "HOME": str(there)},
        )
        assert done.returncode in {0, 1}, done.stdout + done.stderr
        assert names(database) == before, task


def test_somebody_comes_meanwhile(database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that changed while it was read is not taken: what was copied is thrown away, and it is read as a living one."""
    monkeypatch.setattr(at_rest, "_leaves_usable_files", lambda _: False)
    into = tmp_path / "copy.db"
    into.touch()
    rest = rest_of(database)
    assert rest is not None

    def beside(
        plan: RawPlan, source: int, into: Path, release: Callable[[], None], progress: Progress
    ) -> str:
        execute(database, "INSERT INTO t VALUES ('new')")
        return copy_planned(plan, source, into, release, progress)

    monkeypatch.setattr(at_rest, "copy_planned", beside)
    assert copy_at_rest(database, rest, into, Look("check"), Job().clock, silent) is None
    assert into.read_bytes() == b""
    monkeypatch.undo()
    capture_database(database, into, OPTIONS, Job().clock, silent)
    assert ask(into, "SELECT count(*) FROM t") == 2


def test_log_of_other_page_size(database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log with pages of another size is left to SQLite: nothing is copied, and nothing breaks."""
    monkeypatch.setattr(at_rest, "_leaves_usable_files", lambda _: False)
    other = tmp_path / "other" / "app.db"
    other.parent.mkdir()
    execute(other, "PRAGMA page_size=1024; PRAGMA journal_mode=WAL; CREATE TABLE t (v);")
    left_log(other)
    log = database.with_name(f"{database.name}-wal")
    shutil.copy(other.with_name(f"{other.name}-wal"), log)
    made_old(log)
    into = tmp_path / "copy.db"
    into.touch()
    rest = rest_of(database)
    assert rest is not None
    assert rest.has_log
    assert copy_at_rest(database, rest, into, Look("check"), Job().clock, silent) is None
    assert into.read_bytes() == b""


def test_what_is_open_is_not_at_rest(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that an application has open is read under SQLite's locks, by whoever."""
    monkeypatch.setattr(at_rest, "_leaves_usable_files", lambda _: False)
    assert rest_of(database) is not None
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("SELECT * FROM t").fetchall()
        assert rest_of(database) is None
    assert rest_of(database) is not None


def test_what_is_young_gets_time(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was written just now is waited for until its time would show a further change."""
    monkeypatch.setattr(at_rest, "_leaves_usable_files", lambda _: False)
    waited: list[float] = []
    monkeypatch.setattr("ops.sources.sqlite.at_rest.time.sleep", waited.append)
    execute(database, "INSERT INTO t VALUES ('new')")
    assert rest_of(database) is not None
    assert len(waited) == 1
    assert 0 < waited[0] <= 2


def test_damage_is_told(database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that does not change and is damaged is damaged, and not read again as a living one."""
    monkeypatch.setattr(at_rest, "_leaves_usable_files", lambda _: False)
    content = bytearray(database.read_bytes())
    content[100] = 0x77
    database.write_bytes(content)
    made_old(database)
    with pytest.raises(SourceError) as caught:
        captured(database, tmp_path / "copy.db")
    assert caught.value.code == "source.corrupt"
