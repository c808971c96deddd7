"""The store `local`: a folder on this machine (or mounted on it)."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import BinaryIO, ClassVar, Final, Self

from ops.errors import BackupError, RefusedError, StoreError
from ops.fsio.atomic import (
    PRIVATE_FILE,
    PRIVATE_FOLDER,
    STAGED_PREFIX,
    make_private_folder,
    publish,
    publish_folder,
    translated_write_errors,
)
from ops.fsio.copy import copy_with_sha256
from ops.fsio.file_stamps import file_sizes, file_stamps, file_stamps_of_child, names_in
from ops.fsio.leftovers import FolderClock, Leftover, is_marked_by_us, marked_staged
from ops.fsio.remove import remove_tree
from ops.ports.stamps import ABSENT, Stamps
from ops.ports.store import OWN_PREFIX, StoredFile
from ops.proc import start_copies, worker_count
from ops.run.progress import Progress, silent
from ops.stores.local.leftovers import leftovers, sweep

_LOCKS: Final = ".locks"
_SHARE_LEAST: Final = 20_000
"""Files that are looked at in the time in which a process starts and answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalOptions:
    """What the table of a local store may say: the folder."""

    path: Path


@dataclass(frozen=True, slots=True)
class LocalStore:
    """A folder of private files, each published under its final name in one step."""

    name: str
    options: LocalOptions

    kind: ClassVar[str] = "local"
    options_type: ClassVar[type[LocalOptions]] = LocalOptions

    @property
    def location(self) -> str:
        """The folder's path."""
        return str(self.options.path)

    def path_of(self, key: str) -> Path:
        """Where the file of `key` lies; raises RefusedError for a key that would lead out of the folder."""
        parts = key.split("/")
        if "\0" in key or key.startswith(STAGED_PREFIX) or any(part in {"", ".", ".."} for part in parts):
            message = f"{key!r} is no name for a file in a store"
            raise RefusedError(message, code="refused.unsafe_name")
        return self.options.path / key

    def lock_path(self, source: str) -> Path:
        """`.locks/<source>.lock` in the folder."""
        return self.options.path / _LOCKS / f"{source}.lock"

    @contextlib.contextmanager
    def stage(self, key: str, *, folder: bool = False) -> Iterator[Path]:
        """A private file or folder `.tmp-<key>…` in the folder itself, marked as ours."""
        final = self._require_top(key)
        make_private_folder(self.options.path)
        if final.parent != self.options.path:
            make_private_folder(final.parent)
        with marked_staged(final.parent, final.name, as_folder=folder) as staged:
            yield staged.path

    def put(self, key: str, file: Path) -> None:
        """Publish `file`: by its name alone when it was staged here, for whichever key, else through a copy."""
        final = self._require_top(key)
        is_folder = file.is_dir()
        if file.parent == final.parent and is_marked_by_us(file.name):
            (publish_folder if is_folder else publish)(file, final)
            return
        with self.stage(key, folder=is_folder) as staged:
            if is_folder:
                _copy_folder_into(file, staged)
                publish_folder(staged, final)
            else:
                _copy_into(file, staged, silent)
                publish(staged, final)

    def open(self, key: str) -> BinaryIO:
        """The stored file, unbuffered."""
        try:
            return open(self.path_of(key), "rb", buffering=0, opener=_opened_file)
        except FileNotFoundError as error:
            message = f"{key} is not in store {self.name!r} ({self.location})"
            raise BackupError(message, code="backup.not_found") from error
        except OSError as error:
            raise self._unreadable(key, error) from error

    def get(self, key: str, into: Path, progress: Progress) -> str:
        """Copy the stored file to `into`, hashing on the way."""
        with self.open(key) as source:
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            with translated_write_errors(into):
                try:
                    target = os.open(into, flags, 0o600)
                except FileExistsError:
                    raise RefusedError(f"{into} exists", code="refused.name_taken") from None
                try:
                    size = os.fstat(source.fileno()).st_size
                    progress.step(f"fetching {key}", size)
                    return copy_with_sha256(source.fileno(), target, size, progress=progress)
                finally:
                    os.close(target)

    def list(self, prefix: str = "") -> Iterable[StoredFile]:
        """The files of the folder and of the payloads that are folders, without what is being written or hidden."""
        above, _, begin = prefix.rpartition("/")
        hidden = prefix.startswith(".")
        try:
            for entry in _entries(self.options.path / above, begin):
                if entry.name.startswith(STAGED_PREFIX if hidden else "."):
                    continue
                key = f"{above}/{entry.name}" if above else entry.name
                if entry.is_file(follow_symlinks=False):
                    yield StoredFile(key, entry.stat(follow_symlinks=False).st_size)
                else:
                    yield from _files(entry, key)
        except FileNotFoundError:
            return
        except OSError as error:
            raise self._unreadable("the folder", error) from error

    def stamps(self, suffix: str, known: Callable[[], Sequence[str]]) -> Stamps:  # noqa: ARG002 - one look finds all names here
        """What the file system knows of each file; for many files asked by several processes at once."""
        folder = self.options.path
        try:
            keys, others = names_in(folder, suffix)
        except FileNotFoundError:
            return Stamps((), (), bytes, lambda names: [ABSENT] * len(names))
        except OSError as error:
            raise self._unreadable("the folder", error) from error
        shares = _shares(keys)
        answers = start_copies(partial(file_stamps_of_child, folder), shares if len(shares) > 1 else [])

        def numbers() -> bytes:
            found = answers() or [None]
            try:
                return b"".join(
                    file_stamps(folder, share) if answer is None else answer
                    for share, answer in zip(shares, found, strict=True)
                )
            except OSError as error:
                raise self._unreadable("the folder", error) from error

        return Stamps(keys, others, numbers, self._sizes)

    def _sizes(self, names: Sequence[str]) -> Sequence[int]:
        folder, shares = self.options.path, _shares(names)
        answers = start_copies(partial(file_sizes, folder), shares if len(shares) > 1 else [])() or [None]
        found = array("q")
        try:
            for share, answer in zip(shares, answers, strict=True):
                found.frombytes(file_sizes(folder, share) if answer is None else answer)
        except OSError as error:
            raise self._unreadable("the folder", error) from error
        return found

    def delete(self, key: str) -> None:
        """Remove the file or folder."""
        with translated_write_errors(self.path_of(key)):
            remove_tree(self.path_of(key))

    def abort_uploads(self, key: str) -> Sequence[str]:  # noqa: ARG002 - the port's
        """What is half written is staged, and `sweep` removes it."""
        return ()

    def age(self, key: str) -> timedelta | None:
        """By the clock of the file system, and the file's last change."""
        path = self.path_of(key)
        return FolderClock(path.parent).unchanged_for(path) if os.path.lexists(path) else None

    def keeps_versions(self) -> bool | None:
        """What is deleted is gone."""
        return False

    def reconnect(self) -> Self:
        """There is no connection: each look asks the file system."""
        return self

    def sweep(self) -> Sequence[str]:
        """Remove staged files of dead writers, and what they had published of an unfinished backup."""
        return sweep(self)

    def leftovers(self) -> Sequence[Leftover]:
        """What lies there half written by nobody who is known, and is not removed."""
        return leftovers(self)

    def _require_top(self, key: str) -> Path:
        """Where `key` lies, which must be a name in the folder itself, or below our own prefix."""
        path = self.path_of(key)
        if path.parent != self.options.path and not key.startswith(OWN_PREFIX):
            message = f"{key!r} is no name for a payload"
            raise RefusedError(message, code="refused.unsafe_name")
        return path

    def _unreadable(self, what: str, error: OSError) -> StoreError:
        message = f"{what} in store {self.name!r} ({self.location}) cannot be read: {error.strerror}"
        return StoreError(message, hint="check the folder's owner and mode, and that it is mounted")


