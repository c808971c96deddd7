"""One run at a time: a kernel lock with the holder's name written in it.

flock(2) ends with the process that holds it, so a crash frees it and no process id is ever trusted; what is
written in the file is only for the message.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import socket
import stat
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from ops.errors import LockHeldError
from ops.fsio.atomic import PRIVATE_FILE, make_private_folder, translated_write_errors
from ops.units import format_time

_POLL_S: Final = 0.1
_NAMELESS_S: Final = 0.5
"""How long a holder may have no name."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lock: process, host, since when, for which job."""

    pid: int
    host: str
    started_at: str
    job_id: str

    def __str__(self) -> str:
        """One phrase for a message."""
        return f"process {self.pid} on {self.host} since {self.started_at} (job {self.job_id})"


@contextlib.contextmanager
def source_lock(  # noqa: PLR0913 - a lock, and who asks for it
    path: Path, *, job_id: str, now: datetime, wait_s: float = 0, what: str = "", shared: bool = False
) -> Iterator[None]:
    """Hold the lock at `path` while the block runs; a live holder's lock is never taken.

    `shared`: beside others that hold it shared. Waits up to `wait_s` seconds. Raises LockHeldError that names the holder when it is still held then, and `what` is
    locked: by default the source that the file is named after.
    """
    make_private_folder(path.parent)
    with translated_write_errors(path):
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        descriptor = os.open(path, flags, PRIVATE_FILE)
    try:
        with translated_write_errors(path):
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError(errno.EINVAL, "something that is no file has its name")
            _acquire(descriptor, path, wait_s, what, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        _write_holder(descriptor, Holder(os.getpid(), socket.gethostname(), format_time(now), job_id))
        yield
        if not shared:
            os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, path: Path, wait_s: float, what: str, mode: int) -> None:
    deadline = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
        except BlockingIOError:
            # A holder without a name has just begun, and will write it, or is ending, and will let go.
            now, holder = time.monotonic(), read_holder(path)
            if now >= deadline and (holder is not None or now >= deadline + _NAMELESS_S):
                raise _held(path, holder, wait_s, what) from None
            time.sleep(_POLL_S if now < deadline else _NAMELESS_S / 10)
        else:
            return


def _held(path: Path, holder: Holder | None, wait_s: float, what: str) -> LockHeldError:
    waited = f" (waited {wait_s:.0f} s)" if wait_s else ""
    message = f"{what or f'source {path.stem!r}'} is locked{waited}: held by {holder or 'a run that does not say its name'}"
    return LockHeldError(message, hint="let it finish, or wait for it with --wait SECONDS")


def is_held(path: Path) -> bool:
    """Whether a living process holds the lock at `path` now."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)


def read_holder(path: Path) -> Holder | None:
    """Who wrote the lock file last, or None when nobody is named in it."""
    try:
        return Holder(**json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def _write_holder(descriptor: int, holder: Holder) -> None:
    # The name is only for other people's messages: on a full disk the lock itself still holds.
    with contextlib.suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(asdict(holder)).encode(), 0)


@contextlib.contextmanager
def held_for_reading(path: Path) -> Iterator[bool]:
    """Keep a file from being deleted by `claimed_for_deletion` while the block runs; whether it is (still) there.

    Where the file system knows no locks nothing is kept from being deleted, and nothing is refused either.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        yield path.exists()
        return
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield _is_at(path, descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def claimed_for_deletion(path: Path) -> Iterator[bool]:
    """Whether nobody reads the file, and nobody will while the block runs; False also when it is gone."""
    try:
        # For writing: over NFS an exclusive lock needs that (flock(2)).
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        yield False
        return
    try:
        yield _lock_now(descriptor) and _is_at(path, descriptor)
    finally:
        os.close(descriptor)


def _lock_now(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        # A file system without locks has no readers that could be seen.
        return error.errno in {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS}
    return True


def _is_at(path: Path, descriptor: int) -> bool:
    """Whether the open file is the one that has the name now: it may have been deleted before it was locked."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except OSError:
        return False
