"""Scripts that pg_restore writes: their statements, and the same script without what a server does not know.

Only statements are changed, never a line that stands inside a string, a name, a comment or a function's body.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

from ops.sources.postgres.programs.release import OWN_OPTION_PREFIX

# Scripts have standard_conforming_strings on, and pg_dump writes E'' wherever a backslash is one of an escape.
# In the encodings that a server can have, no byte of a longer character is one of these.
# Source: https://www.postgresql.org/docs/current/sql-syntax-lexical.html
_TOKEN: Final = re.compile(
    rb"""
      (?P<comment>--[^\n]*|/\*)
    | (?P<quoted>(?<![A-Za-z0-9_$\x80-\xff])[eE]'[^'\\]*(?:(?:\\.|'')[^'\\]*)*' | '[^']*' | "[^"]*")
    | (?<![A-Za-z0-9_$\x80-\xff])(?P<dollar>\$(?:[A-Za-z_\x80-\xff][A-Za-z0-9_\x80-\xff]*)?\$)
    | (?P<end>;)
    """,
    re.VERBOSE | re.DOTALL,
)
_BLOCK_EDGE: Final = re.compile(rb"/\*|\*/")
_COLUMN_OPTIONS: Final = re.compile(
    rb"\s*ALTER (?:FOREIGN )?TABLE (?:ONLY )?\S+ ALTER COLUMN \S+ SET (?P<list>\((?P<options>[^()]*)\))\s*\Z"
)
_OWN: Final = re.compile(rf"\s*({OWN_OPTION_PREFIX}\w+)\s*=".encode())
_HEADING: Final = re.compile(rb"^-- Name: (.*); Type: (.*); Schema: (.*); Owner: ", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class ColumnOptions:
    """A statement that sets options of a column: where it and its options stand, and their texts."""

    start: int
    end: int
    list_start: int
    list_end: int
    options: tuple[bytes, ...]

    @property
    def own(self) -> list[str]:
        """The names of those that the server keeps for itself."""
        return [found[1].decode("ascii") for option in self.options if (found := _OWN.match(option))]


def own_options(script: bytes) -> Mapping[str, int]:
    """Return the column options of the server's own that a script sets, each with how often."""
    return Counter(name for statement in _column_options(script) for name in statement.own)


def without_options(script: bytes, unwanted: AbstractSet[str]) -> bytes:
    """Return the script without these column options of the server's own; its lines keep their numbers."""
    parts, position = [], 0
    for statement in _column_options(script):
        if unwanted.isdisjoint(statement.own):
            continue
        kept = [option for option in statement.options if not _is_one_of(option, unwanted)]
        if kept:
            parts += [script[position : statement.list_start], b"(", b",".join(kept).strip(), b")"]
            position = statement.list_end
        else:
            lines = script.count(b"\n", statement.start, statement.end)
            parts += [script[position : statement.start], b"\n" * lines]
            position = statement.end
    return b"".join([*parts, script[position:]])


def _is_one_of(option: bytes, unwanted: AbstractSet[str]) -> bool:
    found = _OWN.match(option)
    return found is not None and found[1].decode("ascii") in unwanted


def entry_lines(script: bytes) -> list[tuple[int, str]]:
    """Return for each entry of a script the line (from 1 on) of its heading, and the entry as `TYPE schema name`."""
    found, line, position = [], 1, 0
    for heading in _HEADING.finditer(script):
        line += script.count(b"\n", position, heading.start())
        position = heading.start()
        name, kind, schema = (part.decode("utf-8", "replace") for part in heading.groups())
        found.append((line, " ".join(part for part in (kind, schema, name) if part != "-")))
    return found


def _column_options(script: bytes) -> Iterator[ColumnOptions]:
    if OWN_OPTION_PREFIX.encode() not in script:
        return
    for start, end, masked in _statements(script):
        found = _COLUMN_OPTIONS.match(masked)
        if found is None:
            continue
        at, to = start + found.start("list"), start + found.end("list")
        yield ColumnOptions(start, end, at, to, tuple(script[at + 1 : to - 1].split(b",")))


def _statements(script: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Every statement: where it begins, where it ends with its semicolon, and its text with quoted parts masked."""
    start, position = 0, 0
    masked: list[bytes] = []
    while (token := _TOKEN.search(script, position)) is not None:
        masked.append(script[position : token.start()])
        if token["end"]:
            yield start, token.end(), b"".join(masked)
            start = position = token.end()
            masked = []
            continue
        position = _end_of(script, token)
        # What is masked must be as long, so that places in the text stay places in the script.
        filler = b" " if token["comment"] else b"x"
        masked.append(filler * (position - token.start()))


def _end_of(script: bytes, token: re.Match[bytes]) -> int:
    if token["dollar"]:
        closing = script.find(token["dollar"], token.end())
        return len(script) if closing < 0 else closing + len(token["dollar"])
    if token["comment"] == b"/*":
        return _end_of_block(script, token.end())
    return token.end()


def _end_of_block(script: bytes, position: int) -> int:
    depth = 1
    while depth and (edge := _BLOCK_EDGE.search(script, position)) is not None:
        depth += 1 if edge[0] == b"/*" else -1
        position = edge.end()
    return position if not depth else len(script)
