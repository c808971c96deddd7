"""Row counts and content digests of every table of a database that nobody writes.

Hashing millions of small records is Python's work and holds the interpreter lock, so large databases are measured
in worker processes, some pages each: the digest adds up from any partition.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ops.driverkit.row_digest import ALGORITHM, add_sums, table_digest
from ops.errors import SourceError
from ops.model.manifest import Measures, TableMeasure
from ops.proc import run_in_workers, worker_count
from ops.sources.sqlite.btree import MalformedPageError, PageFile, page_file, sum_pages, walk_tree
from ops.sources.sqlite.connection import connect_still, require_database_file, translated_errors
from ops.sources.sqlite.schema import Table, header_facts, list_tables, quoted

_WORKERS_FROM_BYTES: Final = 24 << 20
"""Below this size worker processes take longer to start than they save."""
_PARTS_PER_WORKER: Final = 8


@dataclass(frozen=True, slots=True)
class Part:
    """Some of the pages of one table."""

    path: Path
    table: str
    pages: tuple[int, ...]
    is_index: bool
    with_rowid: bool


def measure_database(path: Path, *, digests: bool) -> Measures:
    """What the database at `path` holds; with `digests` also a content digest of each table.

    Raises SourceError when it can not be read, or when what lies on its pages is not what SQLite counts.
    """
    header = require_database_file(path)
    with translated_errors(path, "measuring"), contextlib.closing(connect_still(path)) as connection:
        tables = list_tables(connection)
        facts = header_facts(connection, header)
    counts = _count_tables(path, tables)
    if not digests:
        return _result({name: TableMeasure(rows) for name, rows in counts.items()}, facts, None)
    digested = _digest_tables(path, header, tables)
    for name, measure in digested.items():
        if measure.rows != counts[name]:
            raise _malformed(
                path, f"table {name!r} has {measure.rows} rows on its pages, SQLite counts {counts[name]}"
            )
    return _result(digested, facts, ALGORITHM)


def _result(tables: dict[str, TableMeasure], facts: dict[str, str | int], algorithm: str | None) -> Measures:
    engine = {"sqlite": sqlite3.sqlite_version}
    return Measures(tables=tables, facts=facts, engine=engine, digest_algorithm=algorithm)


def _count_tables(path: Path, tables: list[Table]) -> dict[str, int]:
    """Rows of each table. SQLite counts with the interpreter lock released: threads are enough."""
    with ThreadPoolExecutor(worker_count()) as pool:
        counts = pool.map(lambda table: _count(path, table), tables)
        return {table.name: count for table, count in zip(tables, counts, strict=True)}


def _count(path: Path, table: Table) -> int:
    with (
        translated_errors(path, f"counting {table.name!r}"),
        contextlib.closing(connect_still(path)) as connection,
    ):
        (rows,) = connection.execute(f"SELECT count(*) FROM {quoted(table.name)}").fetchone()
    return int(rows)


def _digest_tables(path: Path, header: bytes, tables: list[Table]) -> dict[str, TableMeasure]:
    large = path.stat().st_size >= _WORKERS_FROM_BYTES
    with _opened(path, header) as file:
        share = file.size // file.page_size // (worker_count() * _PARTS_PER_WORKER) + 1
        parts = [part for table in tables for part in _split(path, file, table, share if large else None)]
    sums = run_in_workers(sum_part, parts) if large else [sum_part(part) for part in parts]
    by_table: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for part, counted in zip(parts, sums, strict=True):
        by_table[part.table].append(counted)
    return {table.name: _table_measure(table, by_table[table.name]) for table in tables}


def _table_measure(table: Table, parts: list[tuple[int, int]]) -> TableMeasure:
    rows = sum(count for count, _ in parts)
    return TableMeasure(rows, table_digest(table.columns, rows, add_sums(total for _, total in parts)))


def _split(path: Path, file: PageFile, table: Table, share: int | None) -> list[Part]:
    """The pages of a table in parts of `share` pages (None: all at once)."""
    tree = walk_tree(file, table.root)
    step = share or len(tree.pages)
    return [
        Part(path, table.name, tree.pages[at : at + step], tree.is_index, table.rowid_is_value)
        for at in range(0, len(tree.pages), step)
    ]


def sum_part(part: Part) -> tuple[int, int]:
    """Row count and sum of row hashes (see `ops.driverkit.row_digest`) of some pages of a table."""
    with _opened(part.path, require_database_file(part.path)) as file:
        return sum_pages(file, part.pages, is_index=part.is_index, with_rowid=part.with_rowid)


@contextlib.contextmanager
def _opened(path: Path, header: bytes) -> Iterator[PageFile]:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield page_file(descriptor, header)
    except MalformedPageError as error:
        raise _malformed(path, str(error)) from error
    finally:
        os.close(descriptor)


def _malformed(path: Path, what: str) -> SourceError:
    hint = "restore the newest proven backup; keep this file for 'sqlite3 FILE .recover'"
    return SourceError(
        f"measuring of {path} failed: database is malformed: {what}", code="source.corrupt", hint=hint
    )