def _opened_file(path: str, flags: int) -> int:
    """A descriptor of a file, and of nothing else: a pipe in its place would be waited for without end."""
    descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no file")
    return descriptor


def _shares(keys: Sequence[str]) -> tuple[Sequence[str], ...]:
    """The keys in as many parts as processes are worth starting."""
    count = max(1, min(worker_count(), len(keys) // _SHARE_LEAST))
    size = len(keys) // count + 1
    return tuple(keys[begin : begin + size] for begin in range(0, count * size, size))


def _entries(folder: Path, begin: str = "") -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return [entry for entry in entries if entry.name.startswith(begin)] if begin else [*entries]


def _files(entry: os.DirEntry[str], key: str) -> Iterator[StoredFile]:
    """The file, or the files below the folder; links are neither."""
    if entry.is_file(follow_symlinks=False):
        yield StoredFile(key, entry.stat(follow_symlinks=False).st_size)
    elif entry.is_dir(follow_symlinks=False):
        # Somebody else's folder (lost+found on a disk of its own) is none of ours; of a payload, all files miss then.
        with contextlib.suppress(PermissionError):
            for inner in _entries(Path(entry.path)):
                if not (key.startswith(".") and inner.name.startswith(STAGED_PREFIX)):
                    yield from _files(inner, f"{key}/{inner.name}")


def _copy_folder_into(folder: Path, staged: Path) -> None:
    for place, _, names in os.walk(folder):
        inside = staged / Path(place).relative_to(folder)
        with translated_write_errors(inside):
            inside.mkdir(PRIVATE_FOLDER, exist_ok=True)
            for name in names:
                (inside / name).touch(PRIVATE_FILE, exist_ok=False)
                _copy_into(Path(place, name), inside / name, silent)


def _copy_into(file: Path, staged: Path, progress: Progress) -> None:
    with file.open("rb", buffering=0) as source, staged.open("r+b", buffering=0) as target:
        size = os.fstat(source.fileno()).st_size
        with translated_write_errors(staged):
            copy_with_sha256(source.fileno(), target.fileno(), size, progress=progress)
