"""Files that a long stream fills: one that is handed on, and one that nobody sees before it is whole."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ops.errors import RefusedError, StoreError
from ops.fsio.atomic import PRIVATE_FILE, translated_write_errors
from ops.fsio.scratch import scratch_folder

_NEW: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
_THERE: Final = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


@contextlib.contextmanager
def opened_file(path: Path) -> Iterator[int]:
    """A descriptor for reading the file at `path` from its start; raises StoreError when there is none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}") from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise StoreError(f"{path} cannot be read: it is no file")
        os.set_blocking(descriptor, True)
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def filled_file(path: Path) -> Iterator[int]:
    """A descriptor for writing the private file at `path`: a new one, or an empty one as `Store.stage` makes it.

    When the block raises, the file is as it was before: gone, or empty. After SIGKILL it may be half written,
    so the name should be one that such a thing is expected under. Raises RefusedError when there is anything
    else at `path`, SpaceError or StoreError when it cannot be made.
    """
    with translated_write_errors(path):
        descriptor, made = _open_empty(path)
    try:
        yield descriptor
    except BaseException:
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, 0)
            if made:
                _unlink_own(path, descriptor)
        raise
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def secluded_file(path: Path) -> Iterator[int]:
    """A descriptor for writing a private file that is named `path` only when the block has ended well.

    Until then it lies in a scratch folder beside, so that the next run sweeps it when this one is killed. When
    the block raises, or a signal's handler does, nothing of it is left under any name. Raises RefusedError
    when `path` exists, then or at the end; SpaceError or StoreError when the file cannot be made.
    """
    if path.is_symlink() or path.exists():
        raise _taken(path)
    with scratch_folder(path.parent) as folder:
        hidden = folder / "content"
        with translated_write_errors(path):
            descriptor = os.open(hidden, _NEW, PRIVATE_FILE)
        try:
            yield descriptor
            with translated_write_errors(path):
                _link(hidden, path)
        except BaseException:
            with contextlib.suppress(OSError):
                _unlink_own(path, descriptor)
            raise
        finally:
            os.close(descriptor)


def _open_empty(path: Path) -> tuple[int, bool]:
    """The open file, private, and whether it was made here."""
    try:
        return os.open(path, _NEW, PRIVATE_FILE), True
    except FileExistsError:
        descriptor = os.open(path, _THERE)
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_size:
        os.close(descriptor)
        raise _taken(path)
    os.fchmod(descriptor, PRIVATE_FILE)
    return descriptor, False


def _link(hidden: Path, path: Path) -> None:
    try:
        os.link(hidden, path, follow_symlinks=False)
    except FileExistsError:
        raise _taken(path) from None


def _taken(path: Path) -> RefusedError:
    return RefusedError(f"{path} exists", code="refused.name_taken", hint="choose a name that is not in use")


def _unlink_own(path: Path, descriptor: int) -> None:
    """Remove `path` if it names the open file; somebody else's stays."""
    if os.path.samestat(os.fstat(descriptor), path.lstat()):
        path.unlink()
