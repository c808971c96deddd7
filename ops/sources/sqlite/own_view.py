"""What SQLite itself sees in the snapshot that is copied, and whether the copy holds the same.

The raw copy trusts what was read of the log's index. A copy that missed a frame, or took one of another state, is a
sound database with other rows: no check of the copy alone can tell.
"""

from __future__ import annotations

import contextlib
import random
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ops.errors import SourceError
from ops.sources.sqlite.connection import Extensions, connect_still, primary_code, translated_errors
from ops.sources.sqlite.schema import is_utf8, list_tables, quoted, rowid_word

_TABLES: Final = 16
_ROWS_IN_BETWEEN: Final = 4
_LARGEST_ROW: Final = 1 << 20
_FACTS: Final = ("page_count", "page_size", "schema_version", "freelist_count", "user_version", "encoding")


@dataclass(frozen=True, slots=True)
class Sample:
    """One statement about a table, and what it answered."""

    table: str
    statement: str
    parameters: tuple[int, ...]
    rows: tuple[tuple[object, ...], ...]


@dataclass(frozen=True, slots=True)
class OwnView:
    """Facts of a snapshot, its schema row by row, and some rows of some tables."""

    facts: tuple[object, ...]
    schema: tuple[tuple[object, ...], ...]
    samples: tuple[Sample, ...]


def own_view(connection: sqlite3.Connection, chance: random.Random) -> OwnView:
    """Return what SQLite sees in the transaction of `connection`: pages, schema, and rows of at most 16 tables.

    Of each table the first row, the last, and some in between: a few pages each. Raises sqlite3.Error.
    """
    tables = [table for table in list_tables(connection) if is_utf8(table.name, *table.columns)]
    chosen = chance.sample(tables, min(_TABLES, len(tables)))
    samples = [
        sample for table in chosen for sample in _samples(connection, table.name, table.columns, chance)
    ]
    return OwnView(_facts(connection), _schema(connection), tuple(samples))


def require_seen(copy: Path, view: OwnView, extensions: Extensions = ()) -> None:
    """Return when the database file at `copy` holds what was seen; raises SourceError (`source.torn`) when it does not."""
    with (
        translated_errors(copy, "reading"),
        contextlib.closing(connect_still(copy, extensions)) as connection,
    ):
        try:
            differs = _difference(connection, view)
        except sqlite3.DatabaseError as error:
            if not _is_damage(error):
                raise
            differs = str(error)
    if differs:
        message = f"the copy is not what SQLite sees in the snapshot ({differs}); it was thrown away"
        hint = "run it again; if it stays so, something other than SQLite writes this file: find out what"
        raise SourceError(message, code="source.torn", hint=hint)


def _difference(connection: sqlite3.Connection, view: OwnView) -> str:
    found = _facts(connection)
    if found != view.facts:
        pairs = zip(_FACTS, view.facts, found, strict=True)
        return ", ".join(f"{name} {there}, not {seen}" for name, seen, there in pairs if seen != there)
    if _schema(connection) != view.schema:
        return "the schema"
    wrong = (
        f"rows of table {sample.table!r}"
        for sample in view.samples
        if _answer(connection, sample.statement, sample.parameters) != sample.rows
    )
    return next(wrong, "")


def _facts(connection: sqlite3.Connection) -> tuple[object, ...]:
    return tuple(connection.execute(f"PRAGMA {name}").fetchone()[0] for name in _FACTS)


def _schema(connection: sqlite3.Connection) -> tuple[tuple[object, ...], ...]:
    return tuple(connection.execute("SELECT type, name, tbl_name, rootpage, sql FROM sqlite_schema"))


def _answer(
    connection: sqlite3.Connection, statement: str, parameters: tuple[int, ...]
) -> tuple[tuple[object, ...], ...]:
    return tuple(connection.execute(statement, parameters))


def _samples(
    connection: sqlite3.Connection, name: str, columns: tuple[str, ...], chance: random.Random
) -> Iterator[Sample]:
    listed = ", ".join(map(quoted, columns))
    table, word = f"{quoted(name)} NOT INDEXED", rowid_word(columns)
    try:
        if word is None or not _has_rowid(connection, name):
            statement = f"SELECT {listed} FROM {table} LIMIT 1"
            yield Sample(name, statement, (), _answer(connection, statement, ()))
            return
        low = connection.execute(f"SELECT {word} FROM {table} ORDER BY {word} LIMIT 1").fetchone()
        high = connection.execute(f"SELECT {word} FROM {table} ORDER BY {word} DESC LIMIT 1").fetchone()
        if low is None:
            return
        near = f"(SELECT {word} FROM {table} WHERE {word} >= ? ORDER BY {word} LIMIT 1)"
        size = " + ".join(f"ifnull(length({quoted(one)}), 0)" for one in columns)
        statement = f"SELECT {listed} FROM {table} WHERE {word} = {near} AND {size} <= {_LARGEST_ROW}"
        for rowid in (low[0], high[0], *(chance.randint(low[0], high[0]) for _ in range(_ROWS_IN_BETWEEN))):
            yield Sample(name, statement, (rowid,), _answer(connection, statement, (rowid,)))
    except sqlite3.DatabaseError as error:
        # What is damaged, or cannot even be compiled without what only the application has, is not sampled.
        if not (_is_damage(error) or primary_code(error) == sqlite3.SQLITE_ERROR):
            raise


def _is_damage(error: sqlite3.Error) -> bool:
    return primary_code(error) == sqlite3.SQLITE_CORRUPT


def _has_rowid(connection: sqlite3.Connection, name: str) -> bool:
    (without,) = connection.execute(
        "SELECT wr FROM pragma_table_list(?) WHERE schema = 'main'", (name,)
    ).fetchone()
    return not without
