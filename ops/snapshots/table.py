"""The rows of a table in an order that depends on nothing but the rows, from one read transaction.

Rows are sorted by the declared columns, then by all others, then by their storage classes: what is still equal then
is written alike. Text is compared by its UTF-8 bytes, whatever collation a column has
(https://www.sqlite.org/datatype3.html#sort_order); in a UTF-16 database SQLite's own BINARY would compare UTF-16.

The source is opened read-only. In WAL mode readers never make a writer wait
(https://www.sqlite.org/wal.html#concurrency). In the other modes a writer cannot commit while somebody reads, so the
rows are first copied into a temporary table, at SQLite's speed, and the source is let go before the first is written.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from ops.driverkit.row_digest import Row
from ops.errors import OpsError, SnapshotError, SpaceError
from ops.snapshots.definition import Definition, key_values
from ops.sources.sqlite.connection import translate
from ops.sources.sqlite.read_live import reading
from ops.sources.sqlite.schema import quoted

BATCH: Final = 1000
_BINARY: Final = "BINARY"
_BY_CODE_POINT: Final = "drillbook_code_point"
_CACHE_KIB: Final = 32768
_NOT_UTF8: Final = "Could not decode to UTF-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """A database that is read: its file, and how long to wait for a lock in seconds."""

    path: Path
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Selected:
    """Columns and rows that were asked for; `rows()` begins anew each time it is called."""

    columns: tuple[str, ...]
    rows: Callable[[], Iterator[Sequence[Row]]]


@contextlib.contextmanager
def selected_rows(live: Live, definition: Definition, ticker: str | None) -> Iterator[Selected]:
    """The rows of one moment, in batches; see `Selected`.

    Raises SourceError as a backup would, SnapshotError when the table, a column or the ticker is not there,
    SpaceError when there is no room for sorting.
    """
    path = Path(os.path.realpath(live.path))
    with reading(path, timeout_s=live.timeout_s) as connection, _translated(path):
        yield _select(connection, definition, ticker)


@contextlib.contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise sqlite_failure(error, path, "reading") from error


def sqlite_failure(error: sqlite3.Error, path: Path, step: str) -> OpsError:
    """What `error` means for the operator; a full disk is one of SQLite's temporary files."""
    if (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF == sqlite3.SQLITE_FULL:
        hint = "SQLite sorts in /var/tmp or where SQLITE_TMPDIR says; free some space there"
        return SpaceError(f"no room to sort the rows of {path}", code="space.disk_full", hint=hint)
    return translate(error, path, step)


def _select(connection: sqlite3.Connection, definition: Definition, ticker: str | None) -> Selected:
    connection.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
    connection.execute("PRAGMA temp_store=FILE")
    connection.create_collation(_BY_CODE_POINT, lambda one, other: (one > other) - (one < other))
    connection.execute("BEGIN")
    columns, order = _columns(connection, definition)
    condition, parameters = _condition(connection, definition, ticker)
    statement = _statement(definition.table, columns, order, condition, _collation(connection))
    (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    if mode != "wal":
        connection.execute(f"CREATE TEMP TABLE drillbook_rows AS {statement}", parameters)
        connection.execute("COMMIT")
        names = ", ".join(f"c{number}" for number in range(len(columns)))
        # Names are made here; the rows lie in the order in which they were sorted.
        statement, parameters = f"SELECT {names} FROM temp.drillbook_rows ORDER BY rowid", ()  # noqa: S608
    return Selected(columns, lambda: _batches(connection, statement, parameters))


def _columns(
    connection: sqlite3.Connection, definition: Definition
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The columns to export, and those to sort by first.

    Hidden columns of virtual tables are none (https://www.sqlite.org/vtab.html#hidden_columns_in_virtual_tables).
    """
    found = connection.execute(
        "SELECT name, pk FROM pragma_table_xinfo(?) WHERE hidden <> 1", (definition.table,)
    ).fetchall()
    there = sorted(name for name, _ in found)
    if not there:
        known = connection.execute(
            "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') ORDER BY 1"
        )
        hint = f"there are: {', '.join(name for (name,) in known) or 'none'}"
        message = f"the source has no table {definition.table!r}"
        raise SnapshotError(message, code="snapshot.table_missing", hint=hint)
    wanted = (*definition.columns, *definition.order, *filter(None, [definition.key]))
    missing = [column for column in dict.fromkeys(wanted) if column not in there]
    if missing:
        message = f"table {definition.table!r} has no column {', '.join(map(repr, missing))}"
        raise SnapshotError(message, code="snapshot.table_missing", hint=f"it has: {', '.join(there)}")
    primary_key = tuple(name for _, name in sorted((pk, name) for name, pk in found if pk))
    return definition.columns or tuple(there), definition.order or primary_key


def _condition(
    connection: sqlite3.Connection, definition: Definition, ticker: str | None
) -> tuple[str, tuple[str, ...]]:
    """The WHERE clause with its parameters, for the first of the values that may be meant and has rows."""
    if ticker is None:
        return "", ()
    table, key = quoted(definition.table), quoted(str(definition.key))
    condition = f" WHERE {key} COLLATE {_BINARY} = ?"
    for value in key_values(definition, ticker):
        if connection.execute(f"SELECT 1 FROM {table}{condition} LIMIT 1", (value,)).fetchone():  # noqa: S608
            return condition, (value,)
    near = connection.execute(
        f"SELECT DISTINCT {key} FROM {table} WHERE {key} LIKE ? ORDER BY 1 LIMIT 5",  # noqa: S608 - quoted names
        (f"{key_values(definition, ticker)[0][:2]}%",),
    ).fetchall()
    hint = f"did you mean {' or '.join(str(name) for (name,) in near)}?" if near else ""
    message = f"table {definition.table!r} has no rows with {definition.key} = {ticker!r}"
    raise SnapshotError(message, code="snapshot.no_rows", hint=hint)


def _collation(connection: sqlite3.Connection) -> str:
    (encoding,) = connection.execute("PRAGMA encoding").fetchone()
    return _BINARY if encoding == "UTF-8" else _BY_CODE_POINT


def _statement(
    table: str, columns: tuple[str, ...], order: tuple[str, ...], condition: str, collation: str
) -> str:
    by_value = [quoted(name) for name in dict.fromkeys((*order, *columns))]
    terms = [f"{name} COLLATE {collation}" for name in by_value] + [f"typeof({name})" for name in by_value]
    # Unary plus takes the column's type away, so that a temporary table keeps each value as it is.
    fields = ", ".join(f"+{quoted(name)} AS c{number}" for number, name in enumerate(columns))
    return f"SELECT {fields} FROM {quoted(table)}{condition} ORDER BY {', '.join(terms)}"  # noqa: S608 - quoted


def _batches(
    connection: sqlite3.Connection, statement: str, parameters: tuple[str, ...]
) -> Iterator[Sequence[Row]]:
    done = 0
    try:
        for batch in _fetched(connection.execute(statement, parameters)):
            yield batch
            done += len(batch)
    except sqlite3.OperationalError as error:
        if _NOT_UTF8 not in str(error):
            raise
        # Decoding here instead is several times as slow, so it is done only where it must be. The order is total and
        # the transaction the same: the rows that were handed out already come first again.
        connection.text_factory = lambda text: text.decode("utf-8", "surrogateescape")
        cursor = connection.execute(statement, parameters)
        for _ in islice(cursor, done):
            pass
        yield from _fetched(cursor)


def _fetched(cursor: sqlite3.Cursor) -> Iterator[Sequence[Row]]:
    while batch := cursor.fetchmany(BATCH):
        yield batch
