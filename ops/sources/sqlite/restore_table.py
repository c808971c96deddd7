"""Replacing one table of a live database by the one in a backup, in one transaction."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ops.driverkit.row_digest import add_sums, sum_rows, table_digest
from ops.errors import BackupError, RefusedError
from ops.model.findings import Finding, Severity
from ops.sources.sqlite.connection import (
    Extensions,
    connect_live,
    connect_still,
    decode_any,
    file_uri,
    translated_errors,
)
from ops.sources.sqlite.read_live import reading
from ops.sources.sqlite.schema import list_tables, quoted, rowid_word
from ops.sources.sqlite.text_indexes import rebuild_text_indexes

_BATCH: Final = 500


def replace_table(
    backup: Path, target: Path, name: str, *, timeout_s: float, extensions: Extensions = ()
) -> list[Finding]:
    """Make table `name` of the database `target` what it is in `backup`: definition, rows, indexes, triggers.

    One transaction: other connections see the old table or the new one. Before it commits, the new rows are
    compared with the backup's by digest; full-text indexes that take their text from the table are built anew; references
    that break only through this are reported as warnings. Raises what `replaceable` raises.
    """
    name = replaceable(backup, name)
    with translated_errors(target, f"replacing table {name!r}"):
        connection = connect_live(target, timeout_s=timeout_s, writable=True, extensions=extensions)
        with contextlib.closing(connection):
            connection.execute("ATTACH ? AS backup", (file_uri(backup, mode="ro", immutable="1"),))
            connection.execute("PRAGMA foreign_keys=OFF")
            connection.execute("BEGIN IMMEDIATE")
            before = _broken_references(connection)
            _rebuild(connection, name)
            _require_equal(connection, backup, name)
            indexed = rebuild_text_indexes(connection, name)
            broken = _broken_references(connection) - before
            connection.execute("COMMIT")
    return [
        Finding(
            severity=Severity.OK, code="restore.table_replaced", message=f"table {name} is as in the backup"
        ),
        *indexed,
        *(
            Finding(
                severity=Severity.WARNING,
                code="sqlite.foreign_key",
                message=f"{table} has rows that refer to rows of {parent} that are not there now",
                where=table,
            )
            for table, parent in sorted(broken)
        ),
    ]


def has_tables(path: Path, names: Sequence[str], *, timeout_s: float) -> bool:
    """Return whether the database at `path` has all of these tables, whatever the case of their letters."""
    with reading(path, timeout_s=timeout_s) as connection:
        rows = connection.execute("SELECT lower(name) FROM sqlite_schema WHERE type = 'table'").fetchall()
    return {name.lower() for name in names} <= {name for (name,) in rows}


def _broken_references(connection: sqlite3.Connection) -> set[tuple[str, str]]:
    return {(row[0], row[2]) for row in connection.execute("PRAGMA main.foreign_key_check")}


def replaceable(backup: Path, name: str) -> str:
    """Return the table of the backup that `name` means, as it is written there; SQLite's names have no case.

    Raises BackupError when there is none, RefusedError for a table that is not restored alone: a virtual one, one that
    belongs to a virtual one, and SQLite's own.
    """
    with (
        translated_errors(backup, "reading the schema"),
        contextlib.closing(connect_still(backup)) as connection,
    ):
        tables = connection.execute(
            "SELECT name, rootpage FROM sqlite_schema WHERE type = 'table' AND name = ? COLLATE NOCASE",
            (name,),
        ).fetchall()
        if not tables:
            message = f"the backup has no table {name!r}"
            raise BackupError(
                message, code="backup.not_found", hint="backup.show lists the tables of a backup"
            )
        ((found, root),) = tables
        (kind,) = connection.execute(
            "SELECT type FROM pragma_table_list(?) WHERE schema = 'main'", (found,)
        ).fetchone()
    why = ""
    if not root:
        why = "is a virtual table: its rows are in other tables"
    elif kind == "shadow":
        why = "belongs to a virtual table, which would be damaged without the other tables of that"
    elif found.lower().startswith("sqlite_"):
        why = "is SQLite's own"
    if why:
        hint = "restore the whole file into another place (--to), and take from there what is needed"
        raise RefusedError(f"{found!r} {why}", code="refused.unsafe_name", hint=hint)
    return str(found)


def _rebuild(connection: sqlite3.Connection, name: str) -> None:
    rows = connection.execute(
        "SELECT type, sql FROM backup.sqlite_schema WHERE tbl_name = ? COLLATE NOCASE AND sql IS NOT NULL",
        (name,),
    ).fetchall()
    connection.execute(f"DROP TABLE IF EXISTS main.{quoted(name)}")
    for kind in ("table", "index", "trigger"):
        if kind == "index":
            # Triggers last: none may fire for rows that are being put back.
            _copy_rows(connection, name)
        for _, sql in (row for row in rows if row[0] == kind):
            # The stored definition names the table without a schema and so lands in "main".
            connection.execute(sql)


def _copy_rows(connection: sqlite3.Connection, name: str) -> None:
    columns = [
        column
        for column, hidden in connection.execute(
            "SELECT name, hidden FROM pragma_table_xinfo(?) WHERE hidden = 0", (name,)
        )
    ]
    (without_rowid,) = connection.execute(
        "SELECT wr FROM pragma_table_list(?) WHERE schema = 'backup'", (name,)
    ).fetchone()
    word = None if without_rowid else rowid_word(tuple(columns))
    listed = ", ".join([*([word] if word else []), *map(quoted, columns)])
    connection.execute(
        f"INSERT INTO main.{quoted(name)} ({listed}) SELECT {listed} FROM backup.{quoted(name)}"
    )
    if all(
        connection.execute(f"SELECT 1 FROM {schema}.sqlite_schema WHERE name = 'sqlite_sequence'").fetchone()
        for schema in ("main", "backup")
    ):
        connection.execute("DELETE FROM main.sqlite_sequence WHERE name = ?", (name,))
        connection.execute(
            "INSERT INTO main.sqlite_sequence SELECT * FROM backup.sqlite_sequence WHERE name = ?", (name,)
        )


def _require_equal(connection: sqlite3.Connection, backup: Path, name: str) -> None:
    with contextlib.closing(connect_live(backup, timeout_s=0)) as original:
        expected = _digest(original, name)
    if _digest(connection, name) != expected:
        message = f"table {name!r} did not arrive as it is in the backup; nothing was changed"
        raise BackupError(message, code="backup.checksum_mismatch")


def _digest(connection: sqlite3.Connection, name: str) -> str:
    """The digest of a table's rows as this connection sees them, committed or not."""
    connection.text_factory = decode_any
    table = next(table for table in list_tables(connection) if table.name == name)
    columns = ", ".join(map(quoted, table.columns))
    # NOT INDEXED: a covering index may be damaged while the table is not, or the other way round.
    cursor = connection.execute(f"SELECT {columns} FROM main.{quoted(name)} NOT INDEXED")
    count = total = 0
    while rows := cursor.fetchmany(_BATCH):
        count += len(rows)
        total += sum_rows(rows)
    return table_digest(table.columns, count, add_sums([total]))
