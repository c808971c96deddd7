"""Snapshots in a temporary database: rows that go in, and what can be asked of them there."""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ops.driverkit.row_digest import Row, add_sums, sum_rows
from ops.snapshots.create import parts_of
from ops.snapshots.csv_read import CsvFile
from ops.snapshots.csv_write import CsvEncoder
from ops.snapshots.definition import Definition
from ops.snapshots.table import Live, selected_rows
from ops.sources.sqlite.schema import quoted

TABLE: Final = "snapshot"


@dataclass(frozen=True, slots=True)
class Loaded:
    """What came out of the file: columns, rows, the sum of the rows' hashes, and the digest in our own form."""

    columns: tuple[str, ...]
    rows: int
    total: int
    sha256: str


def fill_database(database: Path, file: CsvFile, definition: Definition) -> Loaded:
    """Put the file's rows into a table whose columns have no types, so that every value stays what it is."""
    columns = (
        definition.columns if set(definition.columns) == set(file.columns) else tuple(sorted(file.columns))
    )
    places = [file.columns.index(name) for name in columns]
    encoder = CsvEncoder(columns)
    digest, count, sums = hashlib.sha256(encoder.begin()), 0, []
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute(f"CREATE TABLE {TABLE} ({', '.join(map(quoted, columns))})")
        connection.execute("BEGIN")
        for batch in file.rows:
            rows = [tuple(row[place] for place in places) for row in batch]
            _insert(connection, rows, len(columns))
            digest.update(encoder.encode(rows))
            sums.append(sum_rows(rows))
            count += len(rows)
        connection.execute("COMMIT")
    return Loaded(columns, count, add_sums(sums), digest.hexdigest())


def _insert(connection: sqlite3.Connection, rows: Sequence[Row], width: int) -> None:
    connection.execute("SAVEPOINT batch")
    try:
        connection.executemany(_statement("?" for _ in range(width)), rows)
    except UnicodeEncodeError:
        # A text that is not UTF-8 can only be handed over as bytes, and made a text by SQLite. What the failed call has
        # inserted before is taken back first.
        connection.execute("ROLLBACK TO batch")
        for row in rows:
            values = [
                value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value for value in row
            ]
            marks = ("CAST(? AS TEXT)" if isinstance(value, str) else "?" for value in row)
            connection.execute(_statement(marks), values)
    connection.execute("RELEASE batch")


def _statement(marks: Iterable[str]) -> str:
    return f"INSERT INTO {TABLE} VALUES ({', '.join(marks)})"  # noqa: S608 - a fixed name and marks


def read_back(database: Path, columns: tuple[str, ...]) -> tuple[int, int]:
    """Rows, and the sum of their hashes, as the database has them."""
    count, sums = 0, []
    everything = Definition(name=TABLE, table=TABLE, columns=columns)
    with selected_rows(Live(path=database, timeout_s=0), everything, None) as selected:
        for batch in selected.rows():
            count += len(batch)
            sums.append(sum_rows(batch))
    return count, add_sums(sums)


def sorted_digest(definition: Definition, loaded: Loaded, database: Path) -> str:
    """The digest of the rows in our own form, sorted as a create sorts them."""
    order = definition.order if set(definition.order) <= set(loaded.columns) else ()
    again = Definition(name=TABLE, table=TABLE, columns=loaded.columns, order=order)
    digest = hashlib.sha256()
    with selected_rows(Live(path=database, timeout_s=0), again, None) as selected:
        for _, part in parts_of(CsvEncoder(selected.columns), selected):
            digest.update(part)
    return digest.hexdigest()
