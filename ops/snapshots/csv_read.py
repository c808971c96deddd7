"""Reading the CSV form of a snapshot back into the values that it was made of; also what other programs wrote.

Accepted beyond our own form (`csvform`): a BOM, CRLF line ends, a last line without its end, blank lines (in a file of one
column they are rows), columns in any order, more quotes than needed. Not accepted, since it means damage: a NUL or a lone CR outside of quotes, a quote in the
middle of a field or one that is never closed, a line with more or fewer fields than the header.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from ops.driverkit.row_digest import Row, Value
from ops.errors import SnapshotError, StoreError
from ops.fsio.output import opened_file
from ops.snapshots.csv_write import BLOB, ERRORS, INTEGER, NUMBER

_BOM: Final = b"\xef\xbb\xbf"
_FIELD: Final = re.compile(r'(?:"((?:[^"]+|"")*)"|([^",\r\n\0]*))(,|\Z)', re.DOTALL)
_LARGEST: Final = 1 << 28
_BUFFER: Final = 1 << 20
_KNOWN_AT_MOST: Final = 100_000
_BATCH: Final = 1000
_LONGEST: Final = len(str(-(2**63)))
_INT64: Final = range(-(2**63), 2**63)


class _Unquoted(dict[str, Value]):
    """What a field without quotes means; see `csvform`."""

    def __missing__(self, text: str) -> Value:
        if len(self) > _KNOWN_AT_MOST:
            self.clear()
        self[text] = value = _meaning(text)
        return value


def _meaning(text: str) -> Value:
    if not text:
        return None
    # Python refuses to read a number of thousands of digits; none that SQLite holds has more than these.
    if len(text) <= _LONGEST and INTEGER.fullmatch(text) and int(text) in _INT64:
        return int(text)
    if NUMBER.fullmatch(text):
        return float(text)
    return bytes.fromhex(text[2:-1]) if BLOB.fullmatch(text) else text


@dataclass(frozen=True, slots=True)
class CsvFile:
    """An open snapshot: its columns, and its rows in batches, each row with a value for each column."""

    columns: tuple[str, ...]
    rows: Iterator[Sequence[Row]]


@contextlib.contextmanager
def opened_csv(path: Path) -> Iterator[CsvFile]:
    """The snapshot at `path`, read while the block runs; memory does not grow with it.

    Raises SnapshotError: `snapshot.not_found`, `snapshot.unreadable`, and, then or while rows are read,
    `snapshot.malformed` with the number of the line.
    """
    if not path.exists():
        raise SnapshotError(f"there is no snapshot {path}", code="snapshot.not_found")
    try:
        with opened_file(path) as descriptor, open(descriptor, "rb", _BUFFER, closefd=False) as file:
            reader = _Reader(path, file)
            columns = reader.header()
            yield CsvFile(columns, reader.batches(len(columns)))
    except (OSError, StoreError) as error:
        why = error.strerror if isinstance(error, OSError) else error.message
        raise SnapshotError(f"{path} cannot be read: {why}", code="snapshot.unreadable") from error


class _Reader:
    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path, self._file, self._number = path, file, 0
        self._unquoted = _Unquoted()

    def header(self) -> tuple[str, ...]:
        """The names of the columns; raises SnapshotError when there are none, or two that SQLite takes for one."""
        line = self._record()
        while line is not None and not line.removeprefix("\ufeff"):
            line = self._record()
        if line is None:
            raise self._malformed("it is empty, not even a header is there")
        names = tuple(text for text, _ in self._fields(line.removeprefix("\ufeff")))
        if "" in names or len({name.lower() for name in names}) < len(names):
            raise self._malformed("a column has no name, or two have the same")
        return names

    def batches(self, width: int) -> Iterator[Sequence[Row]]:
        """The rows after the header."""
        batch: list[Row] = []
        while (line := self._record()) is not None:
            if not line and width > 1:
                continue
            row = self._row(line)
            if len(row) != width:
                raise self._malformed(f"{len(row)} fields, the header has {width}")
            batch.append(row)
            if len(batch) == _BATCH:
                yield batch
                batch = []
        if batch:
            yield batch

    def _row(self, line: str) -> Row:
        if '"' not in line and "\0" not in line and "\r" not in line:
            return tuple(map(self._unquoted.__getitem__, line.split(",")))
        fields = self._fields(line)
        return tuple(text if quoted else self._unquoted[text] for text, quoted in fields)

    def _fields(self, line: str) -> list[tuple[str, bool]]:
        """Each field's text, and whether it stood in quotes."""
        fields, at = [], 0
        while True:
            match = _FIELD.match(line, at)
            if match is None:
                raise self._malformed("a quote, a NUL or a line end stands where none can be")
            quoted, plain, end = match.groups()
            fields.append((plain, False) if quoted is None else (quoted.replace('""', '"'), True))
            if not end:
                return fields
            at = match.end()

    def _record(self) -> str | None:
        """The next line without its end, with those that its quotes reach into; None at the end of the file."""
        parts, quotes, size = list[bytes](), 0, 0
        while True:
            line = self._file.readline()
            self._number += 1
            if not line and parts:
                raise self._malformed("a quote is never closed: the file breaks off, or a quote is missing")
            if not line:
                return None
            parts.append(line)
            quotes, size = quotes + line.count(b'"'), size + len(line)
            if quotes % 2 == 0:
                break
            if size > _LARGEST:
                raise self._malformed("a quote is not closed within 256 MiB")
        text = b"".join(parts).removesuffix(b"\n").removesuffix(b"\r")
        return text.decode("utf-8", ERRORS)

    def _malformed(self, what: str) -> SnapshotError:
        hint = "take it from version control or an archive, or write it anew with snapshot.create --replace"
        message = f"{self._path}, line {self._number}: {what}"
        return SnapshotError(message, code="snapshot.malformed", hint=hint)
