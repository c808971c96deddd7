"""Reading SQLite's write-ahead log beside a reader that holds its snapshot.

While a connection of this process is inside a read transaction, SQLite's own locks give us this:

- no checkpoint writes a frame newer than that reader's snapshot into the database file, and
- the log is not restarted while it still holds a frame that is not in the database file.

So database file + the frames 1..C of the log is the committed state C, for every commit C that the shared
index has published since. Pages that a checkpoint may be writing meanwhile are all among those frames, and a
copy that takes them from the log does not care how they look in the file.

Sources: https://www.sqlite.org/walformat.html (index header, read marks, checkpoint rules),
https://www.sqlite.org/fileformat2.html#walformat (log header, frames, salts).
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import Final

_INDEX_HEADER: Final = struct.Struct("=IIIBBHIIIIIIII")
_INDEX_BLOCK: Final = 2 * _INDEX_HEADER.size + 4
_INDEX_VERSION: Final = 3007000
_WAL_HEADER_SIZE: Final = 32
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
    """The log can not be read this way now; another way must be taken."""


@dataclass(frozen=True, slots=True)
class _IndexState:
    newest_frame: int
    pages: int
    page_size: int
    checksum: tuple[int, int]
    salt: tuple[int, int]
    backfilled: int


def read_overlay(index: int, log: int, *, page_size: int) -> Overlay | None:
    """What the log adds to the database file; None when the file alone is the snapshot.

    `index` and `log` are descriptors of `-shm` and `-wal`. The caller must be inside a read transaction that
    began before, and stay in it until everything is copied. Raises UnstableLogError when no consistent view
    was found: the index never came to rest, or is of a form that is not known.
    """
    for _ in range(1000):
        state = _read_index(index)
        if state is None:
            continue
        if state.backfilled >= state.newest_frame:
            return None
        if state.page_size != page_size or state.newest_frame > MOST_FRAMES:
            break
        frames = _read_frames(log, state)
        if frames is not None:
            return Overlay(page_size, state.pages, frames)
    raise UnstableLogError


def _read_index(index: int) -> _IndexState | None:
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
    return _IndexState(newest, pages, page_size, (sum1, sum2), (salt1, salt2), backfilled)


def _read_frames(log: int, state: _IndexState) -> dict[int, int] | None:
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
