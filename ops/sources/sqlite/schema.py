"""What a database consists of: its tables, the columns whose values are stored, facts from its header."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from dataclasses import dataclass
from typing import Final

_WAL_FORMAT: Final = 2
"""Bytes 18 and 19 of a header (https://www.sqlite.org/fileformat2.html#file_format_version_numbers)."""


@dataclass(frozen=True, slots=True)
class Table:
    """One table with rows of its own. `columns` are those whose values are stored, in order.

    `rowids` is the smallest and greatest rowid, or None where there is no rowid or no row.
    """

    name: str
    columns: tuple[str, ...]
    rowids: tuple[int, int] | None


def quoted(name: str) -> str:
    """`name` as an SQL identifier, whatever characters it has."""
    return '"' + name.replace('"', '""') + '"'


def list_tables(connection: sqlite3.Connection) -> list[Table]:
    """All tables that hold rows, by name: ordinary ones, the hidden ones of virtual tables, SQLite's own.

    Virtual tables themselves hold none: what they show lies in the tables behind them.
    """
    names = connection.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0 ORDER BY name"
    )
    return [_table(connection, name) for (name,) in names.fetchall()]


def _table(connection: sqlite3.Connection, name: str) -> Table:
    # hidden: 0 an ordinary column, 3 a generated one that is stored; 2 is computed when it is read and may
    # need functions that only the application has (https://www.sqlite.org/pragma.html#pragma_table_xinfo).
    rows = connection.execute("SELECT name, hidden FROM pragma_table_xinfo(?)", (name,)).fetchall()
    columns = tuple(column for column, hidden in rows if hidden in {0, 3})
    rowid = rowid_word(columns) if _has_rowids(connection, name) else None
    if rowid is None:
        return Table(name, columns, None)
    low, high = connection.execute(f"SELECT min({rowid}), max({rowid}) FROM {quoted(name)}").fetchone()
    return Table(name, columns, None if low is None else (low, high))


def _has_rowids(connection: sqlite3.Connection, name: str) -> bool:
    # pragma_table_list is the one place that says "without rowid" outright (SQLite >= 3.37).
    row = connection.execute("SELECT wr FROM pragma_table_list(?) WHERE schema = 'main'", (name,)).fetchone()
    return row is not None and not row[0]


def rowid_word(columns: tuple[str, ...]) -> str | None:
    """The word that means the rowid in a table with these columns, None when all three words are columns."""
    taken = {column.lower() for column in columns}
    return next((word for word in ("rowid", "_rowid_", "oid") if word not in taken), None)


def header_facts(connection: sqlite3.Connection, header: bytes) -> dict[str, str | int]:
    """The facts about a database that a faithful copy shares with it; `header` is its first 100 bytes."""
    schema = connection.execute(
        "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name, tbl_name"
    ).fetchall()
    facts: dict[str, str | int] = {
        pragma: connection.execute(f"PRAGMA {pragma}").fetchone()[0]
        for pragma in ("user_version", "application_id", "page_size", "auto_vacuum", "encoding")
    }
    facts["journal_mode"] = "wal" if header[18] == _WAL_FORMAT else "rollback"
    facts["schema"] = hashlib.sha256(json.dumps(schema).encode()).hexdigest()
    facts["objects"] = len(schema)
    return facts
