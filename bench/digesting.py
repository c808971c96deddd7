"""Where the time of a content digest goes, in one process."""

import hashlib
import marshal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

from bench.report import Section
from bench.timing import Candidate, Details, Timing, in_turns
from ops.digest import sum_rows

COMMAND = "nox -s bench -- --only digest"
BATCH = 500
MOST_ROWS = 300_000
TABLE = "prices"
Rows = list[tuple[str | float | int | None, ...]]
EXPLANATION = (
    "One process, one table, batches of 500 rows; bytes are those of the encoded rows. The fetch is SQLite and the "
    "building of Python values and can not be avoided by any digest that is computed outside SQLite; the hash of the "
    "same bytes as one stream is the limit of SHA-256. What lies between is the price of a digest that does not "
    "depend on row order: one hash a row. `backup.create` spreads this over the cores."
)


def measure_digest(database: Path, rounds: int) -> Section:
    """The section about `ops.digest.sum_rows`."""
    rows, size, encoded = _facts(database)
    steps: dict[str, Callable[[Rows], object]] = {
        "fetch alone": len,
        "fetch + encode each row": lambda batch: [marshal.dumps(row, 2) for row in batch],
        "fetch + `sum_rows`": sum_rows,
    }
    candidates = [Candidate(name=name, run=partial(_scan, database, step)) for name, step in steps.items()]
    candidates.append(Candidate(name="SHA-256 of the same bytes as one stream", run=lambda: _hash(encoded)))
    timings = in_turns(candidates, rounds, sync=False)
    table = [[timing.name, *_rates(timing, rows, size)] for timing in timings]
    columns = ("what", "rows/s (best)", "rows/s (median)", "MB/s (best)", "MB/s (median)")
    return Section(f"Content digest of {rows:,} rows of {TABLE}", COMMAND, columns, table, (), EXPLANATION)


def _rates(timing: Timing, rows: int, size: int) -> list[str]:
    times = (timing.best, timing.median)
    return [f"{rows / time:,.0f}" for time in times] + [f"{size / time / 1e6:,.0f}" for time in times]


def _facts(database: Path) -> tuple[int, int, bytes]:
    """Rows, encoded size, and a sample of encoded bytes of that size."""
    rows, parts = 0, []
    with closing(_open(database)) as connection:
        for row in connection.execute(f"SELECT * FROM {TABLE} LIMIT {MOST_ROWS}"):
            rows += 1
            parts.append(marshal.dumps(row, 2))
    encoded = b"".join(parts)
    return rows, len(encoded), encoded


def _open(database: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{database.as_uri()}?immutable=1", uri=True)


def _scan(database: Path, step: Callable[[Rows], object]) -> Details:
    with closing(_open(database)) as connection:
        cursor = connection.execute(f"SELECT * FROM {TABLE} LIMIT {MOST_ROWS}")
        while batch := cursor.fetchmany(BATCH):
            step(batch)
    return {}


def _hash(encoded: bytes) -> Details:
    hashlib.sha256(encoded).digest()
    return {}
