"""Where a table or a key stands in a TOML file, for messages: `tomllib` does not tell."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

_HEADER: Final = re.compile(r"\s*(?P<open>\[\[?)\s*(?P<name>[^\[\]]+?)\s*\]\]?\s*(?:#.*)?")
_KEY: Final = re.compile(r"\s*(?P<key>[A-Za-z0-9_-]+|\"[^\"]*\"|'[^']*')\s*=")
_LONG: Final = re.compile(r'"""|\'\'\'')
_NUMBERED: Final = re.compile(r" #(\d+)\Z")


class _Line(NamedTuple):
    """One line that says something: its number, the table that it stands in, which one of that name, and its key."""

    number: int
    table: str
    nth: int
    key: str


def line_of(text: str, table: str, key: str = "") -> int | None:
    """Return the number of the line of a key in a table, or of the table's head; None where that cannot be told.

    `table` is written as messages write it: `source.prices`, `source.prices.assert #2`; empty for the file itself.
    """
    numbered = _NUMBERED.search(table)
    name, nth = (_NUMBERED.sub("", table), int(numbered[1])) if numbered else (table, 1)
    found = [line for line in _lines(text) if (line.table, line.key) == (name, key)]
    return next((line.number for line in found if line.nth == nth), None)


def _lines(text: str) -> Iterator[_Line]:
    table, nth, is_long = "", 1, False
    heads: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        began_long = is_long
        is_long ^= len(_LONG.findall(line)) % 2 == 1
        if began_long:
            continue  # inside of a long text, which may look like anything
        if head := _HEADER.fullmatch(line):
            table = ".".join(part.strip().strip("\"'") for part in head["name"].split("."))
            heads[table] = nth = heads.get(table, 0) + 1
            yield _Line(number, table, nth, "")
        elif found := _KEY.match(line):
            yield _Line(number, table, nth, found["key"].strip("\"'"))
