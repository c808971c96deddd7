"""Digests of table content that do not depend on the order in which rows lie. Pure.

Each row is some bytes, each row's bytes are hashed with SHA-256, and the hashes are added as numbers modulo
2**256 - 1. Addition forgets order but not multiplicity, and partial sums can be computed anywhere and added.
A table's digest is the SHA-256 of a JSON array: the algorithm's name, the column names, the row count and the
sum as 64 hexadecimal digits.

A row's bytes are those of `encode_row`, for rows that were read through SQL. They are unambiguous over SQLite's storage
classes, little-endian throughout:

    row      "(" u32 number-of-values, then the values
    NULL     "N"
    integer  "i" i32 where it fits, else "l" i32 ±count of 15-bit digits, then the digits as u16
    real     "g" the 8 bytes of the IEEE 754 double (so -0.0 is not 0.0)
    text     "u" u32 length, then the UTF-8 bytes; a byte that is not UTF-8 stands as its lone surrogate
    blob     "s" u32 length, then the bytes
"""

from __future__ import annotations

import hashlib
import json
import operator
import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from ops.driverkit.json_text import compact_json

_ALGORITHM: Final = "records-sha256-1"
_MODULUS: Final = 2**256 - 1
_DIGEST: Final = operator.methodcaller("digest")
_I32: Final = 2**31

Value = None | int | float | str | bytes
Row = tuple[Value, ...]


def encode_row(row: Row) -> bytes:
    """The bytes of one row of plain values; see the module's text for the format."""
    return b"(" + struct.pack("<I", len(row)) + b"".join(map(_encode_value, row))


def _encode_value(value: Value) -> bytes:
    if value is None:
        return b"N"
    if isinstance(value, int):
        return _encode_integer(value)
    if isinstance(value, float):
        return b"g" + struct.pack("<d", value)
    if isinstance(value, str):
        text = value.encode("utf-8", "surrogatepass")
        return b"u" + struct.pack("<I", len(text)) + text
    return b"s" + struct.pack("<I", len(value)) + value


def _encode_integer(value: int) -> bytes:
    if -_I32 <= value < _I32:
        return b"i" + struct.pack("<i", value)
    digits = []
    rest = abs(value)
    while rest:
        digits.append(rest & 0x7FFF)
        rest >>= 15
    count = len(digits) if value > 0 else -len(digits)
    return b"l" + struct.pack(f"<i{len(digits)}H", count, *digits)


def sum_rows(rows: Sequence[Row]) -> int:
    """The sum of the hashes of `rows`, modulo 2**256 - 1; sums of parts can be added with `add_sums`."""
    hashes = map(_DIGEST, map(hashlib.sha256, map(encode_row, rows)))
    # In base 2**256 the joined hashes are the digits of one number, and a number is congruent to the sum of
    # its digits modulo base - 1: one big-integer division instead of a Python addition for each row.
    return int.from_bytes(b"".join(hashes), "little") % _MODULUS


def add_sums(sums: Iterable[int]) -> int:
    """The sum for all rows, from the sums of disjoint parts."""
    return sum(sums) % _MODULUS


def table_digest(columns: Sequence[str], rows: int, row_sum: int) -> str:
    """The hex digest of a table from its column names in order, its row count and the sum of its rows' hashes."""
    content = json.dumps([_ALGORITHM, list(columns), rows, f"{row_sum:064x}"], separators=(",", ":"))
    return hashlib.sha256(content.encode()).hexdigest()


SEAL: Final = "seal"
"""The key of a stored JSON document that holds its `document_seal`."""


def document_seal(document: Mapping[str, object]) -> str:
    """The hex SHA-256 of a JSON document without its seal, whatever its spacing and order of keys.

    It finds accidents (a flipped bit in a time or a count); it is no signature: who can write can re-seal.
    """
    digest = hashlib.sha256()
    for piece in compact_json({key: value for key, value in document.items() if key != SEAL}):
        digest.update(piece.encode())
    return digest.hexdigest()


def require_sealed(document: Mapping[str, object], *versions: int) -> None:
    """Return when a document is of one of the versions and as it was sealed; raises ValueError, KeyError or TypeError."""
    if document["version"] not in versions or isinstance(document["version"], bool):
        raise ValueError(f"version {document['version']!r}")
    if document[SEAL] != document_seal(document):
        raise ValueError("it does not match its own seal")
