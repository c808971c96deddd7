r"""The CSV form of a snapshot: each SQLite value has one spelling, and no two values of a column share one. Pure.

UTF-8 without BOM, LF after every line, one header line. What stands unquoted is

    NULL      nothing
    INTEGER   decimal digits: 7, -12
    REAL      the shortest digits that give the same double back, always with a point or an exponent: 36.5, 1.0, 1e+16;
              inf and -inf. SQLite holds no NaN, and takes -0.0 and 0.0 for equal: both are 0.0
    BLOB      X'0a1b', hexadecimal in small letters
    TEXT      itself, if it is none of these and has no comma, quote, CR, LF, NUL or BOM in it

and every other text is quoted, with its quotes doubled. So "" is an empty text, "7" a text that looks like a number.
Bytes of a text that are not UTF-8 stand as they are.

Floats come from Python's repr (David Gay's algorithm, the same on every platform:
https://docs.python.org/3/tutorial/floatingpoint.html), never from SQLite, whose digits changed between versions
(https://www.sqlite.org/releaselog/3_43_0.html).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from ops.driverkit.row_digest import Row, Value

ERRORS: Final = "surrogateescape"
_NUMBER: Final = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|-?inf"
_BLOB: Final = r"X'(?:[0-9A-Fa-f]{2})*'"
INTEGER: Final = re.compile(r"0|-?[1-9][0-9]*")
NUMBER: Final = re.compile(_NUMBER)
BLOB: Final = re.compile(_BLOB)
_NEEDS_QUOTES: Final = re.compile(rf'(?:{_NUMBER}|{_BLOB})?|.*[",\r\n\0\ufeff].*', re.DOTALL)
_SPECIAL: Final = ('"', ",", "\r", "\0", "\ufeff")
_ONE_LOOKS_LIKE_ANOTHER: Final = re.compile(rf"\n(?:{_NUMBER}|{_BLOB})?(?=\n)")
"""In texts joined by line ends: one is empty, or would be read as something else."""
_KNOWN_AT_MOST: Final = 100_000


class _Reals(dict[float, str]):
    """The spelling of each double; prices repeat, and asking again is several times quicker than `repr`."""

    def __missing__(self, number: float) -> str:
        if len(self) > _KNOWN_AT_MOST:
            self.clear()
        self[number] = text = repr(number) if number else "0.0"
        return text


class CsvEncoder:
    """Rows of plain values to bytes, a batch at a time."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = columns
        self._reals = _Reals()

    def begin(self) -> bytes:
        """The header line."""
        return ",".join(map(_text, self._columns)).encode(errors=ERRORS) + b"\n"

    def encode(self, rows: Sequence[Row], /) -> bytes:
        """The lines of `rows`."""
        fields = map(self._column, zip(*rows, strict=True))
        lines = "\n".join(map(",".join, zip(*fields, strict=True)))
        return lines.encode(errors=ERRORS) + b"\n" if rows else b""

    def end(self) -> bytes:
        """Nothing: a CSV file just ends."""
        return b""

    def _column(self, values: tuple[Value, ...]) -> Iterable[str]:
        """The fields of one column. Looks at all values at once where they are of one type."""
        kinds = set(map(type, values))
        if kinds == {float}:
            return map(self._reals.__getitem__, values)  # type: ignore[arg-type] # all are float
        if kinds == {int}:
            return map(str, values)
        if kinds == {str} and not _one_needs_quotes(values):  # type: ignore[arg-type] # all are str
            return values  # type: ignore[return-value] # all are str
        return map(self._field, values)

    def _field(self, value: Value) -> str:
        if value is None:
            return ""
        if isinstance(value, str):
            return _text(value)
        if isinstance(value, float):
            return self._reals[value]
        return str(value) if isinstance(value, int) else f"X'{value.hex()}'"


def _one_needs_quotes(texts: Sequence[str]) -> bool:
    joined = "\n{}\n".format("\n".join(texts))
    return (
        any(character in joined for character in _SPECIAL)
        or joined.count("\n") != len(texts) + 1
        or _ONE_LOOKS_LIKE_ANOTHER.search(joined) is not None
    )


def _text(text: str) -> str:
    return '"{}"'.format(text.replace('"', '""')) if _NEEDS_QUOTES.fullmatch(text) else text
