"""Folders on their way into a store: each file is encrypted and sent while the next is still captured."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from ops.actions.begin_backup import BackupRequest
from ops.actions.create_backup import make
from ops.actions.verify import VerifyRequest, verify_backup
from ops.ciphers.age.driver import AgeCipher
from ops.config.reading import store_at
from ops.errors import CipherError, NameTakenError, SourceError, StoreError
from ops.model.evidence import Level
from ops.model.findings import Verdict
from ops.ports.store import Store
from ops.repository.catalog import read_catalogue
from ops.repository.find import find_backup
from ops.repository.repository import Repository
from ops.run.job import Job
from ops.stores.local.store import LocalStore
from tests.contracts.sources import tree_source
from tests.contracts.tree import TreeSource
from tests.keys import Keys
from tests.repository.test_upload import GrowingStore, SentFolder, sealed_into

_PATIENCE_S = 60
FILES = 5


@dataclass
class FolderStore(GrowingStore):
    """A store that tells what was sent of a folder, and whose names another machine may take."""

    folders: list[SentFolder] = field(default_factory=list)
    taken: int = 0

    @contextlib.contextmanager
    def begin_folder(self, key: str) -> Iterator[SentFolder]:
        """Keep the folder; refuse the first names that are `taken`."""
        if self.taken:
            self.taken -= 1
            raise NameTakenError(f"{key} exists")
        self.folders.append(SentFolder(self, key))
        yield self.folders[-1]

    @property
    def sent(self) -> int:
        """How many files were sent."""
        return sum(len(folder.sent) for folder in self.folders)


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until it holds; fails when it never does."""
    until = time.monotonic() + _PATIENCE_S
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.fixture
def bucket() -> FolderStore:
    """An empty one."""
    return FolderStore("far")


def repository(store: Store, keys: Keys, scratch: Path, *, sealing: bool) -> Repository:
    """The store, encrypted or plain."""
    return sealed_into(store, keys, scratch) if sealing else Repository(store=store, scratch=scratch)


def require_right(store: Store, source: TreeSource, keys: Keys, scratch: Path) -> None:
    """The one backup there is whole, without strays, and restores."""
    assert read_catalogue(store).findings == ()
    backup = replace(find_backup(store, "latest"), openers=(keys.opening,))
    look = verify_backup(backup, source, VerifyRequest(Level.FULL, scratch, keep=False), Job())
    assert look.verdict is Verdict.PASSED, look.findings
    stored = {item.key for item in store.list() if item.key.startswith(f"{backup.name}/")}
    assert stored == {entry.path for entry in backup.manifest.files}
    assert len(stored) == FILES


@pytest.mark.parametrize("sealing", [False, True])
def test_a_file_is_sent_before_the_next_is_captured(
    tmp_path: Path, bucket: FolderStore, keys: Keys, scratch: Path, sealing: bool
) -> None:
    """The capture goes on only when the file that it handed over has arrived: nothing waits for the end."""
    count = iter(range(1, FILES + 1))

    def arrived() -> None:
        number = next(count)
        wait_for(lambda: bucket.sent >= number)

    source = tree_source(tmp_path, arrived)
    make(source, repository(bucket, keys, scratch, sealing=sealing), BackupRequest(), None, Job())
    require_right(bucket, source, keys, scratch)
    assert list(scratch.iterdir()) == []


def test_a_file_is_encrypted_before_the_next_is_captured(
    tmp_path: Path, store: LocalStore, keys: Keys, scratch: Path
) -> None:
    """In a folder the same: encrypted files appear in the place that will be published, one by one."""
    count = iter(range(1, FILES + 1))

    def encrypted() -> None:
        number = next(count)
        wait_for(lambda: len(list(store.options.path.glob(".tmp-*/*.age"))) >= number)

    source = tree_source(tmp_path, encrypted)
    make(source, repository(store, keys, scratch, sealing=True), BackupRequest(), None, Job())
    require_right(store, source, keys, scratch)


@pytest.mark.parametrize("sealing", [False, True])
@pytest.mark.parametrize("far", [False, True])
def test_a_capture_that_begins_anew(
    tmp_path: Path,
    bucket: FolderStore,
    store: LocalStore,
    keys: Keys,
    scratch: Path,
    sealing: bool,
    far: bool,
) -> None:
    """What was handed over before is not in the backup, and nothing of it stays."""
    to: Store = bucket if far else store
    source = tree_source(tmp_path, again=True)
    make(source, repository(to, keys, scratch, sealing=sealing), BackupRequest(), None, Job())
    require_right(to, source, keys, scratch)


