"""The check of a store that operators run: all promises on stores that keep them, and each break seen."""

from __future__ import annotations

import contextlib
import errno
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import pytest

from ops.errors import StoreError
from ops.fsio.scratch import SCRATCH_PREFIX
from ops.model.findings import Finding, Severity
from ops.ports.store import Store, StoredFile
from ops.repository.check_folder import examine_file_system
from ops.repository.check_store import check_store
from ops.run.job import Job
from ops.stores.local.store import LocalOptions, LocalStore
from ops.stores.memory import MemoryStore
from tests.stores.conftest import NewStore


@pytest.mark.parametrize("kind", ["local", "memory", "s3"])
def test_our_stores_keep_their_promises(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, job: Job
) -> None:
    """Each promise has a finding that says it is kept, and nothing is left."""
    store: Store = MemoryStore()
    if kind == "s3":
        make: NewStore = request.getfixturevalue("new_store")
        store = make()
    elif kind == "local":
        store = LocalStore("l", LocalOptions(path=tmp_path / "store"))
    findings = check_store(store, job)
    assert {finding.severity for finding in findings} == {Severity.OK}
    kept = {finding.message for finding in findings if finding.code == "promise.kept"}
    assert len(kept) == {"local": 18, "memory": 14, "s3": 15}[kind]
    others = {finding.code for finding in findings} - {"promise.kept"}
    of_bucket = {"store.offers", "store.versions", "store.retention"} if kind == "s3" else set()
    assert others == ({"store.place"} if kind == "local" else {"store.can_delete", *of_bucket})
    assert list(store.list()) == []


class _Replacing(MemoryStore):
    """A store that overwrites."""

    def put(self, key: str, file: Path) -> None:
        """Forget what was there."""
        self.delete(key)
        super().put(key, file)


class _Kept(MemoryStore):
    """A store that removes nothing."""

    def delete(self, key: str) -> None:
        """Refuse."""
        message = "not allowed"
        raise StoreError(message, code="store.refused")


class _Deaf(MemoryStore):
    """A store that forgets nothing when told to, and says nothing."""

    def delete(self, key: str) -> None:
        """Do nothing."""


class _Stale(MemoryStore):
    """A store whose listing is one removal late."""

    late: ClassVar[dict[str, bytes]] = {}

    def delete(self, key: str) -> None:
        """Remembers what was there."""
        type(self).late = dict(self.files)
        super().delete(key)

    def list(self, prefix: str = "") -> Iterable[StoredFile]:
        """What was there a moment ago."""
        known = [
            StoredFile(key, len(content)) for key, content in self.late.items() if key.startswith(prefix)
        ]
        return known or super().list(prefix)


class _Twice(MemoryStore):
    """A store that lists each name twice."""

    def list(self, prefix: str = "") -> Iterable[StoredFile]:
        """All of them, and again."""
        found = [*super().list(prefix)]
        return [*found, *found]


class _Open(MemoryStore):
    """A store that shows what is its own among the backups."""

    def list(self, prefix: str = "") -> Iterable[StoredFile]:
        """Everything."""
        return [
            StoredFile(key, len(content)) for key, content in self.files.items() if key.startswith(prefix)
        ]


@pytest.mark.parametrize(
    ("make", "code", "word"),
    [
        (_Replacing, "promise.broken", "written once"),
        (_Kept, "promise.left_behind", "drillbook-check-"),
        (_Deaf, "promise.broken", "removed is gone"),
        (_Stale, "promise.broken", "told as it is now"),
        (_Twice, "promise.broken", "each name once"),
        (_Open, "promise.broken", "lies apart"),
    ],
)
def test_what_is_not_kept_is_said(make: Callable[[], Store], code: str, word: str, job: Job) -> None:
    """A store that overwrites, one that may not remove, one that does not remove: each has its finding."""
    found = [finding for finding in check_store(make(), job) if finding.severity is not Severity.OK]
    assert any(finding.code == code and word in finding.message for finding in found)
    assert all(finding.expected and finding.found for finding in found if finding.code == "promise.broken")


class _Choosy(MemoryStore):
    """A store that takes no names but short and plain ones, and removes one thing after the other."""

    def put(self, key: str, file: Path) -> None:
        """Refuses the others."""
        if len(key) > 100 or not key.isascii():
            raise StoreError("not such a name", code="store.refused")
        super().put(key, file)


