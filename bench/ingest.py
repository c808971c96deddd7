"""How long questions about five million entries of ingest jobs take, beside the same questions in plain SQL."""

import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from bench.place import drillbook
from bench.report import Section, Target, seconds
from bench.timing import Candidate, Details, in_turns, program, say

COMMAND = "nox -s bench -- --only ingest"
ENTRIES, TICKERS, BETWEEN_S = 5_000_000, 450, 20
INDEX = "CREATE INDEX by_ticker_and_time ON ingest_logs (ticker, started_at)"
TABLE = (
    "CREATE TABLE ingest_logs (ticker TEXT NOT NULL, job_id TEXT NOT NULL, started_at TEXT NOT NULL, finished_at TEXT,"
    " rows_fetched INTEGER, status TEXT NOT NULL, error_message TEXT, duration_ms INTEGER, provider TEXT NOT NULL,"
    " attempt INTEGER NOT NULL, retry_after INTEGER)"
)
CONFIG = '[source.prices]\nkind = "sqlite"\npath = "data.db"\n'
TARGET_S = 1.0
PLAIN = """
import sqlite3, sys
connection = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True)
connection.execute(
    "SELECT ticker, max(finished_at), count(*), sum(rows_fetched), avg(duration_ms) FROM ingest_logs"
    " WHERE status = 'success' GROUP BY ticker"
).fetchall()
"""
EXPLANATION = (
    f"{ENTRIES:,} entries of {TICKERS} tickers, one each {BETWEEN_S} s, in a database in WAL mode, in the page cache. Whole "
    "processes, with the interpreter, the imports and the configuration. With the index on ticker and "
    "time, what `metrics` reads is the last seven days and the newest success of each ticker; without it every question "
    "reads the whole table, which `doctor` says with the index that would help."
)


def measure_ingest(cache: Path, rounds: int) -> Section:
    """The section about the ingest side."""
    with tempfile.TemporaryDirectory(prefix="ingest-", dir=cache) as name:
        folder = Path(name)
        (folder / "ops.toml").write_text(CONFIG)
        say(f"building a table of {ENTRIES} entries")
        _build(folder / "data.db")
        slow = in_turns([*_candidates(folder, "without the index")], 1, sync=False)
        with closing(sqlite3.connect(folder / "data.db")) as connection:
            connection.execute(INDEX)
        fast = in_turns([*_candidates(folder, "with the index")], rounds, sync=False)
    rows = [[timing.name, *seconds(timing)] for timing in (*fast, *slow)]
    targets = [Target(timing.name, TARGET_S, (timing.best, timing.median), " s") for timing in fast[1:]]
    return Section("metrics and logs", COMMAND, ("what", "min", "median"), rows, targets, EXPLANATION)


def _candidates(folder: Path, how: str) -> Iterator[Candidate]:
    def run(*argv: str) -> Details:
        program(*argv, folder=folder)
        return {}

    yield Candidate(
        name=f"plain SQL over everything, {how}",
        run=lambda: run(sys.executable, "-c", PLAIN, str(folder / "data.db")),
    )
    questions = (
        ("`metrics --ticker`", "metrics", "--ticker", "TICK007"),
        ("`metrics`, all tickers", "metrics"),
        ("`logs --ticker --since 7d`", "logs", "--ticker", "TICK007", "--since", "7d"),
        ("`logs --since 2d`", "logs", "--since", "2d"),
    )
    for name, *arguments in questions:
        yield Candidate(name=f"{name}, {how}", run=partial(run, *drillbook(*arguments)))


def _build(path: Path) -> None:
    begin = datetime.now(UTC) - timedelta(seconds=ENTRIES * BETWEEN_S)

    def entries() -> Iterator[tuple[object, ...]]:
        for number in range(ENTRIES):
            begun = begin + timedelta(seconds=number * BETWEEN_S)
            ended = begun + timedelta(seconds=2)
            # In the last week every job ends well: one that failed would end the task with exit code 1.
            status = "error" if number % 97 == 0 and number < ENTRIES - 40_000 else "success"
            ticker = f"TICK{number % TICKERS:03}"
            times = (begun.isoformat(), ended.isoformat())
            yield ticker, f"job-{number:08x}", *times, 1, status, None, 2000, "yfinance", 1, None

    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute(TABLE)
        connection.executemany(f"INSERT INTO ingest_logs VALUES ({', '.join('?' * 11)})", entries())
        connection.commit()
