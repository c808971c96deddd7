"""Databases for the tests of snapshots, and running the driver on them."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path

ROOT = Path(__file__).parents[2]
DRIVER = Path(__file__).with_name("driver.py")
SCHEMA = (ROOT / "fixtures/demo/b3/schema.sql").read_text(encoding="utf-8")

ODD_VALUES: Sequence[object] = (
    *(None, "", 0, 1, -1, 2**63 - 1, -(2**63), 0.0, 1.0, -1.5, 0.1, 1 / 3, 1e16, 1e-7, 5e-324, 1.7e308),
    *(float("inf"), float("-inf"), 36.2, 1e22, 123456789.123),
    *(
        "a",
        "7",
        "-7",
        "007",
        "1.0",
        "1e5",
        "inf",
        "-inf",
        "nan",
        "Infinity",
        "+1",
        ".5",
        "5.",
        "-0",
        "X'00'",
        "x'00'",
    ),
    *(
        "comma,",
        'quote"',
        "line\nend",
        "cr\rend",
        "crlf\r\nend",
        "nul\0end",
        " space ",
        "\ufeffbom",
        "ação",
        "日本",
        "\U0001d518",
    ),
    *(b"", b"\0\xff", b"text"),
)
"""Every storage class, and texts that are easily taken for something else."""


def make_odd(
    path: Path, *, page_size: int = 4096, encoding: str = "UTF-8", mode: str = "wal", seed: int = 0
) -> None:
    """A table `odd` of untyped columns with all odd values, its rows put in an order that `seed` changes."""
    rows: list[tuple[object, ...]] = [
        (value, number % 3, str(value)[:1]) for number, value in enumerate(ODD_VALUES)
    ]
    rows += [(1, 1.0, "tie"), (1.0, 1, "tie"), (1, 1, "tie"), (-0.0, 0.0, "tie")]
    rows = sorted(rows, key=lambda row: hash((seed, repr(row)))) if seed else rows
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA page_size={page_size}")
        connection.execute(f"PRAGMA encoding='{encoding}'")
        connection.execute(f"PRAGMA journal_mode={mode}")
        connection.execute('CREATE TABLE odd (v, "n,1", t TEXT COLLATE NOCASE)')
        connection.executemany("INSERT INTO odd VALUES (?, ?, ?)", rows)
        connection.commit()


def price(ticker: str, day: int, close: object = 36.5) -> tuple[object, ...]:
    """One row of `prices`."""
    date = f"2026-01-{day:02}"
    return (
        ticker,
        date,
        36.0,
        37.25,
        None,
        close,
        1000 + day,
        "yfinance",
        f"{date}T21:00:00+00:00",
        f"{day:064x}",
    )


def make_prices(path: Path, rows: Iterable[tuple[object, ...]], *, mode: str = "wal") -> None:
    """The application's database with these rows."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(SCHEMA)
        connection.execute(f"PRAGMA journal_mode={mode}")
        connection.executemany("INSERT INTO prices VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
        connection.commit()


def set_close(path: Path, close: float) -> None:
    """Change one price, as the application's upsert does."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE prices SET close = ? WHERE date = '2026-01-02'", (close,))
        connection.commit()


def drive(
    action: str,
    options: Mapping[str, object],
    *,
    python: str | Path = sys.executable,
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """The driver as a process of its own."""
    return subprocess.run(
        [python, DRIVER, action, json.dumps(options)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def answer(ended: subprocess.CompletedProcess[str]) -> dict[str, object]:
    """What the driver printed; fails when it did not end well."""
    assert ended.returncode == 0, ended.stderr
    found: dict[str, object] = json.loads(ended.stdout)
    return found
