"""An event log whose disk, files or folder fail while it is captured: a clear error, and no backup that is half there."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from ops.actions.backup import take_backup
from ops.actions.begin_backup import BackupRequest
from ops.actions.restore import restore_backup
from ops.actions.restore_request import RestoreRequest
from ops.actions.verify import VerifyRequest, verify_backup
from ops.errors import OpsError, SourceError, SpaceError
from ops.model.evidence import Level
from ops.model.findings import Verdict
from ops.repository.repository import Repository
from ops.run.job import Job
from ops.sources.eventlog.options import EventLogOptions
from ops.sources.eventlog.source import EventLogSource
from ops.stores.local.store import LocalOptions, LocalStore
from tests.sources.eventlog.capturing import Hook, files_of, once, segment
from tests.sources.eventlog.writing import made_events, written_log

pytestmark = [pytest.mark.alone, pytest.mark.long]


@pytest.fixture
def log(tmp_path: Path) -> EventLogSource:
    """A log of about a MiB in twenty segments; its archive has some 200 KiB."""
    folder = written_log(tmp_path / "data", made_events(2000), 100)
    return EventLogSource("log", EventLogOptions(path=folder))


@pytest.mark.needs_root
@pytest.mark.parametrize("count", [2000, 11_000], ids=["alone", "workers"])
def test_full_in_the_middle(count: int, tmp_path: Path, small_disk: Callable[[int], Path]) -> None:
    """However little others leave of the disk meanwhile, a backup is whole or not there, and older ones are unharmed."""
    data = written_log(tmp_path / "data", made_events(count), 500)
    log = EventLogSource("log", EventLogOptions(path=data))
    disk = small_disk(16 << 20)
    store = LocalStore("local", LocalOptions(path=disk / "backups"))
    first = take_backup(log, Repository(store=store), BackupRequest(min_free=0), Job()).backup
    size = first.manifest.size
    outcomes = set()
    for free in (0, 4096, size // 8, size // 2, size - 16384, size - 4096, size, size + 16384, size + 65536):
        before = {stored.key for stored in store.list()}
        meanwhile = Hook(once(partial(leave_free, disk, free)), 1)
        try:
            taken = take_backup(
                log, Repository(store=store), BackupRequest(min_free=1), Job(progress=meanwhile)
            ).backup
        except SpaceError as error:
            outcomes.add(error.code)
            assert {stored.key for stored in store.list()} == before
            assert not list(store.options.path.glob(".tmp-*"))
        else:
            outcomes.add("published")
            for stored in list(store.list()):
                if stored.key.startswith(taken.name):
                    store.delete(stored.key)
        (disk / "ballast").unlink()
        look = VerifyRequest(Level.FULL, tmp_path, keep=False)
        assert verify_backup(first, log, look, Job()).verdict is Verdict.PASSED
    assert outcomes == {"space.disk_full", "published"}


def leave_free(disk: Path, free: int) -> None:
    """Another program takes all but so many bytes."""
    there = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    (disk / "ballast").write_bytes(b"x" * max(0, there - free))


@pytest.mark.needs_root
def test_no_room_from_the_start(
    log: EventLogSource, tmp_path: Path, small_disk: Callable[[int], Path]
) -> None:
    """A disk without room for all segments is refused before the first byte is written."""
    disk = small_disk(512 << 10)
    store = LocalStore("local", LocalOptions(path=disk / "backups"))
    with pytest.raises(SpaceError) as caught:
        take_backup(log, Repository(store=store), BackupRequest(min_free=1), Job())
    assert caught.value.code == "space.insufficient"
    assert not list(disk.rglob("*eventlog*"))


@pytest.mark.needs_root
def test_restore_onto_a_full_disk(
    log: EventLogSource, tmp_path: Path, small_disk: Callable[[int], Path]
) -> None:
    """A restore that does not fit leaves the live log as it was, and nothing beside it."""
    store = LocalStore("local", LocalOptions(path=tmp_path / "backups"))
    backup = take_backup(log, Repository(store=store), BackupRequest(), Job()).backup
    disk = small_disk(1 << 20)
    live = written_log(disk / "data", made_events(20), 10)
    before = files_of(live)
    request = RestoreRequest(scratch=tmp_path, safety=Repository(store=store), to=str(live), yes=True)
    with pytest.raises(SpaceError):
        restore_backup(backup, log, request, Job())
    assert files_of(live) == before
    assert sorted(path.name for path in live.iterdir()) == ["event-log", "event-log-snapshot.json"]


@pytest.fixture
def failing_disk(log: EventLogSource) -> Iterator[Path]:
    """A segment whose every byte is an input/output error of the kernel; the file is like any other."""
    place = segment(log.options.path, 7)
    # Nothing is mapped at address 0, and a read there is EIO: proc_pid_mem(5).
    subprocess.run(["mount", "--bind", f"/proc/{os.getpid()}/mem", place], check=True)
    yield place
    subprocess.run(["umount", place], check=True)


@pytest.mark.needs_root
def test_a_segment_that_can_not_be_read(log: EventLogSource, failing_disk: Path, tmp_path: Path) -> None:
    """EIO is an error that names the segment, not an empty segment in a backup that looks whole."""
    store = LocalStore("local", LocalOptions(path=tmp_path / "backups"))
    with pytest.raises(SourceError, match=failing_disk.name) as caught:
        take_backup(log, Repository(store=store), BackupRequest(), Job())
    assert caught.value.code == "source.unreadable"
    assert list(store.list()) == []
    assert not list(store.options.path.glob(".tmp-*"))


def replace_by_fifo(folder: Path) -> None:
    """A pipe that nobody writes into."""
    segment(folder, 15).unlink()
    os.mkfifo(segment(folder, 15))


def replace_by_link(folder: Path) -> None:
    """A link to a file that is none of the log's."""
    segment(folder, 15).unlink()
    segment(folder, 15).symlink_to("/etc/passwd")


def replace_by_folder(folder: Path) -> None:
    """A folder."""
    segment(folder, 15).unlink()
    segment(folder, 15).mkdir()


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "FIFO": (replace_by_fifo, "source.not_a_file"),
    "link": (replace_by_link, "source.not_a_file"),
    "folder": (replace_by_folder, "source.not_a_file"),
    "data folder gone": (shutil.rmtree, "source.missing"),
    "segments gone": (lambda folder: shutil.rmtree(folder / "event-log"), "source.missing"),
}


@pytest.mark.parametrize("after", [0, 1, 10])
@pytest.mark.parametrize("fault", FAULTS)
def test_replaced_or_gone_while_it_is_read(
    fault: str, after: int, log: EventLogSource, tmp_path: Path
) -> None:
    """What happens to the log while it is captured is said with its code; nothing hangs, nothing is published."""
    damage, code = FAULTS[fault]
    hook = Hook(once(lambda: damage(log.options.path)), after)
    store = LocalStore("local", LocalOptions(path=tmp_path / "backups"))
    with pytest.raises(OpsError) as caught:
        take_backup(log, Repository(store=store), BackupRequest(), Job(progress=hook))
    assert caught.value.code == code
    assert caught.value.hint
    assert list(store.list()) == []
    assert not list(store.options.path.glob(".tmp-*"))
