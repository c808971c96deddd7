from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from ops.errors import (
    OpsError,
    SourceError,
)
from ops.run.job import Job
from ops.snapshots.create import CreateRequest, Written, create_snapshot
from ops.snapshots.definition import BUILT_IN, Definition
from ops.snapshots.table import Live, selected_rows
from tests.snapshots.driver import NOW
from tests.snapshots.tables import make_odd, make_prices, price

JOB = Job(clock=lambda: NOW)
PRICES = BUILT_IN["prices"]


def create(live: Live, folder: Path, ticker: str | None = "PETR4.SA", **options: object) -> Written:
    """A snapshot of a ticker's prices."""
    request = CreateRequest(folder=folder, ticker=ticker, **options)  # type: ignore[arg-type] # by name
    return create_snapshot(live, PRICES, request, JOB)


def test_text_that_is_not_utf8_goes_through(tmp_path: Path) -> None:
    """Rows before and after an undecodable one are there once each, and its bytes stand as they are."""
    path = tmp_path / "data.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)")
        rows = [(number, b"caf\xe9" if number == 2500 else b"plain") for number in range(3000)]
        connection.executemany("INSERT INTO t VALUES (?, CAST(? AS TEXT))", rows)
        connection.commit()
    definition = Definition(name="t", table="t")
    written = create_snapshot(Live(path=path, timeout_s=1), definition, CreateRequest(folder=tmp_path), JOB)
    lines = written.path.read_bytes().splitlines()
    assert written.rows == 3000
    assert [int(line.split(b",")[0]) for line in lines[1:]] == list(range(3000))
    assert lines[2501] == b"2500,caf\xe9"


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_the_rows_are_those_of_one_moment_and_no_writer_waits(tmp_path: Path, mode: str) -> None:
    """While rows are read, a writer commits at once, and what it commits is not in the snapshot."""
    path = tmp_path / "data.db"
    make_prices(path, [price("PETR4", day) for day in range(1, 29)], mode=mode)
    with selected_rows(Live(path=path, timeout_s=1), PRICES, "PETR4") as selected:
        batches = selected.rows()
        with closing(sqlite3.connect(path, timeout=0)) as writer:
            writer.execute("UPDATE prices SET close = 1")
            writer.execute("DELETE FROM prices WHERE date > '2026-01-20'")
            writer.commit()
        rows = [row for batch in batches for row in batch]
    assert [row[0] for row in rows] == [36.5] * 28


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_the_source_is_not_changed(tmp_path: Path, mode: str) -> None:
    """No byte of the database is another afterwards, and no file lies beside it that was not there."""
    folder = tmp_path / "live"
    folder.mkdir()
    make_prices(folder / "data.db", [price("PETR4", 2)], mode=mode)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    create(Live(path=folder / "data.db", timeout_s=1), tmp_path)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_sources_that_can_not_be_read_say_why(tmp_path: Path) -> None:
    """A database that is missing, none, locked, or lacks the table ends with its code and leaves nothing behind."""
    (tmp_path / "text.db").write_text("no database" * 50)
    make_odd(tmp_path / "odd.db", mode="delete")
    for name, code in (
        ("gone.db", "source.missing"),
        ("text.db", "source.not_a_database"),
        ("odd.db", "snapshot.table_missing"),
    ):
        with pytest.raises(OpsError) as caught:
            create(Live(path=tmp_path / name, timeout_s=0), tmp_path / "out")
        assert caught.value.code == code
    with closing(sqlite3.connect(tmp_path / "odd.db", isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        with pytest.raises(SourceError) as caught_locked:
            create(Live(path=tmp_path / "odd.db", timeout_s=0), tmp_path / "out")
    assert caught_locked.value.code == "source.locked"
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".locks"]


def test_a_damaged_database_gives_no_snapshot(tmp_path: Path) -> None:
    """Where pages in the middle are overwritten, the error is the source's and no file is published."""
    path = tmp_path / "data.db"
    make_prices(
        path,
        [price("PETR4", day) for day in range(1, 29)] + [price(f"T{n}", 1) for n in range(4000)],
        mode="delete",
    )
    with path.open("r+b") as file:
        file.seek(8 * 4096)
        file.write(b"\xff" * 4096 * 60)
    with pytest.raises(SourceError) as caught:
        create(Live(path=path, timeout_s=0), tmp_path / "out", None)
    assert caught.value.code == "source.corrupt"
    assert [item.name for item in (tmp_path / "out").iterdir()] == [".locks"]
