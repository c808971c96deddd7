"""Every stored record of a table, read from the pages of a database file that nobody writes.

Reading rows through SQL costs an object for each value and holds the interpreter lock for all of it; the records
themselves are canonical bytes (SQLite writes every value in its smallest form), so hashing them needs no decoding.
Three times as fast, and the count is compared with SQLite's own.

Source for all layouts: https://www.sqlite.org/fileformat2.html#b_tree_pages
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ops.driverkit.row_digest import add_sums, sum_encoded

_INTERIOR_INDEX: Final = 0x02
_INTERIOR_TABLE: Final = 0x05
_LEAF_INDEX: Final = 0x0A
_LEAF_TABLE: Final = 0x0D
_MORE: Final = 0x80
_READ_BYTES: Final = 1 << 20
_BATCH: Final = 1000
_DEEPEST: Final = 40


class MalformedPageError(Exception):
    """A page is not what the tree says that it is."""


@dataclass(frozen=True, slots=True)
class PageFile:
    """An open database file of `size` bytes; `usable` is a page without the bytes reserved at its end."""

    descriptor: int
    page_size: int
    usable: int
    size: int

    def page(self, number: int) -> bytes:
        """The bytes of page `number` (from 1); raises MalformedPageError when there is no such page."""
        if number < 1 or number * self.page_size > self.size:
            raise MalformedPageError(f"page {number} is not in the file")
        return os.pread(self.descriptor, self.page_size, (number - 1) * self.page_size)

    def overflow(self, number: int, length: int) -> bytes:
        """`length` bytes from the chain of overflow pages that begins at page `number`."""
        parts = []
        while length > 0:
            content = self.page(number)
            take = min(length, self.usable - 4)
            parts.append(content[4 : 4 + take])
            length -= take
            number = int.from_bytes(content[:4], "big")
        return b"".join(parts)


def page_file(descriptor: int, header: bytes) -> PageFile:
    """The file as its 100-byte `header` describes it."""
    (stored,) = struct.unpack_from(">H", header, 16)
    # 65536 does not fit the field and is stored as 1.
    page_size = 65536 if stored == 1 else stored
    return PageFile(descriptor, page_size, page_size - header[20], os.fstat(descriptor).st_size)


@dataclass(frozen=True, slots=True)
class Tree:
    """The pages of one table that hold rows. `is_index`: WITHOUT ROWID tables are stored as an index is."""

    pages: tuple[int, ...]
    is_index: bool


def walk_tree(file: PageFile, root: int) -> Tree:
    """The pages of the tree at page `root` that hold rows, in key order.

    Reads only the pages above the leaves. Raises MalformedPageError when the tree is none: a wrong type, a
    page twice, more levels than any file can have.
    """
    level, inner = [root], list[int]()
    for _ in range(_DEEPEST):
        first = file.page(level[0])
        if first[0] in {_LEAF_TABLE, _LEAF_INDEX}:
            is_index = first[0] == _LEAF_INDEX
            # The inner pages of an index hold rows too; those of a table only keys.
            pages = [*inner, *level] if is_index else level
            if len(set(pages)) != len(pages):
                raise MalformedPageError(f"a page stands twice in the tree at page {root}")
            return Tree(tuple(pages), is_index)
        inner += level
        level = [child for number in level for child in _children(file.page(number), number)]
    raise MalformedPageError(f"the tree at page {root} has no end")


def _children(page: bytes, number: int) -> list[int]:
    if page[0] not in {_INTERIOR_TABLE, _INTERIOR_INDEX}:
        raise MalformedPageError(f"page {number} has type {page[0]}, not that of an inner page")
    (right,) = struct.unpack_from(">I", page, 8)
    return [*(struct.unpack_from(">I", page, at)[0] for at in _cells(page, 12)), right]


def _cells(page: bytes, start: int) -> tuple[int, ...]:
    (count,) = struct.unpack_from(">H", page, 3)
    return struct.unpack_from(f">{count}H", page, start)


def sum_pages(file: PageFile, pages: tuple[int, ...], *, is_index: bool, with_rowid: bool) -> tuple[int, int]:
    """How many rows lie on `pages`, and the sum of the hashes of their records (see `ops.driverkit.row_digest`).

    `with_rowid` hashes the rowid with the record: in a table with an INTEGER PRIMARY KEY it is a value, and the
    record has NULL in its place. Raises MalformedPageError.
    """
    count, sums, rows = 0, [], []
    for number, page in _read_pages(file, pages):
        try:
            rows += (
                _index_rows(file, page, number) if is_index else _table_rows(file, page, number, with_rowid)
            )
        except (IndexError, struct.error) as error:
            raise MalformedPageError(f"page {number} has cells outside of itself") from error
        if len(rows) >= _BATCH:
            count += len(rows)
            sums.append(sum_encoded(rows))
            rows = []
    return count + len(rows), add_sums([*sums, sum_encoded(rows)])


def _read_pages(file: PageFile, pages: tuple[int, ...]) -> Iterator[tuple[int, bytes]]:
    """Each page with its number; neighbours in the file are read together."""
    size, most = file.page_size, max(1, _READ_BYTES // file.page_size)
    at = 0
    while at < len(pages):
        end = at + 1
        while end < len(pages) and end - at < most and pages[end] == pages[end - 1] + 1:
            end += 1
        run = os.pread(file.descriptor, (end - at) * size, (pages[at] - 1) * size)
        if len(run) < (end - at) * size:
            raise MalformedPageError(f"page {pages[end - 1]} is beyond the end of the file")
        for index in range(end - at):
            yield pages[at + index], run[index * size : (index + 1) * size]
        at = end


def _table_rows(file: PageFile, page: bytes, number: int, with_rowid: bool) -> list[bytes]:  # noqa: FBT001 - positional is quicker
    """The record of each cell of a table's leaf page; with its size and rowid in front if `with_rowid`.

    Cell: size (varint), rowid (varint), record. Written for speed: this loop sees every row.
    """
    if page[0] != _LEAF_TABLE:
        raise MalformedPageError(f"page {number} has type {page[0]}, not that of a table's leaf")
    usable, rows = file.usable, []
    most_local = usable - 35
    for start in _cells(page, 8):
        # The usual lengths of both numbers, without a call: this is half of the time that a row takes.
        size, at = page[start], start + 1
        if size >= _MORE:
            if page[at] < _MORE:
                size, at = (size & 0x7F) << 7 | page[at], at + 1
            else:
                size, at = _varint(page, start)
        if page[at] < _MORE:
            at += 1
        elif page[at + 1] < _MORE:
            at += 2
        elif page[at + 2] < _MORE:
            at += 3
        else:
            at = _varint(page, at)[1]
        if size <= most_local:
            end = at + size
            if end > usable:
                raise MalformedPageError(f"page {number} has a cell that leads out of it")
            rows.append(page[start if with_rowid else at : end])
        else:
            record = _spilled(file, page, at, size, most_local)
            rows.append(page[start:at] + record if with_rowid else record)
    return rows


def _index_rows(file: PageFile, page: bytes, number: int) -> list[bytes]:
    """The record of each cell of a page of an index tree; those of inner pages follow a child's number."""
    if page[0] == _LEAF_INDEX:
        cells, skip = _cells(page, 8), 0
    elif page[0] == _INTERIOR_INDEX:
        cells, skip = _cells(page, 12), 4
    else:
        raise MalformedPageError(f"page {number} has type {page[0]}, not that of an index")
    most_local = (file.usable - 12) * 64 // 255 - 23
    rows = []
    for cell in cells:
        size, at = _varint(page, cell + skip)
        if size > most_local:
            rows.append(_spilled(file, page, at, size, most_local))
        elif at + size > file.usable:
            raise MalformedPageError(f"page {number} has a cell that leads out of it")
        else:
            rows.append(page[at : at + size])
    return rows


def _spilled(file: PageFile, page: bytes, at: int, size: int, most_local: int) -> bytes:
    """A record of `size` bytes whose beginning is at `at` and whose rest is on overflow pages."""
    usable = file.usable
    if size > file.size:
        raise MalformedPageError(f"a record of {size} bytes is larger than the file")
    least = (usable - 12) * 32 // 255 - 23
    local = least + (size - least) % (usable - 4)
    if local > most_local:
        local = least
    (first,) = struct.unpack_from(">I", page, at + local)
    return page[at : at + local] + file.overflow(first, size - local)


def _varint(page: bytes, at: int) -> tuple[int, int]:
    """The big-endian base-128 number at `at`, of nine bytes at most, and where it ends."""
    value = 0
    for index in range(8):
        byte = page[at + index]
        value = value << 7 | byte & 0x7F
        if byte < _MORE:
            return value, at + index + 1
    return value << 8 | page[at + 8], at + 9
