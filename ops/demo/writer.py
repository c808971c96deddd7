"""A program that writes to the demo's database without a pause, for live demonstrations and tests.

    python -m ops.demo.writer PATH [--seconds N] [--rate N]

Every transaction takes an amount from one row of `demo_accounts`, upserts prices and the log row of their
ingest, and gives the amount to another row. So in every consistent copy the accounts add up to the same sum,
and each price of the writer has a log row that finished when the price was fetched. A torn copy shows at once.
"""

from __future__ import annotations

import argparse
import json
import math
import signal
import sqlite3
import sys
import time
import uuid
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ops.demo.databases import raw_checksum

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PROVIDER: Final = "demo-writer"
ACCOUNTS: Final = 16
OPENING_AMOUNT: Final = 1_000_000
DEFAULT_RATE: Final = 50
_BUSY_TIMEOUT_MS: Final = 30_000
_NAP_S: Final = 0.05
_FIRST_DAY: Final = date(2023, 1, 2)
_DAYS: Final = 365
_TICKERS: Final = ("ABEV3", "B3SA3", "BBAS3", "BBDC4", "ITUB4", "PETR4", "VALE3", "WEGE3")
_PRICES_EACH: Final = 3

_UPSERT_PRICE: Final = """
INSERT INTO prices (ticker, date, open, high, low, close, volume, source, fetched_at, raw_checksum)
VALUES (:ticker, :date, :open, :high, :low, :close, :volume, :source, :fetched_at, :raw_checksum)
ON CONFLICT (ticker, date) DO UPDATE SET
    open = excluded.open, high = excluded.high, low = excluded.low, close = excluded.close,
    volume = excluded.volume, source = excluded.source, fetched_at = excluded.fetched_at,
    raw_checksum = excluded.raw_checksum
"""
_ADD_LOG: Final = """
INSERT INTO ingest_logs (ticker, job_id, started_at, finished_at, rows_fetched, status, duration_ms, provider, attempt)
VALUES (?, ?, ?, ?, ?, 'success', 0, ?, 1)
"""
_ADD_AMOUNT: Final = "UPDATE demo_accounts SET amount = amount + ? WHERE id = ?"


@dataclass(slots=True)
class _Stop:
    """Whether somebody asked the program to end; set by a signal, looked at between transactions."""

    asked: bool = False

    def ask(self, *_: object) -> None:
        self.asked = True


def main(arguments: list[str] | None = None) -> int:
    """Write until the time is over or SIGTERM or SIGINT comes; the exit code: 0, or 2 when writing failed."""
    summary = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m ops.demo.writer", description=summary)
    parser.add_argument("path", type=Path, help="the demo's data.db")
    parser.add_argument("--seconds", type=_not_negative, help="end after so many seconds (default: never)")
    rate_help = f"transactions a second, 0 for as many as possible (default: {DEFAULT_RATE})"
    parser.add_argument("--rate", type=_not_negative, default=DEFAULT_RATE, help=rate_help)
    options = parser.parse_args(arguments)
    stop = _Stop()
    signal.signal(signal.SIGTERM, stop.ask)
    # A shell has what its script runs in the background ignore Ctrl-C.
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        signal.signal(signal.SIGINT, stop.ask)
    try:
        with closing(_open(options.path)) as connection:
            _create_accounts(connection)
            _write(connection, stop, seconds=options.seconds, rate=options.rate)
    except sqlite3.Error as error:
        sys.stderr.write(f"cannot write to {options.path}: {error}\n")
        return 2
    return 0


def _not_negative(text: str) -> float:
    value = float(text)
    if not 0 <= value < math.inf:
        message = f"{text} is not a number from 0 upwards"
        raise argparse.ArgumentTypeError(message)
    return value


def _open(path: Path) -> sqlite3.Connection:
    """A connection to an existing database, in whatever journal mode it is."""
    uri = f"{path.resolve().as_uri()}?mode=rw"
    connection = sqlite3.connect(uri, uri=True, isolation_level=None)
    connection.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
    return connection


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    # IMMEDIATE: a transaction that turns from reading to writing can fail at once, whatever the time-out.
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _create_accounts(connection: sqlite3.Connection) -> None:
    with _transaction(connection):
        # Fails here, with nothing changed, when the database is not the demo's.
        connection.execute("SELECT 1 FROM prices, ingest_logs LIMIT 0")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS demo_accounts (id INTEGER PRIMARY KEY, amount INTEGER NOT NULL)"
        )
        connection.executemany(
            "INSERT OR IGNORE INTO demo_accounts (id, amount) VALUES (?, ?)",
            [(number, OPENING_AMOUNT) for number in range(1, ACCOUNTS + 1)],
        )


def _write(connection: sqlite3.Connection, stop: _Stop, *, seconds: float | None, rate: float) -> None:
    """Do transactions and say once a second how many are done; the first line says that writing begins."""
    started = time.monotonic()
    done, next_line = 0, started
    while not stop.asked:
        now = time.monotonic()
        if now >= next_line:
            _tell(done, now - started, ended=False)
            next_line += max(1, int(now - next_line) + 1)
        if seconds is not None and now - started >= seconds:
            break
        if rate and done >= (now - started) * rate:
            time.sleep(min(_NAP_S, 1 / rate))
            continue
        move(connection, done, clock=lambda: datetime.now(UTC), job_id=str(uuid.uuid4()))
        done += 1
    _tell(done, time.monotonic() - started, ended=True)


def _tell(transactions: int, elapsed_s: float, *, ended: bool) -> None:
    line = {"transactions": transactions, "elapsed_s": round(elapsed_s, 3), "ended": ended}
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def move(connection: sqlite3.Connection, step: int, *, clock: Callable[[], datetime], job_id: str) -> None:
    """One transaction, number `step`: take, upsert prices, log, give; raises sqlite3.Error and undoes it whole."""
    amount = step % 97 + 1
    giver = step % ACCOUNTS + 1
    taker = (step + 1 + step // ACCOUNTS % (ACCOUNTS - 1)) % ACCOUNTS + 1
    started_at = clock().isoformat(timespec="microseconds")
    ticker = _TICKERS[step % len(_TICKERS)]
    with _transaction(connection):
        connection.execute(_ADD_AMOUNT, (-amount, giver))
        fetched_at = clock().isoformat(timespec="microseconds")
        first_day = step // len(_TICKERS)
        prices = [_price(ticker, first_day + number, step, fetched_at) for number in range(_PRICES_EACH)]
        connection.executemany(_UPSERT_PRICE, prices)
        log = (ticker, job_id, started_at, fetched_at, len(prices), PROVIDER)
        connection.execute(_ADD_LOG, log)
        connection.execute(_ADD_AMOUNT, (amount, taker))


def _price(ticker: str, day: int, step: int, fetched_at: str) -> dict[str, str | float | int | None]:
    """A made-up price of an earlier year: the demo's own rows stay as they are."""
    close = 1000 + (step * 37 + day) % 4000
    opening = close + step % 41 - 20
    price: dict[str, str | float | int | None] = {
        "ticker": ticker,
        "date": (_FIRST_DAY + timedelta(days=day % _DAYS)).isoformat(),
        "open": opening / 100,
        "high": (max(opening, close) + step % 13) / 100,
        "low": (min(opening, close) - step % 11) / 100,
        "close": close / 100,
        "volume": 1000 + step % 9000 * 100,
        "source": PROVIDER,
    }
    return price | {"fetched_at": fetched_at, "raw_checksum": raw_checksum(price)}


if __name__ == "__main__":
    sys.exit(main())