@pytest.mark.parametrize("sealing", [False, True])
def test_a_name_that_another_run_took(
    tmp_path: Path, bucket: FolderStore, keys: Keys, scratch: Path, sealing: bool
) -> None:
    """The folder gets the next free name, also when the first was lost while files were on their way."""
    bucket.taken = 2
    source = tree_source(tmp_path)
    make(source, repository(bucket, keys, scratch, sealing=sealing), BackupRequest(), None, Job())
    assert bucket.taken == 0
    require_right(bucket, source, keys, scratch)


@pytest.mark.parametrize("sealing", [False, True])
@pytest.mark.parametrize("far", [False, True])
def test_a_capture_that_fails_in_the_middle(
    tmp_path: Path,
    bucket: FolderStore,
    store: LocalStore,
    keys: Keys,
    scratch: Path,
    sealing: bool,
    far: bool,
) -> None:
    """Nothing is there, neither in the store nor in temporary folders."""
    count = iter(range(1, FILES + 1))

    def fail() -> None:
        if next(count) == 3:
            raise SourceError("the disk is gone")

    to: Store = bucket if far else store
    with pytest.raises(SourceError, match="the disk is gone"):
        make(
            tree_source(tmp_path, fail),
            repository(to, keys, scratch, sealing=sealing),
            BackupRequest(),
            None,
            Job(),
        )
    assert [item for item in to.list() if not item.key.startswith(".")] == []
    assert not scratch.exists() or list(scratch.iterdir()) == []
    assert list(store.options.path.glob(".tmp-*")) == []


@pytest.mark.parametrize("sealing", [False, True])
def test_a_line_that_breaks(
    tmp_path: Path, bucket: FolderStore, keys: Keys, scratch: Path, sealing: bool
) -> None:
    """What the sending met is told, and nothing is there."""
    bucket.broken = True
    with pytest.raises(StoreError, match="the line is dead"):
        make(
            tree_source(tmp_path),
            repository(bucket, keys, scratch, sealing=sealing),
            BackupRequest(),
            None,
            Job(),
        )
    assert list(bucket.list()) == []


def test_a_cipher_that_fails_for_one_file(
    tmp_path: Path, bucket: FolderStore, keys: Keys, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The backup fails with the cipher's words, though the other files were sent."""
    really = AgeCipher.seal

    def fail(self: AgeCipher, plain: Path, *rest: object) -> object:
        if plain.stat().st_size == 300_000:
            raise CipherError("no such key", code="cipher.damaged", hint="")
        return really(self, plain, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(AgeCipher, "seal", fail)
    with pytest.raises(CipherError, match="no such key"):
        make(
            tree_source(tmp_path),
            repository(bucket, keys, scratch, sealing=True),
            BackupRequest(),
            None,
            Job(),
        )
    assert list(bucket.list()) == []


def test_plain_measures_keep_the_names(
    tmp_path: Path, bucket: FolderStore, keys: Keys, scratch: Path
) -> None:
    """Where a store asks for plain measures, encrypted files have the names of the plain ones."""
    source = tree_source(tmp_path)
    to = replace(repository(bucket, keys, scratch, sealing=True), plain_measures=True)
    make(source, to, BackupRequest(), None, Job())
    require_right(bucket, source, keys, scratch)
    backup = find_backup(bucket, "latest")
    assert f"{backup.name}/part 0/file-2.age" in {entry.path for entry in backup.manifest.files}


def test_where_files_can_have_one_name_only(
    tmp_path: Path, keys: Keys, scratch: Path, monkeypatch: pytest.MonkeyPatch, bucket: FolderStore
) -> None:
    """Without hard links nothing is encrypted ahead, and the backup is the same."""
    link = os.link

    def refuse(source: Path, target: Path, **more: Any) -> None:  # noqa: ANN401 - of os.link
        if Path(target).name.startswith("payload-"):
            raise PermissionError(1, "Operation not permitted")
        link(source, target, **more)

    monkeypatch.setattr("ops.repository.upload.os.link", refuse)
    source = tree_source(tmp_path)
    to = Repository(store=bucket, encryption=keys.sealing, scratch=scratch, plain_store=store_at)
    make(source, to, BackupRequest(), None, Job())
    require_right(bucket, source, keys, scratch)
