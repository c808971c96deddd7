"""The JSON form of a snapshot: an array with one object a line, ASCII, columns in the snapshot's order. Pure.

NULL, INTEGER, REAL and TEXT are JSON's own. What JSON has no word for is an object: {"blob": "0a1b"}, {"real": "inf"}.
A byte of a text that is not UTF-8 is the escape of a lone surrogate, U+DC80 to U+DCFF.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

from ops.driverkit.row_digest import Row, Value


class JsonEncoder:
    """Rows of plain values to bytes, a batch at a time."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._names = [json.dumps(column) for column in columns]
        self._before = "\n"

    def begin(self) -> bytes:
        """The bracket that opens the array."""
        return b"["

    def encode(self, rows: Sequence[Row], /) -> bytes:
        """The objects of `rows`, each on its line."""
        parts = []
        for row in rows:
            fields = (f"{name}:{_value(value)}" for name, value in zip(self._names, row, strict=True))
            parts.append(f"{self._before}{{{','.join(fields)}}}")
            self._before = ",\n"
        return "".join(parts).encode("ascii")

    def end(self) -> bytes:
        """The bracket that closes the array."""
        return b"\n]\n"


def _value(value: Value) -> str:
    if isinstance(value, bytes):
        return json.dumps({"blob": value.hex()}, separators=(",", ":"))
    if isinstance(value, float):
        if math.isinf(value):
            return json.dumps({"real": repr(value)}, separators=(",", ":"))
        return repr(value) if value else "0.0"
    return json.dumps(value)
