"""What was read of a store's small files, kept from one listing to the next beside the stamps of those files.

One file a store: a line of JSON that says what it is of and how long its parts are, then the parts. A part is one column:
texts with NUL between them, 64-bit numbers, or where few texts stand in many rows, these texts and for each row which one
it is. The first are the keys, their stamps, and a digest of what else was there; then follow the fields of `Listed`. That
is little to read, and little to hold: every task that makes a backup does both.
"""

from __future__ import annotations

import hashlib
import json
import sys
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ops import __version__
from ops.fsio.user_cache import read_cached, write_cached
from ops.ports.stamps import PACKED_WIDTH
from ops.repository.listing_row import Listed, Rows

_FORMAT: Final = 8
"""Raised whenever the same files are read in another way, or written here in another form."""
_BETWEEN: Final = "\0"
_BETWEEN_TAGS: Final = "\x1f"
_NUMBERS: Final = {"created", "sequence", "size", "rows", "rto_ms", "rpo_ms"}
_OF_EACH: Final = {"name", "plain", "job_id", "data_as_of", "sha256"}
"""Texts that are others in each row; all else is one of a few."""
_TAGS: Final = "tags"
_WIDTH: Final = 8
"""Bytes of the number that says how long the different texts of a column are."""
_PARTS: Final = ("keys", "numbers", "others", *Listed._fields)


@dataclass(frozen=True, slots=True)
class Remembered:
    """Stamps of files as bytes, in the order of `keys`, and the rows that were read from them, newest first.

    `others`: the `fingerprint` of what else was there when nothing was incomplete.
    """

    keys: Sequence[str]
    numbers: bytes
    others: str
    rows: Rows

    def places(self) -> dict[str, int]:
        """Return where in `numbers` the stamp of each file begins."""
        return dict(zip(self.keys, range(0, len(self.numbers), PACKED_WIDTH), strict=True))


NOTHING: Final = Remembered((), b"", "", Rows.of(()))


@dataclass(frozen=True, slots=True)
class Memory:
    """What is remembered of one store; nothing where there is no folder for it."""

    folder: Path | None
    store: str

    @property
    def _path(self) -> Path | None:
        name = hashlib.sha256(self.store.encode("utf-8", "surrogatepass")).hexdigest()[:32]
        return self.folder / f"{name}.listing" if self.folder else None

    def recall(self) -> Remembered:
        """What was remembered last; nothing when that cannot be read, or is of another store or program."""
        content = read_cached(self._path) if self._path else None
        if content is None:
            return NOTHING
        line, _, _ = bytes(content[:_HEADER_MOST]).partition(b"\n")
        try:
            lengths = json.loads(line)["lengths"]
        except (ValueError, KeyError, TypeError):
            return NOTHING
        if line != self._header(lengths):
            return NOTHING
        keys, numbers, others, *columns = _cut(content[len(line) + 1 :], lengths)
        by_name = dict(zip(Listed._fields, columns, strict=False))
        rows = Rows(lambda name: _column(name, by_name[name]) if by_name else ())
        return Remembered(_names(keys), bytes(numbers), str(others, "ascii"), rows)

    def remember(self, known: Remembered) -> None:
        """Keep it for the next listing; nothing happens where that cannot be."""
        if self._path is None:
            return
        columns = ((name, known.rows.column(name)) for name in Listed._fields)
        packed = [_packed(name, values) for name, values in columns if values]
        parts = [_packed_texts(known.keys), known.numbers, known.others.encode("ascii"), *packed]
        write_cached(self._path, [self._header([len(part) for part in parts]) + b"\n", *parts])

    def _header(self, lengths: list[int]) -> bytes:
        about = {"format": _FORMAT, "version": __version__, "parts": _PARTS, "store": self.store}
        about["order"] = sys.byteorder  # a home folder may be shared by machines of two kinds
        return json.dumps({**about, "lengths": lengths}).encode("ascii")


_HEADER_MOST: Final = 1 << 16
_BEYOND: Final = 1 << 63


def can_be_remembered(row: Listed) -> bool:
    """Return whether its texts can lie between the marks that part them, and its numbers in 64 bits."""
    texts = [text for text in row if isinstance(text, str)]
    return (
        not any(_BETWEEN in text for text in (*texts, *row.tags))
        and all(tag and _BETWEEN_TAGS not in tag for tag in row.tags)
        and all(-_BEYOND <= number < _BEYOND for number in row if isinstance(number, int))
    )


def fingerprint(names: Iterable[str]) -> str:
    """Return what tells these names, in this order, from all others."""
    return hashlib.sha256(_packed_texts(names)).hexdigest()


def _cut(content: memoryview, lengths: Iterable[int]) -> Iterable[memoryview]:
    begin = 0
    for length in lengths:
        yield content[begin : begin + length]
        begin += length


def _names(part: memoryview) -> list[str]:
    return _texts(part) if part else []


def _texts(part: memoryview) -> list[str]:
    """At least one: an empty part is one empty text."""
    return str(part, "utf-8", "surrogatepass").split(_BETWEEN)


def _packed_texts(texts: Iterable[str]) -> bytes:
    return _BETWEEN.join(texts).encode("utf-8", "surrogatepass")


def _packed(name: str, values: Sequence[Any]) -> bytes:
    if name in _NUMBERS:
        return array("q", values).tobytes()
    if name in _OF_EACH:
        return _packed_texts(values)
    places = {value: place for place, value in enumerate(dict.fromkeys(values))}
    texts = _packed_texts(map(_BETWEEN_TAGS.join, places) if name == _TAGS else places)
    which = array(_code(len(places)), map(places.__getitem__, values))
    return b"".join((len(texts).to_bytes(_WIDTH, "big"), texts, which.tobytes()))


def _code(different: int) -> str:
    """The type of the numbers that say which of so many texts it is."""
    return "B" if different <= 1 << 8 else "I"


def _column(name: str, part: memoryview) -> Sequence[Any]:
    if name in _NUMBERS:
        return array("q", bytes(part))
    if name in _OF_EACH:
        return _texts(part)
    end = _WIDTH + int.from_bytes(part[:_WIDTH], "big")
    texts: list[Any] = _texts(part[_WIDTH:end])
    if name == _TAGS:
        texts = [tuple(text.split(_BETWEEN_TAGS)) if text else () for text in texts]
    return list(map(texts.__getitem__, array(_code(len(texts)), bytes(part[end:]))))
