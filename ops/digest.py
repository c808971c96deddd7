"""Digests of table content that do not depend on the order in which rows lie. Pure.

Each row is encoded to bytes, each encoding hashed with SHA-256, and the hashes are added as numbers modulo
2**256 - 1. Addition forgets order but not multiplicity, and partial sums can be computed anywhere and added.
A table's digest is the SHA-256 over the algorithm's name, the column names, the row count and the sum.

The row encoding (`rows-sha256-1`, written down in docs/operations/manifest.md) is unambiguous over SQLite's
storage classes, little-endian throughout:

    row      "(" u32 number-of-values, then the values
    NULL     "N"
    integer  "i" i32 where it fits, else "l" i32 ±count of 15-bit digits, then the digits as u16
    real     "g" the 8 bytes of the IEEE 754 double (so -0.0 is not 0.0)
    text     "u" u32 length, then the UTF-8 bytes; a byte that is not UTF-8 stands as its lone surrogate
    blob     "s" u32 length, then the bytes

Those bytes are also what version 2 of Python's marshal writes, which is why the fast path may use it; a
self-check compares the two once per process, and tests compare them on every storage class.
"""

from __future__ import annotations

import functools
import hashlib
import json
import marshal
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import repeat
from typing import Final

ALGORITHM: Final = "rows-sha256-1"
_MODULUS: Final = 2**256 - 1
_MARSHAL_VERSION: Final = 2
_I32: Final = 2**31

Value = None | int | float | str | bytes
Row = tuple[Value, ...]


def encode_row(row: Row) -> bytes:
    """The defining encoding of one row; see the module's text for the format."""
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


_SAMPLE: Final[Row] = (
    None,
    0,
    -1,
    2**31 - 1,
    -(2**31),
    2**31,
    -(2**63),
    -0.0,
    1.5,
    "",
    "aé\0\udc80",
    b"",
    b"\0u",
)


@functools.cache
def _fast_encoder() -> Callable[[Iterable[Row]], Iterable[bytes]]:
    if marshal.dumps(_SAMPLE, _MARSHAL_VERSION) == encode_row(_SAMPLE):
        return lambda rows: map(marshal.dumps, rows, repeat(_MARSHAL_VERSION))
    return lambda rows: map(encode_row, rows)


def sum_rows(rows: Sequence[Row]) -> int:
    """The sum of the row hashes of `rows`, modulo 2**256 - 1; sums of parts can be added with `add_sums`.

    Rows must be plain tuples of exactly the types in `Value`.
    """
    sha256 = hashlib.sha256
    hashes = [sha256(encoded).digest() for encoded in _fast_encoder()(rows)]
    # In base 2**256 the joined hashes are the digits of one number, and a number is congruent to the sum of
    # its digits modulo base - 1: one big-integer division instead of a Python addition for each row.
    return int.from_bytes(b"".join(hashes), "little") % _MODULUS


def add_sums(sums: Iterable[int]) -> int:
    """The sum for all rows, from the sums of disjoint parts."""
    return sum(sums) % _MODULUS


def table_digest(columns: Sequence[str], rows: int, row_sum: int) -> str:
    """The hex digest of a table from its column names in order, its row count and its `sum_rows`."""
    digest = hashlib.sha256(ALGORITHM.encode())
    digest.update(encode_row(tuple(columns)))
    digest.update(encode_row((rows,)))
    digest.update(row_sum.to_bytes(32, "little"))
    return digest.hexdigest()


SEAL: Final = "seal"
"""The key of a stored JSON document that holds its `document_seal`."""


def document_seal(document: Mapping[str, object]) -> str:
    """The hex SHA-256 of a JSON document without its seal, whatever its spacing and order of keys.

    It finds accidents (a flipped bit in a time or a count); it is no signature: who can write can re-seal.
    """
    content = {key: value for key, value in document.items() if key != SEAL}
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
