"""What a store promises: what is put stays as it is, whole, under its name. A store never learns about kinds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple, Protocol, Self, runtime_checkable

from ops.fsio.growing_file import GrowingFile
from ops.fsio.leftovers import Leftover
from ops.model.findings import Finding
from ops.run.progress import Progress

OWN_PREFIX: Final = ".drillbook/"
"""What all keys begin with that are about the store itself and no backup."""


class StoredFile(NamedTuple):
    """One file in a store: its key and size in bytes."""

    key: str
    size: int


class Store(Protocol):
    """A place where backups live. Methods raise StoreError or SpaceError.

    A key is a name, each written once, or `NAME/…` for a file of the folder that was put as NAME. Below `OWN_PREFIX`
    lies what is no backup: there every key is one of its own, however deep.
    """

    @property
    def name(self) -> str:
        """Its configured name."""

    @property
    def location(self) -> str:
        """Where it is, for people, free of secrets."""

    def stage(self, key: str, *, folder: bool = False) -> AbstractContextManager[Path]:
        """An empty private file (or folder) for building `key` where `put` can take it without another copy.

        Gone when the block ends, unless it was put, which may also be under another key: others may build the same one,
        and the first that puts it has it.
        """

    def put(self, key: str, file: Path) -> None:
        """Store the file or folder as `key`: durable when this returns, whole or not at all, private, never replacing.

        Takes the file over when it came from `stage`. Raises RefusedError when the key exists.
        """

    def open(self, key: str) -> BinaryIO:
        """The content from its start, unbuffered. Raises BackupError (`backup.not_found`) when there is none."""

    def get(self, key: str, into: Path, progress: Progress) -> str:
        """Write the content to the new private file `into`; the SHA-256 of what was written.

        Raises BackupError (`backup.not_found`), and RefusedError when `into` exists.
        """

    def list(self, prefix: str = "") -> Iterable[StoredFile]:
        """All complete files whose keys begin with `prefix`, in no order; never one that is still being written.

        What lies in a folder whose name begins with a dot, or has such a name, is listed only for a prefix that names
        it, and without one it is not even looked through.
        """

    def delete(self, key: str) -> None:
        """Remove `key`, a folder with all that is in it; fine when it is gone already."""

    def abort_uploads(self, key: str) -> Sequence[str]:
        """Give up what was begun of the file or folder `key` and never finished, where no listing shows that; the keys."""

    def age(self, key: str) -> timedelta | None:
        """How long ago the file was put, by the store's own clock; None when it is not there, or no time is told."""

    def keeps_versions(self) -> bool | None:
        """Whether what is deleted stays as a version; None where that is not told."""

    def reconnect(self) -> Self:
        """The same store, which asks over connections of its own where it has any."""


class FolderInParts(Protocol):
    """A folder on its way into a store, file by file; it is not there before `finish`."""

    def put(self, inside: str, file: Path) -> str:
        """Send a whole file of it; the SHA-256 of what was sent. May be called from several threads."""

    def finish(self) -> None:
        """Return when all that was put is there, and nothing else: from now on the folder is."""


@runtime_checkable
class Streaming(Protocol):
    """A store that takes a file, or a folder, while it is still being written, so that writing and sending overlap."""

    def put_growing(self, key: str, file: GrowingFile) -> str:
        """Like `Store.put`, of what the file holds when its writer is done; the SHA-256 of that.

        Raises StoreError when the writer fails; then, as after every error, nothing is there.
        """

    def begin_folder(self, key: str) -> AbstractContextManager[FolderInParts]:
        """Like `Store.put` of a folder whose files come one by one.

        Where the block ends before `finish`, nothing is there. Raises RefusedError when the key exists.
        """


@runtime_checkable
class Tried(Protocol):
    """A store of which `store.check` has more to try and to say than of every store: the driver declares it."""

    @property
    def in_pieces(self) -> int:
        """A size in bytes above which a file is sent in more than one piece; 0 where none is."""

    def examine(self) -> Sequence[Finding]:
        """What protects what it holds, and what this server cannot promise: a finding each, also where it may not be asked."""


@runtime_checkable
class Timed(Protocol):
    """A store that says what time it is where it lies."""

    def clock_ahead(self) -> timedelta | None:
        """How far its clock was ahead of ours when it last answered; None before its first answer."""


@runtime_checkable
class LocalFiles(Protocol):
    """A store whose files programs on this machine can open in place, and lock."""

    def path_of(self, key: str) -> Path:
        """Where the file of `key` lies (whether it exists or not)."""

    def sweep(self) -> Sequence[str]:
        """Remove what writers that died left half done; the names that are gone. Living writers are untouched."""

    def leftovers(self) -> Sequence[Leftover]:
        """What lies there half written by nobody who is known, and is never removed without being asked."""

    def lock_path(self, source: str) -> Path:
        """Where the lock file of a source, or of one of its places, lies."""
