"""Builds the demo's two SQLite databases from their text sources.

The bytes depend on the text sources and the SQLite library alone: no clock, no randomness, no locale, no time
zone. Each file is built under a temporary name and replaces the old one in a step.
"""

from __future__ import annotations

import csv
import hashlib
import sqlite3
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from ops.errors import RefusedError
from ops.fsio.atomic import replace_durably, staged_file, translated_write_errors
from ops.fsio.durable import fsync_descriptor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

RETURN_TYPE: Final = "daily"
_SIDE_FILES: Final = ("-wal", "-shm", "-journal")
_BUSY: Final = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_REALS: Final = {"open", "high", "low", "close"}
_INTEGERS: Final = {
    "volume",
    "rows",
    "size_bytes",
    "archived",
    "rows_fetched",
    "duration_ms",
    "attempt",
    "retry_after",
}

Value = str | float | int | None
"""What a field of the text sources becomes; None is NULL."""

Record = dict[str, Value]
"""One row by column name."""


def raw_checksum(price: Mapping[str, Value]) -> str:
    """The SHA-256 that a price row carries: over its other columns but the last, as Python writes them.

    `ticker|date|open|high|low|close|volume|source`, with `None` for NULL.
    """
    columns = ("ticker", "date", "open", "high", "low", "close", "volume", "source")
    text = "|".join(str(price[column]) for column in columns)
    return hashlib.sha256(text.encode()).hexdigest()


def daily_returns(prices: Iterable[Record]) -> Iterator[Record]:
    """The daily returns of price rows that are sorted by ticker and date.

    Rows without a close are passed over. For each two neighbours of one ticker that remain, the later day gets
    `close / former close - 1` in double precision, unrounded; it is dated as fetched with the later price.
    """
    closed = [price for price in prices if isinstance(price["close"], float)]
    for before, price in pairwise(closed):
        former, close = before["close"], price["close"]
        if before["ticker"] == price["ticker"] and isinstance(former, float) and isinstance(close, float):
            yield {
                "ticker": price["ticker"],
                "date": price["date"],
                "return_value": close / former - 1,
                "return_type": RETURN_TYPE,
                "created_at": price["fetched_at"],
            }


def require_unused(path: Path) -> None:
    """Return when nobody works with the database at `path`; its own journal is played back and gone then.

    In WAL mode every open connection counts, in rollback mode one with a transaction. A database that is
    damaged passes, since it is about to be replaced.
    """
    if not path.exists():
        return
    try:
        with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as connection:
            # Leaving WAL mode needs the file for itself: https://www.sqlite.org/wal.html#persistence_of_wal_mode
            connection.execute("PRAGMA journal_mode = DELETE")
            connection.execute("BEGIN EXCLUSIVE")
            connection.execute("ROLLBACK")
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in _BUSY:
            message = f"another process has {path} open"
            hint = "end the program that works with it (the demo's writer, perhaps) and build again"
            raise RefusedError(message, code="refused.target_in_use", hint=hint) from error


def build_database(
    path: Path, fixtures: Path, fill: Callable[[sqlite3.Connection, Path], None]
) -> Mapping[str, int]:
    """Build one database and put it in place; the rows of each of its tables."""
    with staged_file(path.parent, path.name) as staged:
        _remove_side_files(staged.path)
        with closing(sqlite3.connect(staged.path, isolation_level=None)) as connection:
            # No journal and no waiting for the disk: the file is thrown away when anything goes wrong.
            connection.execute("PRAGMA journal_mode = OFF")
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute("PRAGMA foreign_keys = ON")
            fill(connection, fixtures)
            rows = _count_rows(connection)
        fsync_descriptor(staged.descriptor)
        # A journal of the former file must not be played back into the new one.
        _remove_side_files(path)
        replace_durably(staged.path, path)
    return rows


def _remove_side_files(path: Path) -> None:
    with translated_write_errors(path):
        for suffix in _SIDE_FILES:
            path.with_name(path.name + suffix).unlink(missing_ok=True)


def fill_prices(connection: sqlite3.Connection, fixtures: Path) -> None:
    """Fill an empty database with the demo's prices, returns, snapshots and logs."""
    folder = fixtures / "b3"
    connection.execute("PRAGMA page_size = 4096")
    connection.execute("PRAGMA auto_vacuum = NONE")
    connection.executescript((folder / "schema.sql").read_text(encoding="utf-8"))
    prices = [price | {"raw_checksum": raw_checksum(price)} for price in _read_csv(folder / "prices.csv")]
    connection.execute("BEGIN")
    _insert(connection, "prices", prices)
    _insert(connection, "returns", daily_returns(prices))
    _insert(connection, "snapshots", _read_csv(folder / "snapshots.csv"))
    _insert(connection, "ingest_logs", _read_csv(folder / "ingest_logs.csv"))
    connection.execute("COMMIT")
    # Last, and kept in the header: from now on every connection writes ahead.
    connection.execute("PRAGMA journal_mode = WAL")


def fill_audit(connection: sqlite3.Connection, fixtures: Path) -> None:
    """Fill an empty database with the demo's audit trail: every storage class, most things of a schema."""
    folder = fixtures / "audit"
    connection.executescript((folder / "audit.sql").read_text(encoding="utf-8"))
    if _has_fts5():
        connection.executescript((folder / "audit-fts5.sql").read_text(encoding="utf-8"))


def _has_fts5() -> bool:
    with closing(sqlite3.connect(":memory:")) as connection:
        try:
            connection.execute("CREATE VIRTUAL TABLE probe USING fts5 (x)")
        except sqlite3.OperationalError:
            return False
    return True


def _read_csv(path: Path) -> Iterator[Record]:
    """The rows of a CSV file with the types of the schema; an empty field is NULL."""
    with path.open(encoding="utf-8", newline="") as stream:
        for line in csv.DictReader(stream):
            yield {column: _value(column, text) for column, text in line.items()}


def _value(column: str, text: str) -> Value:
    if text == "":
        return None
    if column in _REALS:
        return float(text)
    return int(text) if column in _INTEGERS else text


def _insert(connection: sqlite3.Connection, table: str, records: Iterable[Record]) -> None:
    for record in records:
        places = ", ".join(f":{column}" for column in record)
        # Table and columns are named by our own text sources; values are bound.
        statement = f"INSERT INTO {table} ({', '.join(record)}) VALUES ({places})"  # noqa: S608 - our own names
        connection.execute(statement, record)


def _count_rows(connection: sqlite3.Connection) -> Mapping[str, int]:
    """Rows by table, virtual tables included, without the tables that SQLite keeps for itself."""
    tables = "SELECT name, sql FROM sqlite_schema WHERE type = 'table' ORDER BY name"
    schema = dict(connection.execute(tables))
    virtual = tuple(f"{name}_" for name, sql in schema.items() if sql.startswith("CREATE VIRTUAL TABLE"))
    names = [name for name in schema if not name.startswith(("sqlite_", *virtual))]
    # Table names come from the schema of the file that was built a moment ago.
    counts = {name: connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in names}  # noqa: S608 - our own names
    return MappingProxyType(counts)
