"""Where the time of a content digest goes, in one process."""

import hashlib
import os
import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path

from bench.report import Section
from bench.timing import Candidate, Details, Timing, in_turns
from ops.sources.sqlite.btree import page_file, sum_pages, walk_tree

COMMAND = "nox -s bench -- --only digest"
BATCH = 500
MOST_PAGES = 15_000
TABLE = "prices"
EXPLANATION = (
    "One process, the first pages of one table; bytes are those of the pages. Fetching the same rows through SQL makes "
    "a Python value of each column, and nothing is hashed yet; the pages hashed as one stream are the limit of SHA-256. "
    "What lies between is the price of a digest that does not depend on row order: one hash a row. `backup.create` "
    "spreads this over the cores."
)


def measure_digest(database: Path, rounds: int) -> Section:
    """The section about `ops.sources.sqlite.btree.sum_pages`."""
    with closing(_open(database)) as connection:
        (root,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (TABLE,)).fetchone()
    pages = _pages(database, root)
    rows, size = _records(database, pages)
    candidates = [
        Candidate(name="fetch through SQL, nothing hashed", run=partial(_fetch, database, rows)),
        Candidate(name="`sum_pages`", run=partial(_sum, database, pages)),
        Candidate(name="SHA-256 of the same pages as one stream", run=partial(_stream, database, pages)),
    ]
    timings = in_turns(candidates, rounds, sync=False)
    table = [[timing.name, *_rates(timing, rows, size)] for timing in timings]
    columns = ("what", "rows/s (best)", "rows/s (median)", "MB/s (best)", "MB/s (median)")
    return Section(f"Content digest of {rows:,} rows of {TABLE}", COMMAND, columns, table, (), EXPLANATION)


def _rates(timing: Timing, rows: int, size: int) -> list[str]:
    times = (timing.best, timing.median)
    return [f"{rows / time:,.0f}" for time in times] + [f"{size / time / 1e6:,.0f}" for time in times]


def _open(database: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{database.as_uri()}?immutable=1", uri=True)


def _pages(database: Path, root: int) -> tuple[int, ...]:
    with database.open("rb") as file:
        return walk_tree(page_file(file.fileno(), os.pread(file.fileno(), 100, 0)), root).pages[:MOST_PAGES]


def _records(database: Path, pages: tuple[int, ...]) -> tuple[int, int]:
    """Rows on the pages, and the bytes of the pages."""
    with database.open("rb") as file:
        pages_of = page_file(file.fileno(), os.pread(file.fileno(), 100, 0))
        rows, _ = sum_pages(pages_of, pages, is_index=False, with_rowid=False)
        return rows, len(pages) * pages_of.page_size


def _sum(database: Path, pages: tuple[int, ...]) -> Details:
    _records(database, pages)
    return {}


def _fetch(database: Path, rows: int) -> Details:
    with closing(_open(database)) as connection:
        cursor = connection.execute(f"SELECT * FROM {TABLE} NOT INDEXED LIMIT {rows}")
        while cursor.fetchmany(BATCH):
            pass
    return {}


def _stream(database: Path, pages: tuple[int, ...]) -> Details:
    digest = hashlib.sha256()
    with database.open("rb", buffering=0) as file:
        size = page_file(file.fileno(), os.pread(file.fileno(), 100, 0)).page_size
        for page in pages:
            digest.update(os.pread(file.fileno(), size, (page - 1) * size))
    return {}
