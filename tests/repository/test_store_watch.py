"""What is remembered of stores, and what follows when they are gone: on stores in memory and remembered mounts."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import pytest

from ops.actions.backup import take_backup
from ops.actions.begin_backup import BackupRequest
from ops.errors import OpsError, StoreError
from ops.host.mounts import Mount, mount_of
from ops.host.seen_stores import SeenStore, recall_store, remember_store
from ops.host.state_dir import StateDir
from ops.repository.catalog import read_catalogue
from ops.repository.find import find_backup
from ops.repository.identity import create_store, ensure_identity
from ops.repository.listing import list_backups
from ops.repository.offline import is_absent
from ops.repository.repository import Repository
from ops.repository.store_watch import StoreWatch, watching_stores
from ops.run.job import Job
from ops.sources.sqlite.source import SqliteSource
from ops.stores.local.store import LocalStore
from ops.stores.memory import MemoryStore

DISK = Mount("/mnt/usb", "ext4", "/dev/sdb1", "/", 1234, 2065)


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    """A state folder."""
    return StateDir(tmp_path / "state")


@pytest.fixture
def watch(state: StateDir) -> Iterator[StoreWatch]:
    """A run that writes."""
    with watching_stores(StoreWatch(state, writes=True)) as made:
        yield made


def test_a_bucket_that_was_emptied(source: SqliteSource, watch: StoreWatch) -> None:
    """A bucket whose store.json is gone is neither read as empty nor written to, until it is begun anew."""
    bucket = MemoryStore("cold")
    repository = Repository(store=bucket)
    take_backup(source, repository, BackupRequest(), Job())
    bucket.files.clear()
    attempts: tuple[Callable[[], object], ...] = (
        lambda: read_catalogue(bucket),
        lambda: find_backup(bucket, "latest"),
        lambda: find_backup(bucket, "backup-20260101T000000Z.db"),
        lambda: list_backups(bucket, None),
        lambda: take_backup(source, repository, BackupRequest(), Job()),
        lambda: ensure_identity(bucket),
    )
    for attempt in attempts:
        with pytest.raises(StoreError, match="was emptied, or is another one") as caught:
            attempt()
        assert caught.value.code == "store.missing"
        # In words: as a command to run next it would be run where only the place is wrong.
        assert caught.value.command == ""
        assert "store.check --store cold --create" in caught.value.hint
    assert bucket.files == {}
    (said,) = create_store(bucket)
    assert said.code == "store.created"
    take_backup(source, repository, BackupRequest(), Job())


def test_threads_are_watched_as_well(watch: StoreWatch) -> None:
    """The switch holds in every thread of the process."""
    bucket = MemoryStore("cold")
    ensure_identity(bucket)
    bucket.files.clear()
    caught: list[str] = []

    def look() -> None:
        try:
            read_catalogue(bucket)
        except OpsError as error:
            caught.append(error.code)

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert caught == ["store.missing"]


def test_who_only_reads_remembers_nothing(state: StateDir) -> None:
    """A run that writes to no store leaves the state folder as it is."""
    bucket = MemoryStore("cold")
    ensure_identity(bucket)
    with watching_stores(StoreWatch(state)):
        read_catalogue(bucket)
    assert recall_store(state, bucket.location) is None


@pytest.mark.parametrize(("rotated", "told", "known"), [(True, 0, 2), (False, 3, 1)])
def test_rotated_disks_are_known_by_all_their_ids(
    state: StateDir, rotated: bool, told: int, known: int
) -> None:
    """For a store of several disks each of them is known, and none is told as another one; for others the change is told."""
    disks = {name: MemoryStore("tape") for name in ("red", "blue")}
    for disk in disks.values():
        ensure_identity(disk)
    said: list[str] = []
    for name in ("red", "blue", "red", "blue"):
        watch = StoreWatch(state, writes=True, rotated=frozenset({"tape"} if rotated else ()))
        with watching_stores(watch):
            read_catalogue(disks[name])
            read_catalogue(disks[name])
        said += [item.code for item in watch.said]
    assert said == ["store.exchanged"] * told
    seen = recall_store(state, "memory")
    assert seen is not None
    assert len(seen.ids) == known


def test_damaged_memory_is_none(state: StateDir, watch: StoreWatch) -> None:
    """What cannot be read of the state folder is as if nothing had been seen."""
    bucket = MemoryStore("cold")
    ensure_identity(bucket)
    (file,) = (state.usable() / "stores").iterdir()
    for content in (b"", b"[]", b"{}", b'{"location": "memory", "ids": 5, "mount": {"x": 1}, "newest": {}}'):
        file.write_bytes(content)
        assert recall_store(state, bucket.location) is None
    bucket.files.clear()
    assert read_catalogue(bucket).backups == ()


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({"device": 99}, True),
        ({"source": "/dev/sda1"}, False),
        ({"point": "/"}, False),
        ({"type": "xfs"}, False),
        ({"root": "/sub"}, False),
        ({"number": 5}, False),
    ],
)
def test_what_makes_a_mount_the_same(changes: dict[str, object], same: bool) -> None:
    """A device's number may change with a reboot; source, place, type, root and the file system's own number may not."""
    assert DISK.is_same(replace(DISK, **changes)) is same  # type: ignore[arg-type]


def test_without_a_table_of_mounts_the_device_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the system has no table of mounts, folders of one device are on one disk."""
    monkeypatch.setattr("ops.host.mounts._TABLE", tmp_path / "none")
    one, other = mount_of(tmp_path), mount_of(tmp_path / "not" / "there" / "yet")
    assert one is not None
    assert other is not None
    assert one.is_same(other)
    assert not one.is_same(replace(one, device=one.device + 1))


def test_names_of_mounts_are_read_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Spaces and backslashes in mount points are told apart from the octal codes that stand for them; the last mount lies above."""
    table = tmp_path / "mountinfo"
    place = tmp_path / "a disk"
    place.mkdir()
    name = str(place).replace(" ", "\\040")
    table.write_text(
        "21 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
        f"22 21 8:2 / {name} rw shared:1 - xfs /dev/sdb1 rw\n"
        f"23 22 8:3 /sub {name} rw - btrfs /dev/sdc1 rw\n"
    )
    monkeypatch.setattr("ops.host.mounts._TABLE", table)
    found = mount_of(place / "store")
    assert found is not None
    assert (found.point, found.type, found.source, found.root) == (str(place), "btrfs", "/dev/sdc1", "/sub")


def test_a_local_store_on_another_mount(store: LocalStore, state: StateDir, watch: StoreWatch) -> None:
    """A folder that lies on another mount than was remembered, without its store.json, is not the store that was there."""
    remember_store(state, SeenStore(location=store.location, ids=("0" * 32,), mount=DISK))
    with pytest.raises(StoreError, match=r"before ext4 of /dev/sdb1 at /mnt/usb") as caught:
        read_catalogue(store)
    assert caught.value.code == "store.missing"


class _Answering(MemoryStore):
    """A store that answers with an error."""

    code = ""

    def open(self, key: str) -> BinaryIO:
        """Raises it."""
        raise StoreError("an answer", code=self.code)


@pytest.mark.parametrize(
    ("code", "away"),
    [
        ("store.unreachable", True),
        ("store.no_bucket", True),
        ("store.unreadable", False),
        ("store.refused", False),
    ],
)
def test_a_bucket_that_does_not_answer_is_away(code: str, away: bool) -> None:
    """A bucket that is not there or does not answer is away; one that refuses or cannot be read is not, and is told."""
    store = _Answering("tape")
    store.code = code
    assert is_absent(store) is away
