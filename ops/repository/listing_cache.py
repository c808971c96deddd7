"""What was read of a store's small files, kept from one listing to the next beside the stamps of those files.

One file a store: a line of JSON that says what it is of and how long its parts are, then the parts. A part is one column:
texts with NUL between them, or 64-bit numbers. The first are the keys, their stamps, and what else was there; then follow
the fields of `Listed`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ops import __version__
from ops.fsio.user_cache import read_cached, write_cached
from ops.ports.stamps import Stamp, by_key
from ops.repository.listing_row import Listed, Rows

_FORMAT: Final = 6
"""Raised whenever the same files are read in another way, or written here in another form."""
_BETWEEN: Final = "\0"
_BETWEEN_TAGS: Final = "\x1f"
_NUMBERS: Final = {"created", "sequence", "size", "rows"}
_TAGS: Final = "tags"
_PARTS: Final = ("keys", "numbers", "others", *Listed._fields)


@dataclass(frozen=True, slots=True)
class Remembered:
    """Stamps of files as bytes, in the order of `keys`, and the rows that were read from them, newest first.

    `others`: what else was there when nothing was incomplete.
    """

    keys: Sequence[str]
    numbers: bytes
    others: Sequence[str]
    rows: Rows

    def stamps(self) -> dict[str, Stamp]:
        """Each file's stamp."""
        return by_key(self.keys, self.numbers)


NOTHING: Final = Remembered((), b"", (), Rows.of(()))


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
        """What was remembered last; nothing when that can not be read, or is of another store or program."""
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
        return Remembered(_names(keys), bytes(numbers), _names(others), rows)

    def remember(self, known: Remembered) -> None:
        """Keep it for the next listing; nothing happens where that can not be."""
        if self._path is None:
            return
        columns = ((name, known.rows.column(name)) for name in Listed._fields)
        packed = [_packed(name, values) for name, values in columns if values]
        parts = [_packed_texts(known.keys), known.numbers, _packed_texts(known.others), *packed]
        write_cached(self._path, [self._header([len(part) for part in parts]) + b"\n", *parts])

    def _header(self, lengths: list[int]) -> bytes:
        about = {"format": _FORMAT, "version": __version__, "parts": _PARTS, "store": self.store}
        return json.dumps({**about, "lengths": lengths}).encode("ascii")


_HEADER_MOST: Final = 1 << 16


def can_be_remembered(row: Listed) -> bool:
    """Whether its texts can lie between the marks that part them."""
    texts = [text for text in row if isinstance(text, str)]
    return not any(_BETWEEN in text for text in (*texts, *row.tags)) and all(
        tag and _BETWEEN_TAGS not in tag for tag in row.tags
    )


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
        return _packed_texts(map(str, values))
    return _packed_texts(map(_BETWEEN_TAGS.join, values) if name == _TAGS else values)


def _column(name: str, part: memoryview) -> Sequence[Any]:
    texts = _texts(part)
    if name in _NUMBERS:
        return list(map(int, texts))
    return [tuple(text.split(_BETWEEN_TAGS)) if text else () for text in texts] if name == _TAGS else texts
