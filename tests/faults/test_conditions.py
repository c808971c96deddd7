from __future__ import annotations

import fcntl
import json
import os
import stat
import subprocess
import sys
import threading
import time
from contextlib import nullcontext, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ops.actions.backup import take_backup
from ops.actions.begin_backup import BackupRequest
from ops.actions.prune import PruneRequest, prune
from ops.errors import LockHeldError, OpsError, StoreError
from ops.formats.names import parse_checksum_line
from ops.fsio.locks import source_lock
from ops.ports.store import OWN_PREFIX
from ops.repository.catalog import read_catalogue
from ops.repository.find import find_backup
from ops.repository.repository import Repository
from ops.repository.retention import Policy
from ops.run.job import Job
from ops.sources.sqlite.source import SqliteSource
from ops.stores.local.store import LocalOptions, LocalStore
from ops.units import parse_span
from tests.conftest import CONSOLE, execute, run_drillbook
from tests.histories import looked_at, whose

pytestmark = [pytest.mark.alone, pytest.mark.long]

ODD_NAMES = [
    b"with space.db",
    b"quo'te\".db",
    b"new\nline.db",
    b"-dash.db",
    b"\xff\xfe.db",
    b"%41?#&.db",
    "ção.db".encode(),
]


def test_two_creates_at_once(tmp_path: Path, database: Path) -> None:
    """Of two simultaneous runs one works and the other says who holds the lock (exit 2); with --wait both work."""
    environment = {"DATA_DIR": str(database.parent), "BACKUP_DIR": str(tmp_path / "b")}
    execute(database, "INSERT INTO notes SELECT id + 10000, hex(randomblob(4000)) FROM notes")
    full = {**os.environ, **environment}
    for flags, codes in (([], ({0, 2}, {0})), (["--wait", "30"], ({0},))):
        runs = [
            subprocess.Popen(
                [CONSOLE, "backup.create", "--verify", "--format", "json", *flags],
                env=full, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            )
            for _ in range(2)
        ]  # fmt: skip
        outputs = [json.loads(run.communicate()[0]) for run in runs]
        assert {run.returncode for run in runs} in codes
        for output in outputs:
            assert [error["code"] for error in output["errors"]] in ([], ["lock.held"])
            for error in output["errors"]:
                assert "process" in error["message"]
    names = [backup.name for backup in read_catalogue(local(tmp_path / "b")).backups]
    assert len(names) == len(set(names)) >= 3


def local(folder: Path) -> LocalStore:
    """A local store in `folder`."""
    return LocalStore("local", LocalOptions(path=folder))


@pytest.mark.parametrize("held_s", [0.2, 30])
def test_a_holder_without_a_name(tmp_path: Path, held_s: float) -> None:
    """One that is just beginning or ending is waited for a moment; one that stays nameless is told as such."""
    path = tmp_path / "prices.lock"
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        ending = threading.Timer(held_s, fcntl.flock, (file, fcntl.LOCK_UN))
        ending.start()
        expected = (
            pytest.raises(LockHeldError, match="does not say its name") if held_s > 1 else nullcontext()
        )
        with expected, source_lock(path, job_id="j", now=datetime.now(UTC)):
            pass
        ending.cancel()


def test_lock_of_a_dead_run_is_free(source: SqliteSource, store: LocalStore, tmp_path: Path) -> None:
    """A lock whose holder was killed does not stand in the way; a living holder's is never taken."""
    script = (
        "import sys, time\nfrom pathlib import Path\nfrom datetime import datetime, UTC\n"
        "from ops.fsio.locks import source_lock\n"
        "with source_lock(Path(sys.argv[1]), job_id='j', now=datetime.now(UTC)):\n"
        "    print('held', flush=True); time.sleep(60)\n"
    )
    arguments: list[str | Path] = [sys.executable, "-c", script, store.lock_path("prices")]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(LockHeldError, match=f"process {holder.pid} "):
            take_backup(source, Repository(store=store), BackupRequest(wait_s=0.2), Job())
        holder.kill()
    take_backup(source, Repository(store=store), BackupRequest(), Job())


def test_private_from_the_first_byte(tmp_path: Path, database: Path) -> None:
    """Under umask 000 nothing that create makes is ever readable by others, at any moment of its life."""
    execute(database, "INSERT INTO notes SELECT id + 1000, hex(randomblob(50000)) FROM notes")
    folder = tmp_path / "b"
    seen: set[tuple[str, int]] = set()
    stop = threading.Event()

    def watch() -> None:
        while not stop.is_set():
            for file in (folder, *folder.rglob("*"), *folder.rglob(".*")):
                with suppress(FileNotFoundError):
                    status = file.lstat()
                    seen.add((file.name, stat.S_IMODE(status.st_mode)))

    watcher = threading.Thread(target=watch)
    watcher.start()
    previous = os.umask(0)
    try:
        environment = {"DATA_DIR": str(database.parent), "BACKUP_DIR": str(folder)}
        assert (
            run_drillbook("backup.create", "--verify", cwd=tmp_path, environment=environment).returncode == 0
        )
    finally:
        os.umask(previous)
        stop.set()
        watcher.join()
    assert {mode for _, mode in seen} <= {0o600, 0o700}
    assert any(name.startswith(".tmp-") for name, _ in seen)


