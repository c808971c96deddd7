"""A payload on its way into its store while it is still being measured and looked at.

What is sent ahead is there only when `finish` says so: a backup that can not be measured leaves nothing in the store.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from ops.driverkit.spoken_names import spoken_names
from ops.errors import StoreError
from ops.formats.encrypted_manifest import sealed_manifest
from ops.fsio.atomic import PRIVATE_FILE, PRIVATE_FOLDER
from ops.fsio.growing_file import GrowingFile
from ops.fsio.scratch import scratch_folder
from ops.fsio.space import require_room
from ops.model.manifest import FileEntry, Manifest
from ops.ports.cipher import Sealed
from ops.ports.store import LocalFiles, Store, Streaming
from ops.repository.encrypt import Sealing, require_same_plain
from ops.run.job import Job


class _GivenUpError(Exception):
    """Nobody wants what is being sealed any more."""


class _Unheard:
    """Progress that nobody hears, and that ends the work when it is given up."""

    def __init__(self) -> None:
        self.given_up = threading.Event()

    def step(self, what: str, total: int | None = None) -> None:
        """Nobody listens."""

    def advance(self, count: int) -> None:  # noqa: ARG002 - the port's
        """Go on, unless it was given up."""
        if self.given_up.is_set():
            raise _GivenUpError


@dataclass(slots=True)
class SentAhead:
    """A plain payload that is sent while it is measured, where the store can; otherwise nothing happens ahead."""

    store: Store
    name: str
    _stack: contextlib.ExitStack
    _file: GrowingFile | None = None
    _sending: Future[str] | None = None

    def begin(self, payload: Path, entry: FileEntry) -> None:
        """Send `payload`, which is final; called once at most."""
        if isinstance(self.store, Streaming):
            self._file = GrowingFile(payload, entry.size)
            self._sending = self._stack.enter_context(sending(self.store, self.name, self._file))

    def finish(self, entry: FileEntry) -> bool:
        """Whether the payload is in the store now; False when nothing was sent ahead.

        Raises what the store raises, and BackupError (`backup.checksum_mismatch`) when something else was sent; then
        nothing is there.
        """
        if self._file is None or self._sending is None:
            return False
        self._file.finish()
        require_sent(self._sending.result(), entry, self.store, self.name)
        return True


@dataclass(slots=True)
class SealedAhead:
    """A payload that is sealed, and where the store can, sent, while it is measured and looked at."""

    store: Store
    name: str
    how: Sealing
    _stack: contextlib.ExitStack
    _progress: _Unheard = field(default_factory=_Unheard)
    place: Path | None = None
    _file: GrowingFile | None = None
    _sealing: Future[Sealed] | None = None
    _sending: Future[str] | None = None

    def begin(self, payload: Path, entry: FileEntry) -> None:
        """Seal `payload`, which is final; called once at most. It may be moved afterwards, not changed.

        Raises SpaceError, and what the store's `stage` raises.
        """
        # Under a second name, which stays while the plain backup is published under its own.
        kept = self._stack.enter_context(scratch_folder(self.how.scratch)) / "payload"
        try:
            os.link(payload, kept)
        except OSError:
            return  # a file system without links: it is sealed afterwards
        room = room_to_seal(entry.size)
        self.place = self._stack.enter_context(
            place_to_seal(self.store, self.name, self.how.scratch, room, folder=False)
        )
        self._file = GrowingFile(self.place, room)
        pool = self._stack.enter_context(ThreadPoolExecutor(1, "seal"))
        self._stack.callback(self._progress.given_up.set)
        self._sealing = pool.submit(self._seal, kept, self.place, self._file)
        if isinstance(self.store, Streaming):
            self._sending = self._stack.enter_context(sending(self.store, self.name, self._file))

    def _seal(self, payload: Path, place: Path, file: GrowingFile) -> Sealed:
        try:
            with spoken_names(self.name):
                return self.how.cipher.seal(payload, place, self._progress)
        except BaseException:
            file.fail()
            raise

    def finish(self, plain: Manifest, job: Job) -> Manifest | None:
        """The manifest of what was sealed of the backup `plain`, and is in the store now where it was sent.

        None when nothing was begun. Raises what cipher and store raise, and BackupError (`backup.checksum_mismatch`) when
        something else than `plain` was sealed; then nothing is there.
        """
        if self._sealing is None or self._file is None:
            return None
        job.progress.step(f"sealing and storing {self.name}")
        sealed = self._sealing.result()
        require_same_plain(sealed, plain.files[0])
        cipher = self.how.cipher
        private = self.how.private(plain)
        manifest = sealed_manifest(plain, cipher.kind, self.how.suffix, [sealed], cipher.sealed_for, private)
        if self._sending is not None:
            self._file.finish()
            require_sent(self._sending.result(), manifest.files[0], self.store, self.name)
        return manifest

    @property
    def was_sent(self) -> bool:
        """Whether the store got it from here; otherwise it lies in `place`."""
        return self._sending is not None


@contextlib.contextmanager
def sent_ahead(store: Store, name: str) -> Iterator[SentAhead]:
    """One for the payload `name`, given up when the block ends without `finish`."""
    with contextlib.ExitStack() as stack:
        yield SentAhead(store, name, stack)


@contextlib.contextmanager
def sealed_ahead(store: Store, name: str, how: Sealing) -> Iterator[SealedAhead]:
    """One for the sealed payload `name`, given up when the block ends without `finish`."""
    with contextlib.ExitStack() as stack:
        yield SealedAhead(store, name, how, stack)


@contextlib.contextmanager
def sending(to: Streaming, name: str, file: GrowingFile) -> Iterator[Future[str]]:
    """`put_growing` in a thread of its own: its result; `file` fails when the block ends before it is finished."""
    with ThreadPoolExecutor(1, "send") as pool:
        try:
            yield pool.submit(to.put_growing, name, file)
        finally:
            if not file.finished:
                file.fail()


def room_to_seal(size: int) -> int:
    """Bytes that so many bytes take at most when they are sealed."""
    return size * 101 // 100 + (1 << 20)


@contextlib.contextmanager
def place_to_seal(to: Store, name: str, scratch: Path, room: int, *, folder: bool) -> Iterator[Path]:
    """Where the sealed payload is made: in the store where that has files here, else in a scratch place."""
    if isinstance(to, LocalFiles):
        require_room(to.path_of(name).parent, room)
        with to.stage(name, folder=folder) as staged:
            yield staged
        return
    require_room(scratch, room)
    with scratch_folder(scratch) as private:
        place = private / "sealed"
        place.mkdir(PRIVATE_FOLDER) if folder else place.touch(PRIVATE_FILE)
        yield place


def require_sent(sha256: str, entry: FileEntry, to: Store, name: str) -> None:
    """Return when what was sent as `name` has the digest of `entry`; it is removed otherwise, and StoreError raised."""
    if sha256 == entry.sha256:
        return
    to.delete(name)
    message = f"what was sent of {name} is not what was made"
    raise StoreError(message, code="store.checksum_refused", hint="run it again; look at the scratch disk")
