"""Single files of a log that is in use: opened without following links, without waiting, and without trust.

A mark tells whether a file is still what it was. An open file keeps its inode, so that no new file can have got the same
number meanwhile.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from ops.driverkit.tar_header import LARGEST
from ops.errors import SourceError
from ops.sources.eventlog.log.layout import SNAPSHOT

SEGMENT_LIMIT: Final = LARGEST
"""The largest segment that is read: a header of an archive cannot say more bytes."""
PART: Final = 1024 * 1024
"""Bytes of a file that are held at a time, where it is not held as a whole."""
_NO_FILE: Final = {errno.ELOOP, errno.ENXIO}
_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class MovedError(Exception):
    """A file is not what it was at the moment; another moment has to be found."""


class Mark(NamedTuple):
    """What a file looks like from outside: another one, or a changed one, looks different."""

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int


@dataclass(frozen=True, slots=True)
class Held:
    """The content of a file, and when it was last changed."""

    content: bytes
    mtime_ns: int

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.content)

    def parts(self) -> Iterator[bytes]:
        """All of it."""
        yield self.content


class Opened(NamedTuple):
    """An open regular file, and what it looked like when it was opened."""

    path: Path
    descriptor: int
    mark: Mark
    links: int

    @property
    def size(self) -> int:
        """Bytes."""
        return self.mark.size

    @property
    def mtime_ns(self) -> int:
        """When it was last changed."""
        return self.mark.mtime_ns

    def parts(self) -> Iterator[bytes]:
        """All of it, as often as it is wanted; raises MovedError at the latest at its end when it was written to since then."""
        at = 0
        while at < self.size:
            with translated_read_errors(self.path):
                part = os.pread(self.descriptor, min(PART, self.size - at), at)
            if not part:
                raise MovedError
            yield part
            at += len(part)
        _require_unwritten(self)


def mark_of(path: Path) -> Mark:
    """What the file at `path` looks like; raises MovedError when it is gone, SourceError when it is no file."""
    with translated_read_errors(path):
        try:
            there = path.lstat()
        except FileNotFoundError:
            raise MovedError from None
    _require_readable(path, there)
    return _mark(there)


def open_still(path: Path, opened: contextlib.ExitStack) -> Opened | None:
    """The file at `path`, open until `opened` ends; None when nothing is there. Raises SourceError."""
    with translated_read_errors(path):
        try:
            descriptor = os.open(path, _FLAGS)
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno in _NO_FILE:
                raise no_such_thing(path, "file") from error
            raise
        opened.callback(os.close, descriptor)
    there = os.fstat(descriptor)
    _require_readable(path, there)
    return Opened(path, descriptor, _mark(there), there.st_nlink)


def require_still(path: Path, opened: Opened | None) -> None:
    """Return when `path` is still that open file, or still nothing; raises MovedError."""
    if opened is not None:
        if mark_of(path) != opened.mark:
            raise MovedError
    elif os.path.lexists(path):
        raise MovedError


def read_opened(opened: Opened) -> Held:
    """All of an open file; raises MovedError when it was written to since it was opened."""
    with translated_read_errors(opened.path):
        content = os.read(opened.descriptor, opened.mark.size + 1)
    _require_unwritten(opened)
    if len(content) != opened.mark.size:
        raise MovedError
    return Held(content, opened.mark.mtime_ns)


def _require_unwritten(opened: Opened) -> None:
    there = os.fstat(opened.descriptor)
    mark = _mark(there)
    # When its name goes to another file, or away, that changes the time of the inode and nothing else.
    as_before = mark if there.st_nlink == opened.links else mark._replace(ctime_ns=opened.mark.ctime_ns)
    if as_before != opened.mark:
        raise MovedError


def read_marked(path: Path, mark: Mark) -> bytes:
    """The content of the file at `path` that looked like `mark`; raises MovedError when it does not any more.

    Raises SourceError when it cannot be read.
    """
    with contextlib.ExitStack() as stack:
        return read_opened(open_marked(path, mark, stack)).content


def open_marked(path: Path, mark: Mark, opened: contextlib.ExitStack) -> Opened:
    """The file at `path` that looked like `mark`, open until `opened` ends; raises as `read_marked` does."""
    found = open_still(path, opened)
    if found is None or found.mark != mark:
        raise MovedError
    return found


def no_such_thing(path: Path, what: str) -> SourceError:
    """The error for something that is there and is no `what`."""
    message = f"{path} is no {what}, but a link, a pipe or something else"
    hint = f"put a real {what} in its place; what a link points to is not read"
    return SourceError(message, code="source.not_a_file", hint=hint)


def _mark(there: os.stat_result) -> Mark:
    return Mark(there.st_dev, there.st_ino, there.st_size, there.st_mtime_ns, there.st_ctime_ns)


def _require_readable(path: Path, there: os.stat_result) -> None:
    if not stat.S_ISREG(there.st_mode):
        raise no_such_thing(path, "file")
    if there.st_size > SEGMENT_LIMIT and path.name != SNAPSHOT:
        message = f"{path} has {there.st_size} bytes; a segment is read up to {SEGMENT_LIMIT}"
        raise SourceError(
            message, hint="no archive that every tar reads can hold it; keep a copy of the file by hand"
        )


@contextlib.contextmanager
def translated_read_errors(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals while reading `path` into SourceError."""
    try:
        yield
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}"
        hint = "run as a user who may read it; if it may, look at the kernel's log for a failing disk"
        raise SourceError(message, code="source.unreadable", hint=hint) from error
