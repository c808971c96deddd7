"""Sealing and sending begin while the copy is still being measured, and nothing is there before that ends well."""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ops.actions.begin_backup import BackupRequest
from ops.actions.create_backup import make
from ops.ciphers.age.driver import AgeCipher
from ops.config.reading import store_at
from ops.errors import CipherError, SourceError, StoreError
from ops.fsio.growing_file import GrowingFile
from ops.model.manifest import Captured, FileEntry
from ops.ports.cipher import Sealed
from ops.ports.source import CaptureContext
from ops.ports.store import Store
from ops.repository.catalog import read_catalogue
from ops.repository.find import find_backup
from ops.repository.repository import Repository
from ops.run.job import Job
from ops.run.progress import Progress, silent
from ops.sources.sqlite.copied import Copied
from ops.sources.sqlite.source import SqliteSource
from ops.stores.local.store import LocalStore
from ops.stores.memory import MemoryStore
from tests.keys import Keys

_PATIENCE_S = 60


@dataclass
class GrowingStore(MemoryStore):
    """A store in memory that takes a file while it grows, and says when that began."""

    asked: threading.Event = field(default_factory=threading.Event)
    broken: bool = False

    def put_growing(self, key: str, file: GrowingFile) -> str:
        """The file, once its writer is done."""
        self.asked.set()
        if self.broken:
            raise StoreError("the line is dead", code="store.unreachable")
        while not file.size_beyond(file.path.stat().st_size)[1]:
            pass
        content = file.path.read_bytes()
        place = file.path.with_name(f"{file.path.name}.whole")
        place.write_bytes(content)
        self.put(key, place)
        return hashlib.sha256(content).hexdigest()

    @contextlib.contextmanager
    def begin_folder(self, key: str) -> Iterator[SentFolder]:
        """A folder that is there when it is finished."""
        self.asked.set()
        yield SentFolder(self, key)


@dataclass
class SentFolder:
    """The files of a folder on their way."""

    store: GrowingStore
    key: str
    sent: dict[str, bytes] = field(default_factory=dict)

    def put(self, inside: str, file: Path) -> str:
        """Keep the file until the folder is whole."""
        if self.store.broken:
            raise StoreError("the line is dead", code="store.unreachable")
        self.sent[inside] = file.read_bytes()
        return hashlib.sha256(self.sent[inside]).hexdigest()

    def finish(self) -> None:
        """Show it."""
        self.store.files |= {f"{self.key}/{inside}": content for inside, content in self.sent.items()}


@pytest.fixture
def bucket() -> GrowingStore:
    """An empty one."""
    return GrowingStore("far")


def sealed_into(store: Store, keys: Keys, scratch: Path) -> Repository:
    """`store`, with sealed backups only."""
    return Repository(store=store, encryption=keys.sealing, scratch=scratch, plain_store=store_at)


def measured_after(
    monkeypatch: pytest.MonkeyPatch, wait: Callable[[], object], error: SourceError | None = None
) -> None:
    """Measuring waits for that, and then fails where an error is given."""
    measure = SqliteSource._measured

    def slow(self: SqliteSource, copied: Copied, payload: Path, progress: Progress) -> Captured:
        wait()
        if error is not None:
            raise error
        return measure(self, copied, payload, progress)

    monkeypatch.setattr(SqliteSource, "_measured", slow)