def test_what_is_worked_around_is_a_warning(job: Job) -> None:
    """A promise without which backups are safe all the same is a warning that says what follows."""
    (found,) = [finding for finding in check_store(_Choosy(), job) if finding.severity is not Severity.OK]
    assert found.severity is Severity.WARNING
    assert "give none of another kind with --out" in found.message


class _InPieces(MemoryStore):
    """A store that sends large files in pieces, and says so; it may lose the second one."""

    loses = False

    @property
    def in_pieces(self) -> int:
        """The size of a piece."""
        return 3 << 20

    def examine(self) -> Sequence[Finding]:
        """What it says of itself."""
        return [Finding(severity=Severity.WARNING, code="store.place", message="old versions end")]

    def put(self, key: str, file: Path) -> None:
        """Keeps all of it, or one piece."""
        super().put(key, file)
        if self.loses and key in self.files:
            self.files[key] = self.files[key][: self.in_pieces]


def test_a_driver_declares_what_it_has_beside(job: Job) -> None:
    """Files of two pieces are tried where the driver says that it has such, and what it says of itself is told."""
    store = _InPieces()
    findings = check_store(store, job)
    assert "a file that is sent in several pieces arrives whole" in {finding.message for finding in findings}
    assert [finding.message for finding in findings if finding.severity is Severity.WARNING] == [
        "old versions end"
    ]
    store.loses = True
    broken = [finding for finding in check_store(store, job) if finding.severity is Severity.CRITICAL]
    assert [finding.message for finding in broken] == [
        "not kept: a file that is sent in several pieces arrives whole"
    ]
    assert store.files == {}


@pytest.mark.parametrize(
    ("call", "severity", "word"),
    [
        ("fcntl.flock", Severity.WARNING, "runs of several machines on this folder are not kept apart"),
        ("os.fsync", Severity.CRITICAL, "after a power cut"),
        ("os.link", Severity.CRITICAL, "hard links"),
    ],
)
def test_a_file_system_that_lacks_something(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, severity: Severity, word: str
) -> None:
    """A file system without locks is a warning, one without fsync or links is critical, each with what follows."""
    store = LocalStore("l", LocalOptions(path=tmp_path / "store"))
    with store.stage("made"):
        pass

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(f"ops.repository.check_folder.{call}", refuse)
    monkeypatch.setattr(LocalStore, "stage", _made_by_hand)
    found = [finding for finding in examine_file_system(store) if finding.severity is not Severity.OK]
    assert [(finding.severity, word in finding.message) for finding in found] == [(severity, True)]


@contextlib.contextmanager
def _made_by_hand(store: LocalStore, key: str, *, folder: bool) -> Iterator[Path]:
    """A folder that needs none of what is refused."""
    assert folder
    with tempfile.TemporaryDirectory(dir=store.options.path) as place:
        yield Path(place)


def test_a_path_over_a_link(tmp_path: Path) -> None:
    """Where the path of a store leads over a link, it is said to where."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    store = LocalStore("l", LocalOptions(path=tmp_path / "link" / "store"))
    assert any(f"is {tmp_path / 'real' / 'store'}" in item.message for item in examine_file_system(store))


@pytest.mark.needs_root
def test_no_room_for_trials(
    small_disk: Callable[[int], Path], monkeypatch: pytest.MonkeyPatch, job: Job
) -> None:
    """Where the temporary folders are full, that is what is said of each trial, without a path in them."""
    disk = small_disk(64 << 10)
    with (disk / "ballast").open("wb", buffering=0) as ballast, contextlib.suppress(OSError):
        while ballast.write(b"x" * 4096):
            pass
    monkeypatch.setattr("tempfile.tempdir", str(disk))
    found = check_store(MemoryStore(), job)
    assert "space.disk_full" in {finding.code for finding in found}
    assert not [finding for finding in found if SCRATCH_PREFIX in finding.message]


@pytest.mark.needs_root
def test_a_full_disk_is_no_broken_promise(small_disk: Callable[[int], Path], job: Job) -> None:
    """Where the disk is full nothing is said of what its file system can do."""
    place = small_disk(256 << 10)
    store = LocalStore("l", LocalOptions(path=place))
    with contextlib.suppress(OSError):
        (place / "filler").write_bytes(bytes(1 << 20))
    found = check_store(store, job)
    assert "promise.broken" not in {item.code for item in found}
    assert any(item.code == "space.disk_full" for item in found)