@pytest.mark.parametrize("umask", [0o777, 0o077])
def test_strict_umask(tmp_path: Path, database: Path, umask: int) -> None:
    """A umask that takes everything away does not make the files unusable to their owner."""
    environment = {"DATA_DIR": str(database.parent), "BACKUP_DIR": str(tmp_path / "b")}
    previous = os.umask(umask)
    try:
        run = run_drillbook("backup.create", cwd=tmp_path, environment=environment)
    finally:
        os.umask(previous)
    assert run.returncode == 0, run.stdout
    modes = {stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "b").iterdir() if file.is_file()}
    assert modes == {0o600}


def test_clock_set_back(source: SqliteSource, store: LocalStore) -> None:
    """After the clock was set back, a new backup is still the latest, its time is the clock's, and a warning names it."""
    today = datetime.now(UTC)
    first = take_backup(source, Repository(store=store), BackupRequest(), Job(clock=lambda: today)).backup
    back = today - timedelta(days=400)
    taken = take_backup(source, Repository(store=store), BackupRequest(), Job(clock=lambda: back))
    assert [finding.code for finding in taken.findings] == ["clock.behind"]
    assert taken.backup.manifest.created_at == back
    assert find_backup(store, "latest").name == taken.backup.name != first.name
    again = take_backup(
        source, Repository(store=store), BackupRequest(), Job(clock=lambda: today + timedelta(seconds=5))
    )
    assert again.findings == ()
    assert find_backup(store, "latest").name == again.backup.name


@pytest.mark.parametrize("wrong", [timedelta(days=365), timedelta(days=-365), timedelta(days=-20_700)])
def test_thirty_nights_and_one_with_a_wrong_clock(
    source: SqliteSource, store: LocalStore, wrong: timedelta
) -> None:
    """A year ahead once, a year back once, at 1970: latest is always what was made last, and prune keeps ten days."""
    begin = datetime.now(UTC) - timedelta(days=30)
    made: list[str] = []
    for night in range(30):
        now = begin + timedelta(days=night) + (wrong if night == 15 else timedelta())
        job = Job(clock=lambda now=now: now)  # type: ignore[misc] # of this night
        backup = take_backup(source, Repository(store=store), BackupRequest(), job).backup
        made.append(backup.name)
        looked_at(backup)
        assert find_backup(store, "latest").name == backup.name
        assert [item.name for item in read_catalogue(store).backups] == made[::-1]
    request = PruneRequest(whose=whose(source), policy=Policy(keep_daily=parse_span("10d")), many=True)
    done = prune(Repository(store=store), request, Job(clock=lambda: begin + timedelta(days=29, hours=1)))
    left = {item.name for item in read_catalogue(store).backups}
    assert left >= set(made[-10:])
    # One whose time is known to be wrong is kept, and stands for no day.
    assert left - set(made[-10:]) == {made[15]}
    assert len(done.deleted) == 30 - len(left)


def test_a_clock_that_is_still_ahead(source: SqliteSource, store: LocalStore) -> None:
    """While the backup that was made last is from the future nothing is deleted; the next one with a right clock ends it."""
    now = datetime.now(UTC)
    for days in (3, 2, 1):
        job = Job(clock=lambda days=days: now - timedelta(days=days))  # type: ignore[misc] # of this day
        looked_at(take_backup(source, Repository(store=store), BackupRequest(), job).backup)
    ahead = Job(clock=lambda: now + timedelta(days=365))
    looked_at(take_backup(source, Repository(store=store), BackupRequest(), ahead).backup)
    request = PruneRequest(whose=whose(source), policy=Policy(keep_last=1))
    job = Job(clock=lambda: now)
    done = prune(Repository(store=store), request, job)
    assert (done.deleted, "from the future" in done.findings[0].message) == ((), True)
    looked_at(take_backup(source, Repository(store=store), BackupRequest(), job).backup)
    assert len(prune(Repository(store=store), request, job).deleted) == 3


def test_two_in_one_second(source: SqliteSource, store: LocalStore) -> None:
    """Backups of one second get different names, and none is overwritten."""
    now = datetime.now(UTC)
    names = {
        take_backup(source, Repository(store=store), BackupRequest(), Job(clock=lambda: now)).backup.name
        for _ in range(5)
    }
    assert len(names) == 5
    assert len(read_catalogue(store).backups) == 5


