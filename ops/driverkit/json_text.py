"""JSON of many rows as it is stored, without holding each piece of its text at once."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO, Final

_TOGETHER: Final = 1000
"""Entries of a list whose text is held at once."""
_LONG: Final = 32
"""Characters of a text from which on it is worth to be looked up."""


def indented_json(document: object, end: bytes = b"") -> bytes:
    """Return what `json.dumps` returns with an indentation of two, in ASCII, and `end` behind it."""
    text = io.BytesIO()
    write_indented(document, text, end)
    return text.getvalue()


def write_indented(document: object, file: BinaryIO, end: bytes = b"") -> None:
    """Write the same to a file."""
    file.writelines(piece.encode("ascii") for piece in json.JSONEncoder(indent=2).iterencode(document))
    file.write(end)


def compact_json(document: object, depth: int = 2) -> Iterator[str]:
    """Return the text of `json.dumps` with sorted keys and without spaces, in pieces: long lists as deep as that come in parts."""
    if isinstance(document, dict) and depth and all(isinstance(key, str) for key in document):
        for number, key in enumerate(sorted(document)):
            yield f"{',' if number else '{'}{json.dumps(key)}:"
            yield from compact_json(document[key], depth - 1)
        yield "}" if document else "{}"
    elif isinstance(document, list) and len(document) > _TOGETHER:
        for start in range(0, len(document), _TOGETHER):
            yield "," if start else "["
            yield _compact(document[start : start + _TOGETHER])[1:-1]
        yield "]"
    else:
        yield _compact(document)


def _compact(document: object) -> str:
    return json.dumps(document, sort_keys=True, separators=(",", ":"))


def share_texts(document: object) -> None:
    """Let equal long texts of a parsed document be one: digests of a log of very many files stand in it more than once."""
    known: dict[str, str] = {}
    left = [document]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            _share(value, value.items(), known, left)
        elif isinstance(value, list):
            _share(value, enumerate(value), known, left)


def _share(
    value: dict[Any, Any] | list[Any],
    items: Iterable[tuple[Any, object]],
    known: dict[str, str],
    left: list[object],
) -> None:
    for key, item in items:
        if isinstance(item, str):
            if len(item) >= _LONG:
                value[key] = known.setdefault(item, item)
        elif isinstance(item, dict | list):
            left.append(item)
