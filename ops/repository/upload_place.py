"""Where the files of a payload go on their way into a store: a place in the store, one beside it, or the line to it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from ops.fsio.atomic import PRIVATE_FILE, PRIVATE_FOLDER, make_private_folder
from ops.fsio.growing_file import GrowingFile
from ops.fsio.remove import remove_tree
from ops.fsio.scratch import scratch_folder
from ops.fsio.space import require_room
from ops.ports.store import FolderInParts, LocalFiles, Store, Streaming
from ops.proc import worker_count


class Place(Protocol):
    """Where the files of one payload go. `inside`: the path inside the stored folder; empty for a payload of one file."""

    @property
    def to_put(self) -> Path | None:
        """What is to be given to `Store.put` when all is there; None where everything was sent."""

    def room_for(self, inside: str, room: int) -> Path:
        """Where an encrypted file is made that takes `room` bytes at most; raises SpaceError."""

    def sending(self, inside: str, file: GrowingFile) -> Future[str] | None:
        """Send a file as soon as it can be: its SHA-256; None where nothing is sent."""

    def finish(self) -> None:
        """Return when all that was sent is there, and seen in the store."""

    def clear(self) -> None:
        """Begin with nothing again."""


@dataclass(slots=True)
class _Disk:
    """An empty private file or folder at `path`; `disk`: a folder on its disk."""

    path: Path
    disk: Path
    is_folder: bool

    @property
    def to_put(self) -> Path:
        return self.path

    def room_for(self, inside: str, room: int) -> Path:
        require_room(self.disk, room)
        target = self.path / inside if inside else self.path
        make_private_folder(target.parent)
        return target

    def sending(self, inside: str, file: GrowingFile) -> None:
        """Send nothing: it is put when all is there."""

    def finish(self) -> None:
        """Do nothing: it is put next."""

    def clear(self) -> None:
        if not self.is_folder:
            self.path.write_bytes(b"")
            return
        for left in self.path.iterdir():
            remove_tree(left) if left.is_dir() else left.unlink()


@dataclass(slots=True)
class _Line:
    """The line to a store that takes what still grows; what is encrypted is made below `scratch` (None: it stays plain)."""

    store: Streaming
    name: str
    scratch: Path | None
    stack: contextlib.ExitStack
    is_folder: bool
    _pool: ThreadPoolExecutor = field(init=False)
    _folder: FolderInParts | None = None
    _of_folder: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    _files: list[GrowingFile] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.stack.callback(self._of_folder.close)
        self._pool = self.stack.enter_context(ThreadPoolExecutor(worker_count(), "send"))
        # What is not finished when the block ends will never be: whoever waits for it must not wait for ever.
        self.stack.callback(self._give_up)

    @property
    def to_put(self) -> None:
        return None

    def room_for(self, inside: str, room: int) -> Path:
        if self.scratch is None:
            raise TypeError(inside)
        require_room(self.scratch, room)
        target = self.scratch / (inside or "encrypted")
        make_private_folder(target.parent)
        # It is looked at before the cipher has begun.
        target.touch(PRIVATE_FILE)
        return target

    def sending(self, inside: str, file: GrowingFile) -> Future[str]:
        self._files.append(file)
        if not self.is_folder:
            return self._pool.submit(self.store.put_growing, self.name, file)
        if self._folder is None:
            self._folder = self._of_folder.enter_context(self.store.begin_folder(self.name))
        return self._pool.submit(self._send, self._folder, inside, file)

    def _send(self, folder: FolderInParts, inside: str, file: GrowingFile) -> str:
        while not file.size_beyond(file.expected)[1]:
            pass
        sent = folder.put(inside, file.path)
        if self.scratch is not None:
            file.path.unlink()
        return sent

    def finish(self) -> None:
        if self._folder is not None:
            self._folder.finish()

    def clear(self) -> None:
        self._give_up()
        self._folder = None
        self._of_folder.close()
        for left in self.scratch.iterdir() if self.scratch else ():
            remove_tree(left) if left.is_dir() else left.unlink()

    def _give_up(self) -> None:
        for file in self._files:
            if not file.finished:
                file.fail()
        self._files.clear()


@contextlib.contextmanager
def place_of(store: Store, name: str, scratch: Path | None, *, is_folder: bool) -> Iterator[Place]:
    """Yield the place for the payload `name` in the store; what is encrypted elsewhere is made below `scratch`.

    What was sent is gone again when the block ends before `finish`.
    """
    with contextlib.ExitStack() as stack:
        if isinstance(store, LocalFiles):
            staged = stack.enter_context(store.stage(name, folder=is_folder))
            yield _Disk(staged, store.path_of(name).parent, is_folder)
            return
        private = stack.enter_context(scratch_folder(scratch)) if scratch else None
        if isinstance(store, Streaming):
            yield _Line(store, name, private, stack, is_folder)
            return
        if private is None:
            raise TypeError(store)
        path = private / "encrypted"
        path.mkdir(PRIVATE_FOLDER) if is_folder else path.touch(PRIVATE_FILE)
        yield _Disk(path, private, is_folder)