def test_an_existing_name_is_never_overwritten(tmp_path: Path, source: SqliteSource) -> None:
    """A backup to a name that is taken is refused, and the file that was there is untouched, run after run."""
    precious = tmp_path / "out" / "precious.db"
    precious.parent.mkdir()
    precious.write_bytes(b"not a backup")
    for _ in range(2):
        with pytest.raises(OpsError) as caught:
            take_backup(
                source, Repository(store=local(precious.parent)), BackupRequest(name="precious.db"), Job()
            )
        assert caught.value.code == "refused.name_taken"
        assert [file.name for file in precious.parent.iterdir() if file.is_file()] == ["precious.db"]
        assert precious.read_bytes() == b"not a backup"


@pytest.mark.parametrize("error", [SystemExit(143), StoreError("no more names")])
@pytest.mark.parametrize("failing", [1, 2, 3])
def test_publication_that_fails_leaves_nothing(
    source: SqliteSource,
    store: LocalStore,
    monkeypatch: pytest.MonkeyPatch,
    failing: int,
    error: BaseException,
) -> None:
    """When publishing fails or is ended at its first, second or third file, none of them is left."""
    real, calls = LocalStore.put, iter(range(1, 9))

    def put(self: LocalStore, key: str, file: Path) -> None:
        if not key.startswith(OWN_PREFIX) and next(calls) == failing:
            raise error
        real(self, key, file)

    monkeypatch.setattr(LocalStore, "put", put)
    with pytest.raises(type(error)):
        take_backup(source, Repository(store=store), BackupRequest(), Job())
    assert list(store.list()) == []
    assert not list(store.options.path.glob(".tmp-*"))


@pytest.mark.parametrize("name", ODD_NAMES)
def test_odd_names_all_the_way(tmp_path: Path, name: bytes) -> None:
    """A source and a backup with an odd name go through create, list, verify, drill and restore, and sha256sum."""
    base = os.fsencode(tmp_path)
    data, out = os.path.join(base, b"in-" + name), os.path.join(base, b"out-" + name)
    execute(Path(os.fsdecode(data)), "CREATE TABLE t (a); INSERT INTO t VALUES (1), (2);")
    created = run_drillbook("backup.create", b"--from=" + data, b"--out=" + out, "--verify", cwd=tmp_path)
    assert created.returncode == 0, created.stdout
    for task in (
        ("backup.verify", out),
        ("backup.show", out),
        ("backup.drill", b"--from=" + out),
        ("backup.restore", b"--from=" + out, b"--to=" + os.path.join(base, b"back-" + name)),
    ):
        run = run_drillbook(*task, cwd=tmp_path)
        assert run.returncode == 0, (task, run.stdout, run.stderr)
    checked = subprocess.run(
        [b"sha256sum", b"-c", out + b".checksum"], cwd=tmp_path, check=False, capture_output=True
    )
    assert checked.returncode == 0, checked.stderr
    assert os.path.exists(os.path.join(base, b"back-" + name))


def test_dash_at_the_start(tmp_path: Path) -> None:
    """A relative name that begins with a dash is a name when it is given with `=`."""
    execute(tmp_path / "-data.db", "CREATE TABLE t (a);")
    run = run_drillbook("backup.create", "--from=-data.db", "--out=-copy.db", cwd=tmp_path)
    assert run.returncode == 0, run.stdout
    assert (tmp_path / "-copy.db").exists()


def test_checksum_file_names_the_payload(source: SqliteSource, store: LocalStore) -> None:
    """The checksum file is what sha256sum writes, and says the payload's digest and name."""
    backup = take_backup(source, Repository(store=store), BackupRequest(), Job()).backup
    text = store.path_of(f"{backup.name}.checksum").read_text()
    assert parse_checksum_line(text) == (backup.manifest.files[0].sha256, backup.name)
    written = subprocess.run(
        ["sha256sum", backup.name], cwd=store.options.path, capture_output=True, check=True
    )
    assert written.stdout.decode() == text


def test_read_only_store(tmp_path: Path, source: SqliteSource) -> None:
    """A store that cannot be written is named, with what to check."""
    place = tmp_path / "file"
    place.write_text("a file where the store's folder should be")
    with pytest.raises(OpsError) as caught:
        take_backup(source, Repository(store=local(place / "backups")), BackupRequest(), Job())
    assert caught.value.code == "store.unwritable"
    assert str(place) in caught.value.message


def test_terminated(tmp_path: Path, database: Path) -> None:
    """SIGTERM in the middle of a create leaves no staged file and no scratch place."""
    execute(database, "INSERT INTO notes SELECT id + 1000, hex(randomblob(100000)) FROM notes")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    environment = {
        **os.environ, "DATA_DIR": str(database.parent), "BACKUP_DIR": str(tmp_path / "b"), "TMPDIR": str(scratch),
    }  # fmt: skip
    for delay in (0.3, 0.4, 0.5, 0.6):
        with subprocess.Popen(
            [CONSOLE, "backup.create", "--verify"], env=environment, cwd=tmp_path,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        ) as run:  # fmt: skip
            time.sleep(delay)
            run.terminate()
            run.wait()
        assert not list(scratch.iterdir())
        assert not list((tmp_path / "b").glob(".tmp-*"))
