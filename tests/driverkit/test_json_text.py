"""JSON of many rows: the same text as json makes, in pieces, and equal texts held once."""

from __future__ import annotations

import io
import json

import pytest

from ops.driverkit.json_text import compact_json, indented_json, share_texts, write_indented

DOCUMENTS = [
    {},
    [],
    {"b": 1, "a": {"d": [], "c": {"f": 1, "e": [{"z": 1, "y": 2}]}}},
    {
        "rows": [{"n": n, "a": "é\udcff"} for n in range(2500)],
        "deep": {"rows": [[n, "x"] for n in range(1001)]},
    },
    [1] * 1000,
    [1] * 1001,
    "text",
    None,
    {"ö": {"\udc80": 1.5, '"': "line\nend"}},
]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_compact(document: object) -> None:
    """Put together, the pieces are what json writes with sorted keys and without spaces."""
    expected = json.dumps(document, sort_keys=True, separators=(",", ":"))
    assert "".join(compact_json(document)) == expected


@pytest.mark.parametrize("document", DOCUMENTS)
def test_indented(document: object) -> None:
    """In a file and as bytes it is what json writes with an indentation of two."""
    file = io.BytesIO()
    write_indented(document, file, b"\n")
    assert file.getvalue() == indented_json(document, b"\n") == f"{json.dumps(document, indent=2)}\n".encode()


def test_shared() -> None:
    """Nothing is another after it, and long texts that are equal are one object."""
    text = json.dumps({"a": ["x" * 64, {"b": "x" * 64, "short": "x"}], "c": "x" * 64})
    document = json.loads(text)
    share_texts(document)
    assert document == json.loads(text)
    assert document["a"][0] is document["a"][1]["b"] is document["c"]
