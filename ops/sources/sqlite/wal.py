"""Reading SQLite's write-ahead log beside a reader that holds its snapshot.

While a connection of this process is inside a read transaction, SQLite's own locks give us this:

- no checkpoint writes a frame newer than that reader's snapshot into the database file, and
- the log is not restarted while it still holds a frame that is not in the database file.

So database file + the frames 1..C of the log is the committed state C, where C is that reader's snapshot: the commit that
the shared index named both before and after the transaction began. Pages that a checkpoint may be writing meanwhile are
all among those frames, and a copy that takes them from the log does not care how they look in the file.

A log that nobody has open has no index: then the frames count up to the last commit whose checksums continue the log's
own (`recovered_overlay`), as they would for SQLite.

Sources: https://www.sqlite.org/walformat.html (index header, read marks, checkpoint rules),
https://www.sqlite.org/fileformat2.html#walformat (log header, frames, salts).
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass, replace
from typing import Final

_INDEX_HEADER: Final = struct.Struct("=IIIBBHIIIIIIII")
_INDEX_BLOCK: Final = 2 * _INDEX_HEADER.size + 4
_INDEX_VERSION: Final = 3007000
_WAL_HEADER: Final = struct.Struct(">IIIIIIII")
_WAL_HEADER_SIZE: Final = 32
_MAGIC: Final = 0x377F0682
_LOG_VERSION: Final = 3007000
_MASK: Final = 0xFFFFFFFF
_FRAME_HEADER: Final = struct.Struct(">IIIIII")
_READ_FRAMES: Final = 256
MOST_FRAMES: Final = 1_000_000
"""Logs with more frames are left to SQLite's backup API: the page map would not fit the memory limit."""


@dataclass(frozen=True, slots=True)
class Overlay:
    """The pages that the log holds on top of the database file, and how large the database is with them.

    `frames` maps a page number to the offset of its newest content in the log.
    """

    page_size: int
    pages: int
    frames: dict[int, int]


class UnstableLogError(Exception):
    """The log cannot be read this way now; another way must be taken."""


@dataclass(frozen=True, slots=True)
class Commit:
    """The newest commit that a shared index names; `backfilled`: so many of its frames are in the database file as well."""

    newest_frame: int
    pages: int
    page_size: int
    checksum: tuple[int, int]
    salt: tuple[int, int]
    backfilled: int

    def is_same(self, other: Commit) -> bool:
        """Return whether nothing was committed in between, and the log is the same one."""
        return replace(self, backfilled=0) == replace(other, backfilled=0)


def read_overlay(log: int, commit: Commit, *, page_size: int) -> Overlay | None:
    """What the log adds to the database file for the state `commit`; None when the file alone is that state.

    `log` is a descriptor of `-wal`. The caller must be inside a read transaction whose snapshot is `commit`, and stay in it
    until everything is copied. Raises UnstableLogError when the log is another one, or larger than can be mapped.
    """
    if commit.backfilled >= commit.newest_frame:
        return None
    if commit.page_size != page_size or commit.newest_frame > MOST_FRAMES:
        raise UnstableLogError
    frames = _read_frames(log, commit)
    if frames is None:
        raise UnstableLogError
    return Overlay(page_size, commit.pages, frames)


def newest_commit(index: int) -> Commit | None:
    """Return the newest commit that the `-shm` behind the descriptor names; None while it is being written, or not known."""
    block = os.pread(index, _INDEX_BLOCK, 0)
    first, second = block[: _INDEX_HEADER.size], block[_INDEX_HEADER.size : 2 * _INDEX_HEADER.size]
    # Writers update the second copy before the first: equal copies were not caught in the middle.
    if len(block) < _INDEX_BLOCK or first != second:
        return None
    version, _, _, initialised, _, size, newest, pages, sum1, sum2, salt1, salt2, *_ = _INDEX_HEADER.unpack(
        first
    )
    if version != _INDEX_VERSION or not initialised:
        return None
    (backfilled,) = struct.unpack("=I", block[-4:])
    # 65536 does not fit the field and is stored as 1.
    page_size = (size & 0xFE00) + ((size & 1) << 16)
    return Commit(newest, pages, page_size, (sum1, sum2), (salt1, salt2), backfilled)


def _read_frames(log: int, state: Commit) -> dict[int, int] | None:
    """Page -> offset of its newest content among the published frames; None when the log is another one."""
    frame_size = _FRAME_HEADER.size + state.page_size
    salt = struct.unpack(">II", struct.pack("=II", *state.salt))
    frames: dict[int, int] = {}
    newest_checksum = None
    for start in range(0, state.newest_frame, _READ_FRAMES):
        for number in range(start, min(start + _READ_FRAMES, state.newest_frame)):
            offset = _WAL_HEADER_SIZE + number * frame_size
            header = os.pread(log, _FRAME_HEADER.size, offset)
            if len(header) < _FRAME_HEADER.size:
                return None
            page, _, salt1, salt2, *checksum = _FRAME_HEADER.unpack(header)
            if (salt1, salt2) != salt or page == 0:
                return None
            frames[page] = offset + _FRAME_HEADER.size
            newest_checksum = tuple(checksum)
    # The index keeps the checksum of its newest frame: it must be the one that lies in the log.
    return frames if newest_checksum == state.checksum else None


def recovered_overlay(log: int, *, page_size: int) -> Overlay | None:
    """Return what a log without an index adds to its database file; None where it holds no whole commit.

    `log` is a descriptor of a `-wal` that nobody has open. A frame counts when its salts are those of the log's header and
    its checksum continues that of the frame before; frames behind the last commit do not count.
    Raises UnstableLogError when the log is of another page size, or larger than can be mapped.
    Source: https://www.sqlite.org/fileformat2.html#walformat
    """
    header = os.pread(log, _WAL_HEADER_SIZE, 0)
    if len(header) < _WAL_HEADER_SIZE:
        return None
    magic, version, size, _, salt1, salt2, *written = _WAL_HEADER.unpack(header)
    order = ">" if magic & 1 else "<"
    checksum = _checksum(order, header[:24], (0, 0))
    if magic & ~1 != _MAGIC or version != _LOG_VERSION or checksum != tuple(written):
        return None
    if size != page_size:
        raise UnstableLogError
    frames, pages, waiting = dict[int, int](), 0, dict[int, int]()
    for number in range(MOST_FRAMES + 1):
        offset = _WAL_HEADER_SIZE + number * (_FRAME_HEADER.size + size)
        frame = os.pread(log, _FRAME_HEADER.size + size, offset)
        if len(frame) < _FRAME_HEADER.size + size:
            break
        page, commit, one, two, *written = _FRAME_HEADER.unpack_from(frame)
        content = memoryview(frame)
        checksum = _checksum(order, content[_FRAME_HEADER.size :], _checksum(order, content[:8], checksum))
        if (one, two) != (salt1, salt2) or checksum != tuple(written) or page == 0:
            break
        waiting[page] = offset + _FRAME_HEADER.size
        if commit:
            frames.update(waiting)
            pages, waiting = commit, {}
    else:
        raise UnstableLogError
    return Overlay(size, pages, frames) if pages else None


def _checksum(order: str, content: bytes | memoryview, start: tuple[int, int]) -> tuple[int, int]:
    """The log's running checksum over 32-bit words in the byte order that the log's header names."""
    first, second = start
    words = iter(struct.unpack(f"{order}{len(content) // 4}I", content))
    for even in words:
        first = (first + even + second) & _MASK
        second = (second + next(words) + first) & _MASK
    return first, second
