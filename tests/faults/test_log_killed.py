"""SIGKILL at every step of a create and of a restore of an event log: nothing is ever half done."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ops.actions.backup import take_backup
from ops.actions.begin_backup import BackupRequest
from ops.actions.restore import restore_backup
from ops.actions.restore_request import RestoreRequest
from ops.actions.verify import VerifyRequest, verify_backup
from ops.formats.names import payload_of_record
from ops.model.evidence import Level
from ops.model.findings import Verdict
from ops.repository.catalog import read_catalogue
from ops.repository.find import find_backup
from ops.repository.repository import Repository
from ops.run.job import Job
from ops.sources.eventlog.options import EventLogOptions
from ops.sources.eventlog.source import EventLogSource
from ops.stores.local.store import LocalOptions, LocalStore
from tests.sources.eventlog.capturing import files_of
from tests.sources.eventlog.writing import made_events, written_log

pytestmark = [pytest.mark.alone, pytest.mark.long]

ROOT = Path(__file__).parents[2]
OLD = made_events(25, actor="old")
NEW = made_events(35, actor="new")
MOST_STEPS = 2000


def about(key: str) -> str:
    """The key, or the payload whose record has it."""
    return payload_of_record(key) or key


class Place:
    """A folder with a live log, a store and a scratch place."""

    def __init__(self, folder: Path) -> None:
        self.data, self.scratch = folder / "live" / "data", folder / "scratch"
        self.data.parent.mkdir(parents=True)
        self.scratch.mkdir()
        self.source = EventLogSource("log", EventLogOptions(path=self.data))
        self.store = LocalStore("local", LocalOptions(path=folder / "backups"))

    def take(self) -> str:
        """A new backup of the live log; its name."""
        return take_backup(self.source, Repository(store=self.store), BackupRequest(), Job()).backup.name

    def restore(self, name: str) -> None:
        """That backup over the live log."""
        request = RestoreRequest(
            scratch=self.scratch,
            safety=Repository(store=self.store),
            sources=[self.source],
            yes=True,
            to=str(self.data),
        )
        restore_backup(find_backup(self.store, name), self.source, request, Job())

    def require_sound_store(self) -> None:
        """Whatever is listed verifies, and nothing that a dead process left is there any more."""
        catalogue = read_catalogue(self.store)
        assert catalogue.findings == ()
        for backup in catalogue.backups:
            look = VerifyRequest(Level.QUICK, self.scratch, keep=False)
            assert verify_backup(backup, self.source, look, Job()).verdict is Verdict.PASSED
        assert not list(self.store.options.path.glob(".tmp-*"))
        names = tuple(backup.name for backup in catalogue.backups)
        assert all(about(stored.key).startswith(names) for stored in self.store.list())
        assert all(
            f"{name.removesuffix('.tar.gz')}.manifest.json" in {stored.key for stored in self.store.list()}
            for name in names
        )

    def leave_only(self, name: str) -> None:
        """Only this backup is in the store: a run reads all that are there, and would have ever more steps."""
        for backup in read_catalogue(self.store).backups:
            for stored in list(self.store.list()):
                if backup.name != name and about(stored.key).startswith(backup.name):
                    self.store.delete(stored.key)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """An empty one."""
    return Place(tmp_path)


def killed_runs(action: str, place: Place, name: str, prepare: Callable[[], object]) -> Iterator[str]:
    """Runs that are killed at their first step, their second, and so on; what each was about to do."""
    arguments = [action, str(place.data), str(place.store.options.path), name]
    with subprocess.Popen(
        [sys.executable, "-m", "tests.faults.log_operation", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        for step in range(1, MOST_STEPS):
            prepare()
            process.stdin.write(f"{step}\n")
            process.stdin.flush()
            was_to_do = process.stdout.readline().strip()
            assert was_to_do, "a run ended in an error"
            yield was_to_do
            if was_to_do == "done":
                break
        process.stdin.close()
    assert was_to_do == "done"


def test_create_killed_at_every_step(place: Place) -> None:
    """The log is untouched, every published backup is right, and the next run sweeps and works."""
    written_log(place.data, NEW, 10)
    before = files_of(place.data)
    steps = []
    for step in killed_runs("create", place, "-", lambda: None):
        steps.append(step)
        assert files_of(place.data) == before
        place.take()
        place.require_sound_store()
        for stored in list(place.store.list()):
            place.store.delete(stored.key)
    assert len(steps) > 20
    assert any("event-log/segment-000004.json" in step for step in steps)
    assert any(step.startswith("os.link") for step in steps)


def lay_old_log(place: Place) -> None:
    """The live log is the old one again, and nothing else is in its folder."""
    shutil.rmtree(place.data.parent)
    place.data.parent.mkdir()
    written_log(place.data, OLD, 10)


def logs_in(folder: Path) -> tuple[dict[str, bytes], bytes | None]:
    """The segments in a data folder by their names, and the snapshot."""
    segments = {path.name: path.read_bytes() for path in (folder / "event-log").glob("*.json")}
    snapshot = folder / "event-log-snapshot.json"
    return segments, snapshot.read_bytes() if snapshot.exists() else None


def test_overwriting_restore_killed_at_every_step(place: Place, tmp_path: Path) -> None:
    """The live log is the old one or the new one, whole, never with the other's snapshot; the old one is never lost."""
    written_log(place.data, NEW, 10)
    new, name = logs_in(place.data), place.take()
    old = logs_in(written_log(tmp_path / "old", OLD, 10))
    seen = []
    for step in killed_runs("restore", place, name, lambda: lay_old_log(place)):
        segments, snapshot = logs_in(place.data)
        assert segments in (old[0], new[0]), step
        assert snapshot in (None, old[1] if segments == old[0] else new[1]), step
        places = [place.data, *place.data.glob("event-log-before-*")]
        assert old[0] in [logs_in(folder)[0] for folder in places], step
        assert old[1] in [logs_in(folder)[1] for folder in places], step
        seen.append((step, segments == new[0]))
        place.restore(name)
        assert logs_in(place.data) == new, step
        leftovers = [path.name for folder in (place.data, place.data.parent) for path in folder.iterdir()]
        assert {item.partition("before-")[0] for item in leftovers} <= {
            "data", "event-log", "event-log-", "event-log-snapshot.json",
        }, step  # fmt: skip
        assert list(place.scratch.iterdir()) == [], step
        place.require_sound_store()
        place.leave_only(name)
    exchange = next(at for at, (step, _) in enumerate(seen) if "renameat2" in step)
    assert [is_new for _, is_new in seen] == [False] * (exchange + 1) + [True] * (len(seen) - exchange - 1)
    assert len(seen) - exchange > 2


