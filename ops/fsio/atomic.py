"""Files that appear whole or not at all.

A file is written as `.tmp-<name>` in its final folder, private from the first byte, and given its final name
only when it is complete and on disk. The writer keeps a kernel lock (flock) on the staged file for as long as
it lives. Where several machines write, one does not see the other's locks: there the name also carries a mark of the
writing process (`ops.fsio.leftovers`).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ops.errors import RefusedError, SpaceError, StoreError
from ops.fsio.durable import fsync_file, fsync_folder
from ops.fsio.remove import remove_tree

STAGED_PREFIX: Final = ".tmp-"
PRIVATE_FILE: Final = 0o600
PRIVATE_FOLDER: Final = 0o700
_ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
FULL: Final = {errno.ENOSPC, errno.EDQUOT}
"""What the system says when there is no room."""
_NO_LOCKS: Final = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS}


@dataclass(frozen=True, slots=True)
class StagedFile:
    """An open, private, locked file under its temporary name; `path` is where it lies now."""

    path: Path
    descriptor: int


@contextlib.contextmanager
def staged_file(folder: Path, name: str) -> Iterator[StagedFile]:
    """A new empty file `.tmp-<name>` in `folder`, mode 0600, locked; gone afterwards unless it was published.

    Raises RefusedError when a living process stages the same name, SpaceError when the disk is full,
    StoreError when the folder cannot be written.
    """
    with staged_at(folder / f"{STAGED_PREFIX}{name}") as staged:
        yield staged


@contextlib.contextmanager
def staged_folder(folder: Path, name: str) -> Iterator[StagedFile]:
    """A new empty folder `.tmp-<name>` in `folder`, mode 0700, locked; gone afterwards unless it was published.

    Raises as `staged_file` does.
    """
    with staged_at(folder / f"{STAGED_PREFIX}{name}", folder=True) as staged:
        yield staged


@contextlib.contextmanager
def staged_at(path: Path, *, folder: bool = False) -> Iterator[StagedFile]:
    """Do the same at a whole path."""
    create, mode = (_new_folder, PRIVATE_FOLDER) if folder else (_new_file, PRIVATE_FILE)
    with contextlib.ExitStack() as stack:
        # A signal that comes now is heard when somebody is there to clean up.
        with _deaf(), translated_write_errors(path):
            descriptor = _create_locked(path, create, mode)
            stack.callback(_discard, path, descriptor)
        yield StagedFile(path, descriptor)


@contextlib.contextmanager
def _deaf() -> Iterator[None]:
    """Hold back what ends a task until the block has ended.

    Handlers run in the main thread, whichever thread the system gave the signal to, so a mask would not do.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard: list[int] = []
    before = {number: signal.getsignal(number) for number in _ENDING}
    held = {number: handler for number, handler in before.items() if callable(handler)}
    for number in held:
        signal.signal(number, lambda number, _: heard.append(number))
    try:
        yield
    finally:
        for number, handler in held.items():
            signal.signal(number, handler)
        for each in heard:
            signal.raise_signal(each)


def _discard(path: Path, descriptor: int) -> None:
    with contextlib.suppress(OSError):
        remove_tree(path)
    os.close(descriptor)


def _create_locked(path: Path, create: Callable[[Path], int], mode: int) -> int:
    while True:
        try:
            descriptor = create(path)
        except FileExistsError:
            if not remove_if_stale(path):
                message = f"{path.name} is being written by another process"
                raise RefusedError(message, code="refused.name_taken") from None
            continue
        except FileNotFoundError:
            if path.parent.is_dir():
                continue  # a cleaner took the new folder before it was opened
            raise
        with _unless_unknown():
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.fchmod(descriptor, mode)
        # A cleaner may have seen it between creation and lock: then it has no name any more.
        if _still_names(path, descriptor):
            return descriptor
        os.close(descriptor)


def _new_file(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, PRIVATE_FILE)


def _new_folder(path: Path) -> int:
    path.mkdir(PRIVATE_FOLDER)
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)


def remove_if_stale(path: Path) -> bool:
    """True when `path` is gone afterwards, because nobody living holds its lock; False when somebody does."""
    with claimed_from_dead(path) as claimed:
        if claimed:
            remove_tree(path)
    return not path.exists()