def test_a_plain_backup_is_sent_while_it_is_measured(
    source: SqliteSource, bucket: GrowingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sending began before measuring ended, and what arrived is a whole backup."""
    seen = []
    measured_after(monkeypatch, lambda: seen.append(bucket.asked.wait(_PATIENCE_S)))
    make(source, Repository(store=bucket), BackupRequest(), None, Job())
    assert seen == [True]
    assert find_backup(bucket, "latest").manifest.measures.rows > 0
    assert read_catalogue(bucket).findings == ()


def test_a_sealed_backup_is_sealed_and_sent_while_it_is_measured(
    source: SqliteSource, bucket: GrowingStore, keys: Keys, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same for one that is sealed on its way; the scratch place is empty afterwards."""
    seen = []
    measured_after(monkeypatch, lambda: seen.append(bucket.asked.wait(_PATIENCE_S)))
    make(source, sealed_into(bucket, keys, scratch), BackupRequest(), None, Job())
    assert seen == [True]
    assert read_catalogue(bucket).findings == ()
    assert find_backup(bucket, "latest").name.endswith(".db.age")
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("sealing", [False, True])
def test_what_can_not_be_measured_is_not_stored(
    source: SqliteSource,
    bucket: GrowingStore,
    keys: Keys,
    scratch: Path,
    monkeypatch: pytest.MonkeyPatch,
    sealing: bool,
) -> None:
    """A copy that turns out to be damaged after sending began is given up: nothing of it is in the store."""
    damaged = SourceError("it is damaged", code="source.corrupt", hint="")
    measured_after(monkeypatch, lambda: bucket.asked.wait(_PATIENCE_S), damaged)
    to = sealed_into(bucket, keys, scratch) if sealing else Repository(store=bucket)
    with pytest.raises(SourceError, match="it is damaged"):
        make(source, to, BackupRequest(), None, Job())
    assert bucket.asked.is_set()
    assert list(bucket.list()) == []
    assert not scratch.exists() or list(scratch.iterdir()) == []


@pytest.mark.parametrize("sealing", [False, True])
def test_a_store_that_fails_meanwhile_fails_the_backup(
    source: SqliteSource, bucket: GrowingStore, keys: Keys, scratch: Path, sealing: bool
) -> None:
    """What the sending thread met is what the operator is told, and nothing is there."""
    bucket.broken = True
    to = sealed_into(bucket, keys, scratch) if sealing else Repository(store=bucket)
    with pytest.raises(StoreError, match="the line is dead"):
        make(source, to, BackupRequest(), None, Job())
    assert list(bucket.list()) == []


def test_a_cipher_that_fails_meanwhile_fails_the_backup(
    source: SqliteSource, bucket: GrowingStore, keys: Keys, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What sealing met is told, not that the sender had nothing to send."""

    def fail(*_: object) -> object:
        raise CipherError("no such key", code="cipher.damaged", hint="")

    monkeypatch.setattr(AgeCipher, "seal", fail)
    with pytest.raises(CipherError, match="no such key"):
        make(source, sealed_into(bucket, keys, scratch), BackupRequest(), None, Job())
    assert list(bucket.list()) == []


def test_sealing_that_nobody_waits_for_ends(
    source: SqliteSource, store: LocalStore, keys: Keys, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the backup fails, the cipher is told to end at its next block, however much is left to seal."""
    begun, ended = threading.Event(), threading.Event()

    def endless(_: AgeCipher, _plain: Path, _sealed: Path, progress: Progress = silent) -> Sealed:
        begun.set()
        try:
            while True:
                progress.advance(1)
        finally:
            ended.set()

    monkeypatch.setattr(AgeCipher, "seal", endless)
    damaged = SourceError("it is damaged", code="source.corrupt", hint="")
    measured_after(monkeypatch, lambda: begun.wait(_PATIENCE_S), damaged)
    with pytest.raises(SourceError, match="it is damaged"):
        make(source, sealed_into(store, keys, scratch), BackupRequest(), None, Job())
    assert ended.is_set()
    assert list(store.list()) == []


def test_where_files_can_have_one_name_only(
    source: SqliteSource, bucket: GrowingStore, keys: Keys, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the copy cannot have a second name nothing is sealed ahead, and the backup is the same."""
    link = os.link

    def refuse(source: Path, target: Path, **more: Any) -> None:  # noqa: ANN401 - of os.link
        if target.name.startswith("payload-"):
            raise PermissionError(1, "Operation not permitted")
        link(source, target, **more)

    monkeypatch.setattr("ops.repository.upload.os.link", refuse)
    make(source, sealed_into(bucket, keys, scratch), BackupRequest(), None, Job())
    assert find_backup(bucket, "latest").name.endswith(".db.age")
    assert read_catalogue(bucket).findings == ()


def test_a_file_is_told_before_it_is_measured(
    source: SqliteSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A capture hands its file over as soon as the bytes are final, with the digest that the manifest gets."""
    into, told = tmp_path / "copy", list[tuple[Path, FileEntry]]()
    into.touch()
    measured_after(monkeypatch, lambda: told.append(told[0]))
    captured = source.capture(into, CaptureContext(file_done=lambda *item: told.append(item)))
    assert told == [(into, captured.files[0])] * 2