def test_restore_into_an_empty_place_killed_at_every_step(place: Place) -> None:
    """There is no log, or the whole one; and the next run puts it there and sweeps."""
    written_log(place.data, NEW, 10)
    new, name = logs_in(place.data), place.take()
    seen = []

    def empty() -> None:
        shutil.rmtree(place.data.parent)
        place.data.parent.mkdir()

    for step in killed_runs("restore", place, name, empty):
        segments, snapshot = logs_in(place.data)
        assert segments in ({}, new[0]), step
        assert snapshot in (None, new[1]), step
        assert bool(segments) or snapshot is None, step
        seen.append(bool(segments))
        place.restore(name)
        assert logs_in(place.data) == new, step
        assert [path.name for path in place.data.parent.iterdir()] == ["data"], step
        assert list(place.scratch.iterdir()) == [], step
        place.leave_only(name)
    assert seen == sorted(seen)
    assert {False, True} == set(seen)


def test_no_worker_outlives_a_killed_create(place: Place) -> None:
    """A log that is large enough for worker processes: they end with the process that was killed, and leave nothing."""
    events = made_events(14_000)
    written_log(place.data, events, 700)
    arguments = ["create", str(place.data), str(place.store.options.path), "-"]
    for _ in range(3):
        with subprocess.Popen(
            [sys.executable, "-m", "tests.faults.log_operation", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            start_new_session=True,
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdout.readline()
            process.stdin.write(b"1000000\n")
            process.stdin.flush()
            try:
                wait_for(lambda: len(of_session(process.pid)) >= 4)
                time.sleep(random.uniform(0, 0.3))
                for child in children_of(process.pid):
                    os.kill(child, signal.SIGKILL)
                process.stdin.close()
                wait_for(lambda: of_session(process.pid) <= {process.pid})
            finally:
                for left in of_session(process.pid):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(left, signal.SIGKILL)
    place.take()
    place.require_sound_store()


def wait_for(happened: Callable[[], bool]) -> None:
    """Return when it happened; fails when it never does."""
    for _ in range(1500):
        if happened():
            return
        time.sleep(0.02)
    pytest.fail("it did not happen")


def of_session(session: int) -> set[int]:
    """The processes of a session that are not yet dead."""
    return {pid for pid, fields in process_table() if int(fields[3]) == session and fields[0] != "Z"}


def children_of(parent: int) -> set[int]:
    """The processes that a process started itself."""
    return {pid for pid, fields in process_table() if int(fields[1]) == parent}


def process_table() -> list[tuple[int, list[str]]]:
    """Each process with state, parent, group and session: proc_pid_stat(5)."""
    table = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = path.read_text()
        except OSError:
            continue
        table.append((int(path.parent.name), text.rpartition(")")[2].split()))
    return table