@contextlib.contextmanager
def claimed_from_dead(path: Path) -> Iterator[bool]:
    """Whether the staged file at `path` belongs to a dead writer; while the block runs it is locked by us.

    False also when there is no such file (any more): its writer may just have published it.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        yield False
        return
    try:
        yield _lock_now(descriptor) and _still_names(path, descriptor)
    finally:
        os.close(descriptor)


def _lock_now(descriptor: int) -> bool:
    try:
        with _unless_unknown():
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def _unless_unknown() -> Iterator[None]:
    """Pass over that a file system knows no locks: what is written there is told by its mark alone."""
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise


def _still_names(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False


def publish(staged: Path, final: Path) -> None:
    """Give a complete staged file its final name, durably: file, then name, then folder are on disk.

    Never replaces: raises RefusedError (`refused.name_taken`) when `final` exists. link(2) is the one call
    that is atomic and refuses an existing name on every POSIX file system.
    """
    with translated_write_errors(final):
        _require_there(staged)
        fsync_file(staged)
        _link_without_replacing(staged, final)
        staged.unlink()
        fsync_folder(final.parent)


def _require_there(staged: Path) -> None:
    if not staged.exists():
        message = f"the half-written {staged} is gone before it could be published"
        hint = "see which program cleans up in that folder, then run it again"
        raise StoreError(message, code="store.changed", hint=hint)


def _link_without_replacing(staged: Path, final: Path) -> None:
    try:
        os.link(staged, final, follow_symlinks=False)
    except FileExistsError:
        message = f"{final} exists"
        hint = "names are never reused; choose another with --out, or leave --out away"
        raise RefusedError(message, code="refused.name_taken", hint=hint) from None


def publish_folder(staged: Path, final: Path) -> None:
    """Give a complete staged folder its final name, durably; see `publish`.

    rename(2) replaces nothing but an empty folder, which no backup is.
    """
    with translated_write_errors(final):
        if final.exists() or final.is_symlink():
            raise _folder_exists(final)
        _require_there(staged)
        for place, _, files in os.walk(staged):
            for name in files:
                fsync_file(Path(place, name))
            fsync_folder(Path(place))
        _rename_without_replacing(staged, final)
        fsync_folder(final.parent)


def _rename_without_replacing(staged: Path, final: Path) -> None:
    try:
        staged.rename(final)
    except OSError as error:
        if error.errno not in {errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR}:
            raise
        raise _folder_exists(final) from None


def _folder_exists(final: Path) -> RefusedError:
    return RefusedError(f"{final} exists", code="refused.name_taken", hint="names are never reused")


def replace_durably(staged: Path, final: Path) -> None:
    """Put the complete file `staged` in the place of `final` in one step, and the folder on disk after it."""
    with translated_write_errors(final):
        staged.replace(final)
        fsync_folder(final.parent)


def write_new_file(path: Path, content: bytes) -> None:
    """Publish `content` as a new private file at `path`; raises RefusedError when it exists."""
    with staged_file(path.parent, path.name) as staged:
        write_all(staged, content)
        publish(staged.path, path)


def write_all(staged: StagedFile, content: bytes) -> None:
    """Append all of `content` to a staged file; raises SpaceError when the disk is full."""
    with translated_write_errors(staged.path):
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(staged.descriptor, rest) :]


def make_private_folder(folder: Path) -> None:
    """Make `folder` (and what is missing above it), 0700 from the start; an existing one is left as it is."""
    if folder.is_dir():
        return
    with translated_write_errors(folder):
        missing = [folder, *[parent for parent in folder.parents if not parent.exists()]]
        for path in reversed(missing):
            path.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
        folder.chmod(PRIVATE_FOLDER)


@contextlib.contextmanager
def translated_write_errors(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals while writing `path` into SpaceError or StoreError."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            message = f"the disk ran full while writing {path}"
            hint = "nothing half written was kept; free some space (see the runbook, 'Disk full') and run it again"
            raise SpaceError(message, code="space.disk_full", hint=hint) from error
        message = f"cannot write {path}: {error.strerror}"
        hint = "check the folder's owner and mode, and that it is not mounted read-only"
        raise StoreError(message, code="store.unwritable", hint=hint) from error
