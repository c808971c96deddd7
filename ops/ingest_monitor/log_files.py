"""A log that others append to and rotate, as one view for several passes: the same bytes in each of them.

What was rotated away last (`.1`, `.1.gz`) stands before the log. A file that is renamed meanwhile is the same file.
"""

from __future__ import annotations

import gzip
import os
import stat
import weakref
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from ops.errors import SourceError

_LONGEST_LINE: Final = 16 << 20
_ROTATED: Final = (".1", ".1.gz")


@dataclass(frozen=True, slots=True)
class _Part:
    """An open file, as long as it was when it was opened."""

    path: Path
    file: BinaryIO
    size: int

    @property
    def identity(self) -> tuple[int, int]:
        status = os.fstat(self.file.fileno())
        return status.st_dev, status.st_ino

    def lines(self) -> Iterator[bytes]:
        if os.fstat(self.file.fileno()).st_size < self.size:
            hint = "run it again; where logs are rotated, have them renamed and made anew, not copied and truncated"
            message = f"{self.path} was truncated while it was read"
            raise SourceError(message, code="source.changed", hint=hint)
        self.file.seek(0)
        if self.path.suffix == ".gz":
            yield from self._unzipped()
            return
        left = self.size
        while left and (line := self.file.readline(min(left, _LONGEST_LINE))):
            left -= len(line)
            yield line

    def _unzipped(self) -> Iterator[bytes]:
        with gzip.GzipFile(fileobj=self.file) as content:
            try:
                while line := content.readline(_LONGEST_LINE):
                    yield line
            except (EOFError, zlib.error, gzip.BadGzipFile):
                yield b"{"  # a line without an end: it is being written, or was cut off


class LogFiles:
    """The log at `path` and what was rotated away before it, opened when it is first read, and closed when nobody has it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._parts: list[_Part] = []
        self._is_open = False
        weakref.finalize(self, _close, self._parts)

    def lines(self) -> Iterator[bytes]:
        """Each line, with its end where it has one; none where there is no file yet.

        Raises SourceError when a file cannot be read, is no regular file, or was truncated since the first pass.
        """
        if not self._is_open:
            self._open()
        for part in self._parts:
            yield from part.lines()

    def _open(self) -> None:
        # The log first: when it is rotated now, what stands before it is the same file, and not read twice.
        if current := _open(self._path):
            self._parts.append(current)
        before = next(filter(None, (_open(Path(f"{self._path}{suffix}")) for suffix in _ROTATED)), None)
        if before and current and before.identity == current.identity:
            before.file.close()
        elif before:
            self._parts.insert(0, before)
        self._is_open = True


def _close(parts: list[_Part]) -> None:
    for part in parts:
        part.file.close()


def _open(path: Path) -> _Part | None:
    try:
        # A pipe without a writer would be waited for.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    file = os.fdopen(descriptor, "rb")
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        file.close()
        hint = "look at log in [ingest]: it is read several times, from its start"
        raise SourceError(f"the ingest log {path} is no regular file", code="source.not_a_file", hint=hint)
    return _Part(path, file, status.st_size)
