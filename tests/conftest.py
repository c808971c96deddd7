"""Fixtures that many tests share: a real database, a source, a store, a job with a clock that tells the truth."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from ops.run.job import Job
from ops.sources.sqlite.options import SqliteOptions
from ops.sources.sqlite.source import SqliteSource
from ops.stores.local.store import LocalOptions, LocalStore
from tests.keys import Keys
from tests.schemas.answers import require_valid

CONSOLE = Path(sys.executable).with_name("drillbook")
AGAIN_S = 30.0
LIMIT = pytest.StashKey[object]()
CLEAN = {
    "DATA_DIR",
    "BACKUP_DIR",
    "OPS_CONFIG",
    "LOG_FILE",
    "LOG_FORMAT",
    "LOG_LEVEL",
    "JOURNAL_STREAM",
    "NO_COLOR",
}


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Tests that need root are skipped elsewhere, with the reason; where CI=true they fail instead."""
    if item.get_closest_marker("needs_root") and os.geteuid() != 0:
        reason = "needs root: mounts a small disk or becomes another user"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.hookimpl(wrapper=True)
def pytest_timeout_set_timer(item: pytest.Item, settings: object) -> Generator[None, object, object]:
    """A test whose time is over is interrupted again and again: in its clean-up it may wait for a process once more."""
    done = yield
    left_s, _ = signal.getitimer(signal.ITIMER_REAL)
    if left_s:  # none where another method was asked for
        item.stash[LIMIT] = settings
        signal.setitimer(signal.ITIMER_REAL, left_s, AGAIN_S)
    return done


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Fixtures of a test that failed have a limit as well, though pytest-timeout's ends with the first failure."""
    if LIMIT in item.stash and not signal.getitimer(signal.ITIMER_REAL)[0]:
        item.ihook.pytest_timeout_set_timer(item=item, settings=item.stash[LIMIT])


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Mounts a tmpfs of so many bytes; unmounted afterwards."""
    mounted: list[Path] = []

    def mount(size: int) -> Path:
        place = tmp_path / f"disk-{len(mounted)}"
        place.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs", place], check=True)
        mounted.append(place)
        return place

    yield mount
    for place in mounted:
        subprocess.run(["umount", place], check=True)


def execute(path: Path, script: str) -> None:
    """Run an SQL script on the database at `path`, committed."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)


def ask(path: Path, sql: str) -> object:
    """The first value of the first row."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchone()[0]


def clean_environment(more: Mapping[str, str]) -> dict[str, str]:
    """Ours without what configures Drillbook, and with these variables."""
    return {**{name: value for name, value in os.environ.items() if name not in CLEAN}, **more}


def files_below(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its bytes, by its path from there."""
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def run_drillbook(
    *arguments: str | bytes, cwd: Path, environment: Mapping[str, str] | None = None, timeout: float = 120
) -> subprocess.CompletedProcess[str]:
    """`drillbook ARGUMENTS` as a process of its own; output as text, which is valid where it is a task's JSON."""
    ended = subprocess.run(
        [CONSOLE, *arguments],
        cwd=cwd,
        env=clean_environment(environment or {}),
        capture_output=True,
        check=False,
        text=True,
        errors="surrogateescape",
        stdin=subprocess.DEVNULL,
        timeout=timeout,
    )
    require_valid(ended.stdout)
    return ended


@pytest.fixture(scope="session", autouse=True)
def usual_signals() -> Iterator[None]:
    """What tests start hears every signal, whatever whoever started us has us ignore or block (a shell, nohup).

    We ourselves stay deaf, so that a hang-up does not end what nohup began: exec forgets a handler, even one that
    does nothing, and keeps what is ignored.
    """
    pythons = {signal.SIGPIPE, signal.SIGXFSZ}  # subprocess undoes that
    ignored = [number for number in signal.valid_signals() - pythons if is_ignored(number)]
    blocked = signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for number in ignored:
        signal.signal(number, lambda *_: None)
    yield
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def is_ignored(number: int) -> bool:
    """Whether this process ignores the signal."""
    return signal.getsignal(number) == signal.SIG_IGN


@pytest.fixture(scope="session", autouse=True)
def own_memory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What this machine remembers stays with the tests, in this process and in those that it starts."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patched.setenv("OPS_STATE_DIR", str(tmp_path_factory.mktemp("state")))
        patched.setenv("OPS_HOST", "test-host")
        yield


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A small database in WAL mode with two tables, at rest."""
    path = tmp_path / "live" / "data.db"
    path.parent.mkdir()
    execute(
        path,
        """
        PRAGMA journal_mode=WAL;
        CREATE TABLE prices (ticker TEXT, date TEXT, close REAL, PRIMARY KEY (ticker, date));
        CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT);
        INSERT INTO prices VALUES ('PETR4', '2026-01-02', 36.5), ('VALE3', '2026-01-02', 61.25);
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200)
        INSERT INTO notes SELECT i, 'note ' || i FROM n;
        """,
    )
    return path


@pytest.fixture
def source(database: Path) -> SqliteSource:
    """The small database as a source."""
    return SqliteSource("prices", SqliteOptions(path=database, busy_timeout=timedelta(seconds=2)))


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    """An empty local store."""
    return LocalStore("local", LocalOptions(path=tmp_path / "backups"))


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """A folder for scratch places."""
    path = tmp_path / "scratch"
    path.mkdir()
    return path


@pytest.fixture
def job() -> Job:
    """A job that nobody listens to."""
    return Job(source="prices")


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    """The key in escrow, that backups are encrypted for."""
    return Keys(tmp_path, "escrow")
