"""A payload on its way into its store: each finished file is encrypted and sent while the next is still captured.

One way for plain and encrypted payloads, single files and folders. What is on its way is there only when `finish` says so:
a backup that cannot be measured leaves nothing in the store.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from ops.driverkit.spoken_names import spoken_names
from ops.errors import NameTakenError, StoreError
from ops.formats.encrypted_manifest import sealed_manifest, stored_inside
from ops.fsio.growing_file import GrowingFile
from ops.fsio.scratch import scratch_folder
from ops.model.manifest import FileEntry, Manifest
from ops.ports.cipher import Sealed
from ops.ports.store import Store, Streaming
from ops.proc import worker_count
from ops.repository.encrypt import Sealing, require_same_plain
from ops.repository.upload_place import Place, place_of
from ops.run.job import Job
from ops.run.progress import Progress, silent


class _GivenUpError(Exception):
    """No one wants what is being encrypted any more."""


@dataclass(slots=True)
class _Heard:
    """Progress of several files at once, heard only once somebody waits for them; it ends the work when it is given up."""

    given_up: threading.Event = field(default_factory=threading.Event)
    listener: Progress = silent
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def step(self, what: str, total: int | None = None) -> None:
        """Say nothing: the steps of several files would mix."""

    def advance(self, count: int) -> None:
        """Go on, unless it was given up."""
        if self.given_up.is_set():
            raise _GivenUpError
        with self._lock:
            self.listener.advance(count)


@dataclass(slots=True)
class _OnItsWay:
    """A file that was handed over: what it is, where it will lie, and what becomes of it."""

    entry: FileEntry
    file: GrowingFile
    encrypted: Future[Sealed] | None = None
    sent: Future[str] | None = None


@dataclass(slots=True)
class Upload:
    """The payload `name` (as it is called in the store), which is a folder or one file; `how`: None where it stays plain."""

    store: Store
    name: str
    is_folder: bool
    how: Sealing | None
    _stack: contextlib.ExitStack
    _progress: _Heard = field(default_factory=_Heard)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _files: list[_OnItsWay] = field(default_factory=list)
    _place: Place | None = None
    _pool: ThreadPoolExecutor | None = None
    _kept: Path | None = None
    _refused: NameTakenError | None = None
    _hidden: bool = field(init=False)

    def __post_init__(self) -> None:
        """Hide names as a new backup's are hidden; what is copied may be of an earlier version."""
        self._hidden = self.how is not None and not self.how.plain_measures

    def file_done(self, path: Path, entry: FileEntry) -> None:
        """Begin to encrypt and send a file of the payload, whose bytes are final; it may be moved, not changed.

        Raises SpaceError, and what the store's `stage` raises.
        """
        with self._lock:
            if self._is_put_at_once or self._refused or (mine := self._second_name(path)) is None:
                return
            try:
                self._hand_over(mine, entry)
            except NameTakenError as error:
                # Another run was quicker: told when all is there, so that the payload gets another name.
                self._refused = error

    @property
    def _is_put_at_once(self) -> bool:
        """Whether a plain payload is captured where its store wants it, so that there is nothing to do beforehand."""
        return self.how is None and not isinstance(self.store, Streaming)

    def finish(self, plain: Manifest, payload: Path, job: Job) -> tuple[Manifest, Path | None]:
        """The manifest of what is stored of the backup `plain`, and where that lies for `Store.put`; None: it was sent.

        `payload`: where its files are now; those that were not handed over before are taken from there. Raises what cipher
        and store raise, and BackupError (`backup.checksum_mismatch`) when something else than `plain` was encrypted; then
        nothing is there.
        """
        if self._is_put_at_once:
            return plain, payload
        if self._refused is not None:
            raise self._refused
        if self.how is not None:
            self._hidden = self.how.hides(plain)
        self._progress.listener = job.progress
        verb = "storing" if self.how is None else "encrypting and storing"
        job.progress.step(f"{verb} {self.name}", plain.size)
        plain = self._all_handed_over(plain, payload)
        sealed = [self._settled(item) for item in self._files]
        stored = plain if self.how is None else _sealed(plain, self.how, sealed)
        place = self._opened()
        place.finish()
        return stored, place.to_put

    def _all_handed_over(self, plain: Manifest, payload: Path) -> Manifest:
        """Hand over the rest; the manifest with its files in the order in which they were."""
        entries = {self._inside(entry): entry for entry in plain.files}
        before = [self._inside(item.entry) for item in self._files]
        known = {inside: (entry.size, entry.sha256) for inside, entry in entries.items()}
        if len(set(before)) < len(before) or any(
            known.get(inside) != (item.entry.size, item.entry.sha256)
            for inside, item in zip(before, self._files, strict=True)
        ):
            # A capture that began anew: nothing of the first is worth to be sorted out.
            self._begin_anew()
            before = []
        for inside in (inside for inside in entries if inside not in set(before)):
            path = payload / inside if inside else payload
            self._hand_over(path, entries[inside])
        order = [self._inside(item.entry) for item in self._files]
        return replace(plain, files=tuple(entries[inside] for inside in order))

    def _inside(self, entry: FileEntry) -> str:
        """The path inside the payload's folder; empty for a single file."""
        return entry.path.removeprefix(f"{self._plain_name}/") if self.is_folder else ""

    @property
    def _plain_name(self) -> str:
        return self.name.removesuffix(self.how.suffix) if self.how else self.name

    def _opened(self) -> Place:
        if self._place is None:
            scratch = self.how.scratch if self.how else None
            opening = place_of(self.store, self.name, scratch, is_folder=self.is_folder)
            self._place = self._stack.enter_context(opening)
        return self._place

    def _second_name(self, path: Path) -> Path | None:
        """The file under a name that stays while the plain payload is moved; None where it can have one name only."""
        if self.how is None:
            return path
        if self._kept is None:
            self._kept = self._stack.enter_context(scratch_folder(self.how.scratch))
        kept = self._kept / f"payload-{len(self._files)}"
        try:
            os.link(path, kept)
        except OSError:
            return None  # a file system without links: it is taken when all is done
        return kept

    def _hand_over(self, path: Path, entry: FileEntry) -> None:
        place, number = self._opened(), len(self._files)
        if self._pool is None:
            self._pool = self._stack.enter_context(ThreadPoolExecutor(worker_count(), "upload"))
            self._stack.callback(self._progress.given_up.set)
        if self.how is None:
            file = GrowingFile(path, entry.size)
            item = _OnItsWay(entry, file)
            inside = self._inside(entry)
        else:
            inside = stored_inside(self._inside(entry), number, self.how.suffix, hidden=self._hidden)
            file = GrowingFile(place.room_for(inside, room_to_seal(entry.size)), room_to_seal(entry.size))
            item = _OnItsWay(entry, file)
            item.encrypted = self._pool.submit(self._encrypt, self.how, path, file)
        if self.is_folder and self.how is None:
            file.finish()
        item.sent = place.sending(inside, file)
        self._files.append(item)

    def _encrypt(self, how: Sealing, path: Path, file: GrowingFile) -> Sealed:
        try:
            with spoken_names(self.name):
                sealed = how.cipher.seal(path, file.path, self._progress)
        except BaseException:
            file.fail()
            raise
        if self.is_folder:
            file.finish()
        return sealed

    def _settled(self, item: _OnItsWay) -> Sealed | None:
        """Wait for a file; it is what was meant, also where it was sent."""
        sealed = None
        if item.encrypted is not None:
            sealed = item.encrypted.result()
            require_same_plain(sealed, item.entry)
        item.file.finish()
        if item.sent is not None:
            require_sent(
                item.sent.result(), sealed.sha256 if sealed else item.entry.sha256, self.store, self.name
            )
        return sealed

    def _begin_anew(self) -> None:
        self._progress.given_up.set()
        for item in self._files:
            item.file.fail()
            if item.encrypted is not None:
                item.encrypted.exception()
            if item.sent is not None:
                item.sent.exception()
        self._files.clear()
        self._progress.given_up.clear()
        self._opened().clear()


def _sealed(plain: Manifest, how: Sealing, sealed: list[Sealed | None]) -> Manifest:
    done = [item for item in sealed if item is not None]
    cipher = how.cipher
    return sealed_manifest(plain, cipher.kind, how.suffix, done, cipher.sealed_for, how.private(plain))


@contextlib.contextmanager
def uploading(store: Store, name: str, how: Sealing | None, *, is_folder: bool) -> Iterator[Upload]:
    """Yield an upload of the payload `name`, given up when the block ends without `finish`."""
    with contextlib.ExitStack() as stack:
        yield Upload(store, name, is_folder, how, stack)


def room_to_seal(size: int) -> int:
    """Bytes that so many bytes take at most when they are encrypted."""
    return size * 101 // 100 + (1 << 20)


def require_sent(sent: str, wanted: str, to: Store, name: str) -> None:
    """Return when what was sent as `name` has the hex SHA-256 `wanted`; it is removed otherwise, and StoreError raised."""
    if sent == wanted:
        return
    to.delete(name)
    message = f"{name} was corrupted during upload: its SHA-256 in the store differs from the local one; it was removed"
    raise StoreError(
        message, code="store.checksum_refused", hint="run it again; look at the disk for temporary files"
    )
