"""A snapshot of one ticker's prices against SQLite's own CSV with `sha256sum` behind it."""

import hashlib
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

from bench.place import installed
from bench.report import Section, ratios, seconds
from bench.timing import Candidate, Details, in_turns, program, say

COMMAND = "nox -s bench -- --only snapshot"
BYTES_A_ROW = 107
"""Of the benchmark's size: 1 GiB stands for ten million rows."""
COLUMNS = "close, date, fetched_at, high, low, open, raw_checksum, source, ticker, volume"
SCHEMA = Path(__file__).parents[1] / "fixtures" / "demo" / "b3" / "schema.sql"
EXPLANATION = (
    "One ticker, in the order of the primary key, in WAL mode. The shell formats in C and writes once; `snapshot.create` "
    "also stages, synchronizes and publishes the file with its checksum, writes numbers that are read back without loss, "
    "and keeps its bytes when SQLite's version changes. Peak memory is that of its process. Fetching alone is the limit "
    "of Python: every value becomes an object."
)
CREATE = """
import resource, sys
from pathlib import Path
from ops.run.job import Job
from ops.snapshots.create import CreateRequest, create_snapshot
from ops.snapshots.definition import BUILT_IN
from ops.snapshots.table import Live
create_snapshot(Live(path=Path(sys.argv[1]), timeout_s=5), BUILT_IN["prices"],
                CreateRequest(folder=Path(sys.argv[2]), ticker="PETR4"), Job())
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
FETCH = """
import sqlite3, sys
cursor = sqlite3.connect(sys.argv[1]).execute(sys.argv[2])
while cursor.fetchmany(1000):
    pass
"""


def measure_snapshot(size: int, folder: Path, rounds: int) -> Section:
    """The section about `snapshot.create`; `size` is that of the benchmark."""
    rows = max(1000, size // BYTES_A_ROW)
    database, out = _database(folder, rows), folder / "snapshot-out"
    select = f"SELECT {COLUMNS} FROM prices WHERE ticker = 'PETR4' ORDER BY date"
    plain = f"{installed('sqlite3')} -csv -header '{database}' \"{select}\" | tee '{folder}/plain.csv' | sha256sum"
    candidates = [
        Candidate(
            name="`sqlite3 -csv`, `tee`, `sha256sum`",
            run=partial(_run, "bash", "-o", "pipefail", "-c", plain),
            prepare=lambda: (folder / "plain.csv").unlink,
        ),
        Candidate(
            name="fetch in Python, nothing written",
            run=partial(_run, sys.executable, "-c", FETCH, database, select),
        ),
        Candidate(
            name="`snapshot.create`",
            run=partial(_create, database, out),
            prepare=lambda: lambda: shutil.rmtree(out),
        ),
    ]
    timings = in_turns(candidates, rounds)
    memory = max(details["memory"] for details in timings[-1].details)
    table = [
        [timing.name, *seconds(timing), *ratios(timing, timings[:1]), _memory(timing.details)]
        for timing in timings
    ]
    say(f"  peak memory {memory / 1024:.0f} MiB")
    columns = ("what", "best", "median", "ratio (best)", "ratio (median)", "peak memory")
    return Section(f"Snapshot of {rows:,} rows", COMMAND, columns, table, (), EXPLANATION)


def _memory(details: list[Details]) -> str:
    found = [item["memory"] for item in details if "memory" in item]
    return f"{max(found) / 1024:.0f} MiB" if found else "-"


def _run(*argv: str | Path) -> Details:
    program(*argv)
    return {}


def _create(database: Path, out: Path) -> Details:
    return {"memory": float(program(sys.executable, "-c", CREATE, database, out))}


def _database(folder: Path, rows: int) -> Path:
    """One ticker's prices over so many days; built once."""
    path = folder / f"prices-{rows}.db"
    if path.exists():
        return path
    building = path.with_suffix(".building")
    building.unlink(missing_ok=True)
    with closing(sqlite3.connect(building)) as connection:
        connection.execute("PRAGMA synchronous=OFF")
        connection.executescript(SCHEMA.read_text(encoding="utf-8"))
        connection.executemany("INSERT INTO prices VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", _prices(rows))
        connection.commit()
        connection.execute("PRAGMA journal_mode=WAL")
    building.rename(path)
    return path


def _prices(rows: int) -> Iterator[tuple[object, ...]]:
    for number in range(rows):
        digest = hashlib.sha256(str(number).encode()).hexdigest()
        cents = [1000 + int(digest[at : at + 4], 16) % 8000 for at in (0, 4, 8, 12)]
        prices = (cent / 100 for cent in cents)
        day = f"{number // 372 + 1:05}-{number // 31 % 12 + 1:02}-{number % 31 + 1:02}"
        fetched = f"{day}T21:02:{number % 60:02}.193956+00:00"
        yield ("PETR4", day, *prices, int(digest[16:22], 16), "yfinance", fetched, digest)
