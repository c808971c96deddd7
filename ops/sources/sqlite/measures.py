"""Row counts and content digests of every table of a database that nobody writes.

Reading rows is Python's work here and holds the interpreter lock, so large databases are measured in worker
processes, a range of rowids each: the digest adds up from any partition.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ops.digest import ALGORITHM, add_sums, sum_rows, table_digest
from ops.model import Measures, TableMeasure
from ops.proc import run_in_workers, worker_count
from ops.sources.sqlite.connection import connect_still, require_database_file, translated_errors
from ops.sources.sqlite.schema import Table, header_facts, list_tables, quoted, rowid_word

_WORKERS_FROM_BYTES: Final = 48 << 20
"""Below this size two worker processes take longer to start than they save."""
_BATCH: Final = 500


@dataclass(frozen=True, slots=True)
class RowRange:
    """A part of a table: all rows, or those whose rowid is in `rowids` (both ends included)."""

    path: Path
    table: str
    columns: tuple[str, ...]
    rowids: tuple[int, int] | None


def measure_database(path: Path, *, digests: bool) -> Measures:
    """What the database at `path` holds; with `digests` also a content digest of each table.

    Raises SourceError when it can not be read.
    """
    header = require_database_file(path)
    with translated_errors(path, "measuring"), contextlib.closing(connect_still(path)) as connection:
        tables = list_tables(connection)
        facts = header_facts(connection, header)
        if not digests:
            return _result({table.name: _counted(connection, table) for table in tables}, facts, None)
    return _result(_digested(path, tables), facts, ALGORITHM)


def _result(tables: dict[str, TableMeasure], facts: dict[str, str | int], algorithm: str | None) -> Measures:
    engine = {"sqlite": sqlite3.sqlite_version}
    return Measures(tables=tables, facts=facts, engine=engine, digest_algorithm=algorithm)


def _counted(connection: sqlite3.Connection, table: Table) -> TableMeasure:
    (rows,) = connection.execute(f"SELECT count(*) FROM {quoted(table.name)}").fetchone()
    return TableMeasure(rows)


def _digested(path: Path, tables: list[Table]) -> dict[str, TableMeasure]:
    large = path.stat().st_size >= _WORKERS_FROM_BYTES
    ranges = [
        part for table in tables for part in split_table(path, table, 4 * worker_count() if large else 1)
    ]
    sums = run_in_workers(sum_range, ranges) if large else [sum_range(part) for part in ranges]
    by_table: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for part, counted in zip(ranges, sums, strict=True):
        by_table[part.table].append(counted)
    return {table.name: _table_measure(table, by_table[table.name]) for table in tables}


def _table_measure(table: Table, parts: list[tuple[int, int]]) -> TableMeasure:
    rows = sum(count for count, _ in parts)
    return TableMeasure(rows, table_digest(table.columns, rows, add_sums(total for _, total in parts)))


def split_table(path: Path, table: Table, parts: int) -> list[RowRange]:
    """The table in up to `parts` ranges of rowids that together are all of it."""
    if table.rowids is None:
        return [RowRange(path, table.name, table.columns, None)]
    low, high = table.rowids
    step = max(1, (high - low) // parts + 1)
    starts = range(low, high + 1, step)
    return [RowRange(path, table.name, table.columns, (at, min(at + step - 1, high))) for at in starts]


def sum_range(part: RowRange) -> tuple[int, int]:
    """Row count and row sum (see `ops.digest`) of one part of a table."""
    with translated_errors(part.path, f"reading table {part.table!r}"):
        with contextlib.closing(connect_still(part.path)) as connection:
            try:
                return sum_selected(connection, part)
            except sqlite3.OperationalError as error:
                if "decode" not in str(error).lower():
                    raise
        with contextlib.closing(connect_still(part.path)) as connection:
            # Text that is not UTF-8: SQLite stores it as it came, and so must the digest see it.
            connection.text_factory = _decode_any
            return sum_selected(connection, part)


def _decode_any(text: bytes) -> str:
    return text.decode("utf-8", "surrogateescape")


def sum_selected(connection: sqlite3.Connection, part: RowRange) -> tuple[int, int]:
    """Row count and row sum of one part of a table, over a connection of the caller's."""
    columns = ", ".join(map(quoted, part.columns))
    where = "" if part.rowids is None else f" WHERE {rowid_word(part.columns)} BETWEEN ? AND ?"
    # NOT INDEXED: a covering index may be damaged while the table is not, or the other way round.
    cursor = connection.execute(
        f"SELECT {columns} FROM {quoted(part.table)} NOT INDEXED{where}", part.rowids or ()
    )
    count = total = 0
    while rows := cursor.fetchmany(_BATCH):
        count += len(rows)
        total += sum_rows(rows)
    return count, total
