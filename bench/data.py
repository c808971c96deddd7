"""The database that is measured: the schema of the demo, filled until it has the wanted size.

Deterministic, and kept between runs. Rows of all tables arrive in turns, as in an application's life, so the
pages of the tables lie between each other.
"""

import hashlib
import itertools
import json
import shutil
import sqlite3
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from bench.timing import program, say
from ops.demo.databases import raw_checksum
from ops.demo.texts import fixtures_folder
from ops.units import format_size

VERSION = 1
"""Part of the cached file's name; raised whenever the content changes."""

TABLES = ("prices", "returns", "ingest_logs", "snapshots")
ROOM_COPIES = 5
TICKERS = 450
PAGE = 4096
CACHE_KIB = 512 << 10
FIRST_DAY = date(1996, 1, 1)
MIDNIGHT = datetime(2025, 1, 1, tzinfo=UTC)

Row = tuple[str | float | int | None, ...]


def database_of(size: int, cache: Path) -> Path:
    """The database of at least `size` bytes in the folder `cache`, built now if it is not there."""
    path = cache / f"bench-{VERSION}-{size}.db"
    if path.exists():
        return path
    cache.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(cache).free < ROOM_COPIES * size:
        raise SystemExit(f"{cache} has no room for {ROOM_COPIES} copies of the database; see --cache")
    say(f"building a database of {format_size(size)}, once")
    building = path.with_suffix(".building")
    building.unlink(missing_ok=True)
    # In a process of its own: the kernel counts the peak memory of a parent also for what it starts.
    program(sys.executable, "-m", "bench.data", str(size), building)
    building.replace(path)
    return path


def main() -> None:
    """Build one database: `python -m bench.data BYTES PATH`."""
    size, path = sys.argv[1:]
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        _fill(connection, int(size))


def _fill(connection: sqlite3.Connection, size: int) -> None:
    connection.executescript(
        f"PRAGMA page_size = {PAGE}; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; "
        f"PRAGMA cache_size = -{CACHE_KIB};"
    )
    connection.executescript((fixtures_folder() / "b3" / "schema.sql").read_text(encoding="utf-8"))
    turns = (
        ("INSERT INTO prices VALUES (?,?,?,?,?,?,?,?,?,?)", _rows(_price), 4000),
        ("INSERT INTO returns VALUES (?,?,?,?,?)", _rows(_return), 6000),
        ("INSERT INTO ingest_logs VALUES (?,?,?,?,?,?,?,?,?,?,?)", _rows(_log), 4000),
        ("INSERT INTO snapshots VALUES (?,?,?,?,?,?,?,?,?,?,?)", _rows(_snapshot), 1600),
    )
    connection.execute("BEGIN")
    while connection.execute("PRAGMA page_count").fetchone()[0] * PAGE < size:
        for statement, rows, count in turns:
            connection.executemany(statement, itertools.islice(rows, count))
    connection.execute("COMMIT")
    # Last, and kept in the header, as the application leaves it.
    connection.execute("PRAGMA journal_mode = WAL")


def _rows(make: Callable[[int], Row]) -> Iterator[Row]:
    return map(make, itertools.count())


def _place(number: int) -> tuple[str, str, str]:
    """Ticker, trading day and moment of the row of that number: all tickers of a day, then the next day."""
    day, ticker = divmod(number, TICKERS)
    letters = "".join(chr(65 + ticker // 26**power % 26) for power in range(4))
    moment = MIDNIGHT + timedelta(seconds=day, microseconds=number * 7919 % 1_000_000)
    return (
        f"{letters}{ticker % 9 + 3}",
        (FIRST_DAY + timedelta(days=day)).isoformat(),
        moment.isoformat(timespec="microseconds"),
    )


def _noise(number: int) -> bytes:
    return hashlib.sha256(number.to_bytes(8, "little")).digest()


def _price(number: int) -> Row:
    ticker, day, moment = _place(number)
    noise = _noise(number)
    close = 1000 + int.from_bytes(noise[:2], "little") % 9000
    price: dict[str, str | float | int | None] = {
        "ticker": ticker,
        "date": day,
        "open": (close + noise[2] - 128) / 100,
        "high": (close + 256) / 100,
        "low": None if noise[3] == 0 else (close - 256) / 100,
        "close": close / 100,
        "volume": int.from_bytes(noise[4:8], "little"),
        "source": "yfinance",
    }
    return (*price.values(), moment, raw_checksum(price))


def _return(number: int) -> Row:
    ticker, day, moment = _place(number)
    return (ticker, day, int.from_bytes(_noise(number)[:4], "little") / 2**32 - 0.5, "daily", moment)


def _log(number: int) -> Row:
    ticker, _, moment = _place(number)
    noise = _noise(number)
    job = str(uuid.UUID(bytes=noise[:16], version=4))
    if noise[16] < 8:
        return (ticker, job, moment, moment, None, "error", "429 Too Many Requests", 871, "yfinance", 1, 60)
    return (ticker, job, moment, moment, noise[17], "success", None, noise[18] * 9, "yfinance", 1, None)


def _snapshot(number: int) -> Row:
    ticker, day, moment = _place(number)
    name = f"{ticker}-{day.replace('-', '')}T213000Z.csv"
    identity = hashlib.sha256(f"{ticker}_{day}_{day}".encode()).hexdigest()
    digest = _noise(number).hex()
    payload = {
        "snapshot_id": name,
        "ticker": ticker,
        "generated_at": f"{day}T21:30:00Z",
        "rows_count": number % 250,
        "sha256": digest,
    }
    text = json.dumps(payload)
    return (
        identity,
        ticker,
        moment,
        text,
        f"snapshots/{name}",
        number % 250,
        digest,
        identity,
        9000,
        0,
        None,
    )


if __name__ == "__main__":
    main()
