"""Copying one file into another at disk speed, with its SHA-256 computed on the way.

The kernel copies (copy_file_range, which also shares extents where the file system can), a second thread
hashes what has arrived from the page cache, and both release the interpreter lock; so the copy costs what the
slower of the two costs. Figures and alternatives: docs/adr/0004.
"""

from __future__ import annotations

import errno
import hashlib
import os
import queue
import threading
from collections.abc import Callable
from typing import Final

from ops.run.progress import Progress, silent

CHUNK: Final = 8 << 20
_HASH_BLOCK: Final = 1 << 20
_NO_KERNEL_COPY: Final = {
    errno.ENOSYS,
    errno.EXDEV,
    errno.EINVAL,
    errno.EOPNOTSUPP,
    errno.EPERM,
    errno.ETXTBSY,
}

Amend = Callable[[int, int], None]
"""Called with (offset, length) of each part of the target after it was copied and before it is hashed."""


class ShortSourceError(Exception):
    """The source ended before the promised size."""


class _Hasher:
    """A thread that hashes consecutive parts of a file as they are announced."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._parts: queue.SimpleQueue[tuple[int, int] | None] = queue.SimpleQueue()
        self._digest = hashlib.sha256()
        self._error: OSError | None = None
        self._thread = threading.Thread(target=self._run, name="sha256", daemon=True)
        self._thread.start()

    def announce(self, offset: int, length: int) -> None:
        self._parts.put((offset, length))

    def finish(self) -> str:
        """The hex digest of all announced parts; raises what went wrong while reading them."""
        self._parts.put(None)
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._digest.hexdigest()

    def _run(self) -> None:
        block = memoryview(bytearray(_HASH_BLOCK))
        while (part := self._parts.get()) is not None:
            try:
                self._hash_part(block, *part)
            except OSError as error:
                self._error = error
                return

    def _hash_part(self, block: memoryview, offset: int, length: int) -> None:
        while length:
            got = os.preadv(self._descriptor, [block[: min(length, _HASH_BLOCK)]], offset)
            if got == 0:
                raise OSError(errno.EIO, "the copy is shorter than what was written to it")
            self._digest.update(block[:got])
            offset, length = offset + got, length - got


def copy_with_sha256(  # noqa: PLR0913 - two files, a size, and three listeners that most callers leave away
    source: int,
    target: int,
    size: int,
    *,
    amend: Amend | None = None,
    copied: Callable[[], None] | None = None,
    progress: Progress = silent,
) -> str:
    """The SHA-256 of the `size` bytes that `target` holds afterwards, copied from `source` from offset 0.

    `amend` may rewrite each part of the target before it is hashed; with it the source may be shorter than
    `size`, and what it lacks is zero until `amend` fills it. `copied` is called as soon as the source is
    needed no more; hashing may still be going on then. Nothing is fsynced.
    Raises ShortSourceError when the source is shorter than promised; OSError from reading and writing.
    """
    available = size if amend is None else min(os.fstat(source).st_size, size)
    os.ftruncate(target, size)
    hasher = _Hasher(target)
    try:
        for offset in range(0, size, CHUNK):
            length = min(CHUNK, size - offset)
            copy_range(source, target, offset, min(length, max(0, available - offset)))
            if amend is not None:
                amend(offset, length)
            hasher.announce(offset, length)
            progress.advance(length)
        if copied is not None:
            copied()
    finally:
        digest = hasher.finish()
    return digest


def copy_range(source: int, target: int, offset: int, length: int) -> None:
    """Copy `length` bytes at `offset` from one file to the same place of the other."""
    end = offset + length
    while offset < end:
        copied = _copy_some(source, target, offset, end - offset)
        if copied == 0:
            raise ShortSourceError
        offset += copied


def _copy_some(source: int, target: int, offset: int, length: int) -> int:
    if hasattr(os, "copy_file_range"):
        try:
            return os.copy_file_range(source, target, length, offset, offset)
        except OSError as error:
            if error.errno not in _NO_KERNEL_COPY:
                raise
    return copy_through_memory(source, target, offset, min(length, _HASH_BLOCK))


def copy_through_memory(source: int, target: int, offset: int, length: int) -> int:
    """Copy up to `length` bytes at `offset` with read and write; the number that was copied, 0 at the end."""
    block = os.pread(source, length, offset)
    rest = memoryview(block)
    while rest:
        written = os.pwrite(target, rest, offset)
        rest, offset = rest[written:], offset + written
    return len(block)


def sha256_of(descriptor: int, *, progress: Progress = silent) -> tuple[str, int]:
    """The hex SHA-256 of an open file from its start, and the number of bytes that were hashed."""
    digest = hashlib.sha256()
    block = memoryview(bytearray(_HASH_BLOCK))
    offset = 0
    while got := os.preadv(descriptor, [block], offset):
        digest.update(block[:got])
        offset += got
        progress.advance(got)
    return digest.hexdigest(), offset
