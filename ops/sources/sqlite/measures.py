"""Row counts of every table of a database that nobody writes, and the facts that a faithful copy shares with it.

What the rows hold is not measured: the payload is the database byte for byte, so its SHA-256 says more than any digest that
is computed from the same bytes (docs/adr/0034).
"""

from __future__ import annotations

import contextlib
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ops.model.findings import Finding, Severity
from ops.model.manifest import Measures, TableMeasure
from ops.proc import worker_count
from ops.sources.sqlite.connection import (
    Extensions,
    connect_still,
    primary_code,
    require_database_file,
    translated_errors,
)
from ops.sources.sqlite.schema import header_facts, is_utf8, list_tables, quoted

_WITH_INDEXES: Final = "SELECT count(*) FROM {}"
_WITHOUT: Final = "SELECT count(*) FROM {} NOT INDEXED"


@dataclass(frozen=True, slots=True)
class Countable:
    """How the tables of a database can be counted here: `ways` by name, and why the others cannot be."""

    ways: dict[str, str]
    refused: dict[str, str]


def measure_database(path: Path, extensions: Extensions = ()) -> Measures:
    """Return row counts, header facts and schema of the database at `path`, without the tables that cannot be counted here.

    Raises SourceError when it cannot be read.
    """
    header = require_database_file(path)
    with (
        translated_errors(path, "measuring"),
        contextlib.closing(connect_still(path, extensions)) as connection,
    ):
        facts = header_facts(connection, header)
    with ThreadPoolExecutor(worker_count()) as pool:
        # SQLite counts with the interpreter lock released: threads are enough.
        ways = countable_tables(path, extensions).ways
        counts = pool.map(lambda item: _count(path, extensions, *item), ways.items())
        tables = {name: TableMeasure(rows) for name, rows in zip(ways, counts, strict=True)}
    return Measures(tables=tables, facts=facts, engine={"sqlite": sqlite3.sqlite_version})


def countable_tables(path: Path, extensions: Extensions = ()) -> Countable:
    """Return how each table can be counted: through its smallest index, or without one that needs what is not installed.

    Statements are compiled and not run: that is where SQLite looks for a collation. Raises SourceError.
    """
    ways, refused = dict[str, str](), dict[str, str]()
    with (
        translated_errors(path, "measuring"),
        contextlib.closing(connect_still(path, extensions)) as connection,
    ):
        for table in list_tables(connection):
            statement = _WITH_INDEXES.format(quoted(table.name))
            if why := _why_not(connection, statement):
                statement = _WITHOUT.format(quoted(table.name))
            if why and _why_not(connection, statement):
                refused[table.name] = why
            else:
                ways[table.name] = statement
    return Countable(ways, refused)


def _why_not(connection: sqlite3.Connection, statement: str) -> str:
    """What is missing here for a statement; empty when it can be run."""
    if not is_utf8(statement):
        return "its name is not UTF-8"
    try:
        connection.execute(f"EXPLAIN {statement}").fetchall()
    except sqlite3.OperationalError as error:
        # Without an index SQLite says of a table that is one only that there is no way.
        if primary_code(error) != sqlite3.SQLITE_ERROR:
            raise
        return str(error)
    return ""


def not_counted(table: str, why: str) -> Finding:
    """Return the warning that the rows of a table could not be counted."""
    shown = table.encode(errors="backslashreplace").decode()
    message = f"rows of table {shown} were not counted: {why}"
    return Finding(severity=Severity.WARNING, code="sqlite.not_counted", message=message, where=shown)


def _count(path: Path, extensions: Extensions, name: str, statement: str) -> int:
    with (
        translated_errors(path, f"counting {name!r}"),
        contextlib.closing(connect_still(path, extensions)) as connection,
    ):
        (rows,) = connection.execute(statement).fetchone()
    return int(rows)
