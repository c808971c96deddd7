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

    `root` is the page at which its tree begins. `rowid_is_value`: one column is another name for the rowid, so
    that the rowid is content and not just a place.
    """

    name: str
    columns: tuple[str, ...]
    root: int
    rowid_is_value: bool


def quoted(name: str) -> str:
    """`name` as an SQL identifier, whatever characters it has."""
    return '"' + name.replace('"', '""') + '"'


def is_utf8(*names: str) -> bool:
    """Return whether statements can name all of these: SQLite stores names that are not UTF-8, and takes none."""
    return not any("\ud800" <= letter <= "\udfff" for name in names for letter in name)


def list_tables(connection: sqlite3.Connection) -> list[Table]:
    """All tables that hold rows, by name: ordinary ones, the hidden ones of virtual tables, SQLite's own.

    Virtual tables themselves hold none: what they show lies in the tables behind them.
    """
    found = connection.execute(
        "SELECT name, rootpage FROM sqlite_schema WHERE type = 'table' AND rootpage > 0 ORDER BY name"
    )
    return [_table(connection, name, root) for name, root in found.fetchall()]


def _table(connection: sqlite3.Connection, name: str, root: int) -> Table:
    if not is_utf8(name):
        return Table(name, (), root, rowid_is_value=False)
    rows = connection.execute("SELECT name, type, pk, hidden FROM pragma_table_xinfo(?)", (name,)).fetchall()
    # hidden: 0 an ordinary column, 3 a generated one that is stored; 2 is computed when it is read and may
    # need functions that only the application has (https://www.sqlite.org/pragma.html#pragma_table_xinfo).
    columns = tuple(column for column, _, _, hidden in rows if hidden in {0, 3})
    keys = [declared.upper() for _, declared, pk, _ in rows if pk]
    # A primary key that is not the rowid itself needs an index of its own, or is the table (WITHOUT ROWID).
    indexed = connection.execute("SELECT 1 FROM pragma_index_list(?) WHERE origin = 'pk'", (name,)).fetchone()
    return Table(name, columns, root, rowid_is_value=keys == ["INTEGER"] and indexed is None)


def rowid_word(columns: tuple[str, ...]) -> str | None:
    """The word that means the rowid in a table with these columns, None when all three words are columns."""
    taken = {column.lower() for column in columns}
    return next((word for word in ("rowid", "_rowid_", "oid") if word not in taken), None)


def is_wal(header: bytes) -> bool:
    """Return whether a database with this header is in WAL mode."""
    return header[18] == _WAL_FORMAT


def header_facts(connection: sqlite3.Connection, header: bytes) -> dict[str, str | int]:
    """The facts about a database that a faithful copy shares with it; `header` is its first 100 bytes."""
    schema = connection.execute(
        "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name, tbl_name"
    ).fetchall()
    facts: dict[str, str | int] = {
        pragma: connection.execute(f"PRAGMA {pragma}").fetchone()[0]
        for pragma in ("user_version", "application_id", "page_size", "auto_vacuum", "encoding")
    }
    facts["journal_mode"] = "wal" if is_wal(header) else "rollback"
    facts["schema"] = hashlib.sha256(json.dumps(schema).encode()).hexdigest()
    facts["objects"] = len(schema)
    return facts
