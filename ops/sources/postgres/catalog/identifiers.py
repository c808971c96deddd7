"""Names and literals in SQL, and the names by which tables stand in manifests. Pure."""

from __future__ import annotations

import re
from typing import Final

_PART: Final = re.compile(r'"((?:[^"]|"")+)"|([^".]+)')
_DOTTED: Final = re.compile(rf"(?:{_PART.pattern})(?:\.(?:{_PART.pattern}))*", re.DOTALL)
_SIMPLE: Final = re.compile(r"[a-z_][a-z0-9_]*\Z")


def quoted(name: str) -> str:
    """`name` as an SQL identifier, always in double quotes."""
    return '"' + name.replace('"', '""') + '"'


def qualified(schema: str, name: str) -> str:
    """`schema`.`name` as SQL identifiers."""
    return f"{quoted(schema)}.{quoted(name)}"


def literal(text: str) -> str:
    """`text` as an SQL string (standard_conforming_strings is on in every session of ours)."""
    return "'" + text.replace("'", "''") + "'"


def shown(schema: str, name: str) -> str:
    """How a table stands in manifests: as people write it, quoted only where it must be.

    Unlike quote_ident() it knows no keywords, so that it is the same on every server version.
    """
    return ".".join(part if _SIMPLE.match(part) else quoted(part) for part in (schema, name))


def parse_shown(text: str) -> tuple[str, str]:
    """Schema and name of a table as people write it; without a schema, `public`. Raises ValueError."""
    names = _parts(text)
    if len(names) not in {1, 2}:
        message = f"{text!r} is no name like schema.table"
        raise ValueError(message)
    return ("public", names[0]) if len(names) == 1 else (names[0], names[1])


def parse_column(text: str) -> tuple[str, str]:
    """Table and column, both as SQL, of `table.column` or `schema.table.column`. Raises ValueError."""
    names = _parts(text)
    if len(names) not in {2, 3}:
        message = f"{text!r} is no name like table.column"
        raise ValueError(message)
    *table, column = names
    return qualified(*(table if table[1:] else ["public", *table])), quoted(column)


def _parts(text: str) -> list[str]:
    """The parts of a dotted name, without their quotes; empty when it is none."""
    if not _DOTTED.fullmatch(text):
        return []
    return [inner.replace('""', '"') if inner else plain for inner, plain in _PART.findall(text)]
