"""JSON of many rows as it is stored, without holding each piece of its text at once."""

from __future__ import annotations

import io
import json


def indented_json(document: object, end: bytes = b"") -> bytes:
    """Return what `json.dumps` returns with an indentation of two, in ASCII, and `end` behind it."""
    text = io.BytesIO()
    for piece in json.JSONEncoder(indent=2).iterencode(document):
        text.write(piece.encode("ascii"))
    text.write(end)
    return text.getvalue()
