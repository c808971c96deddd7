from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ops.errors import (
    ConfigError,
    LockHeldError,
    OpsError,
    RefusedError,
    SnapshotError,
    StoreError,
)
from ops.run.job import Job
from ops.snapshots.create import CreateRequest, Written, create_snapshot
from ops.snapshots.definition import BUILT_IN, Definition, parse_name, series_of
from ops.snapshots.publish import Status, series_lock
from ops.snapshots.table import Live
from tests.snapshots.driver import NOW
from tests.snapshots.tables import ROOT, answer, drive, make_odd, make_prices, price, set_close

JOB = Job(clock=lambda: NOW)
PRICES = BUILT_IN["prices"]


@pytest.fixture
def live(tmp_path: Path) -> Live:
    """Prices of two tickers, the younger day first."""
    path = tmp_path / "data.db"
    make_prices(path, [price("PETR4", 3), price("PETR4", 2, 36), price("VALE3", 2, None)])
    return Live(path=path, timeout_s=1)


def create(live: Live, folder: Path, ticker: str | None = "PETR4.SA", **options: object) -> Written:
    """A snapshot of a ticker's prices."""
    request = CreateRequest(folder=folder, ticker=ticker, **options)  # type: ignore[arg-type] # by name
    return create_snapshot(live, PRICES, request, JOB)


def test_the_file_is_as_documented(live: Live, tmp_path: Path) -> None:
    """Columns by name, rows by day, LF, one line of header; and a checksum file that sha256sum accepts."""
    written = create(live, tmp_path / "snapshots")
    assert written.path == tmp_path / "snapshots/PETR4-20260315.csv"
    assert (written.status, written.rows) == (Status.CREATED, 2)
    assert written.path.read_bytes() == (
        b"close,date,fetched_at,high,low,open,raw_checksum,source,ticker,volume\n"
        b'36.0,2026-01-02,2026-01-02T21:00:00+00:00,37.25,,36.0,"%064x",yfinance,PETR4,1002\n'
        b'36.5,2026-01-03,2026-01-03T21:00:00+00:00,37.25,,36.0,"%064x",yfinance,PETR4,1003\n' % (2, 3)
    ).replace(b'"', b"")
    assert written.sha256 == hashlib.sha256(written.path.read_bytes()).hexdigest()
    subprocess.run(
        ["sha256sum", "--check", "--strict", "PETR4-20260315.csv.checksum"],
        cwd=written.path.parent,
        check=True,
    )
    for path in written.path.parent.iterdir():
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600)
    assert written.path.parent.stat().st_mode & 0o777 == 0o700


def test_a_ticker_is_found_with_and_without_its_suffix(tmp_path: Path) -> None:
    """PETR4.SA and PETR4 mean the same rows; where the table itself has the suffix, those are taken."""
    make_prices(tmp_path / "data.db", [price("VALE3.SA", 2)])
    live = Live(path=tmp_path / "data.db", timeout_s=1)
    assert create(live, tmp_path, "VALE3.SA").path.name == "VALE3-20260315.csv"
    with pytest.raises(SnapshotError, match="VALE") as caught:
        create(live, tmp_path, "VALE")
    assert caught.value.code == "snapshot.no_rows"
    assert "VALE3.SA" in caught.value.hint


@pytest.mark.parametrize(
    ("ticker", "series"),
    [("A/../B", "A____B"), ("-x", "_x"), ("a b\n", "a_b_"), ("ação", "a__o"), ("PETR4", "PETR4")],
)
def test_no_ticker_leads_out_of_the_folder(ticker: str, series: str) -> None:
    """Whatever a key holds, the name of the file is plain, and is one that a purge knows."""
    assert series_of(PRICES, ticker) == series
    assert parse_name(f"{series}-20260315.csv") is not None


def test_an_empty_ticker_is_refused(live: Live, tmp_path: Path) -> None:
    """A ticker of nothing but its suffix is none."""
    with pytest.raises(OpsError, match="no rows"):
        create(live, tmp_path, ".SA")


def test_the_same_again_is_unchanged(live: Live, tmp_path: Path) -> None:
    """A second create of the same rows leaves both files as they are."""
    first = create(live, tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("PETR4*")}
    assert create(live, tmp_path).status is Status.UNCHANGED
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("PETR4*")} == before
    assert first.path in before


def test_other_rows_are_refused_then_replaced(live: Live, tmp_path: Path) -> None:
    """Today's snapshot with other content is not overwritten unless that is asked for; then both files agree."""
    first = create(live, tmp_path)
    before = first.path.read_bytes()
    set_close(live.path, 99.0)
    with pytest.raises(RefusedError, match=first.sha256) as caught:
        create(live, tmp_path)
    assert caught.value.code == "refused.snapshot_differs"
    assert first.path.read_bytes() == before
    second = create(live, tmp_path, replace=True)
    assert second.status is Status.REPLACED
    assert first.path.read_bytes() != before
    assert second.sha256 in first.path.with_name(f"{first.path.name}.checksum").read_text()
    assert not list(tmp_path.glob(".tmp-*"))


def test_a_file_of_somebody_else_is_not_overwritten(live: Live, tmp_path: Path) -> None:
    """A file without a checksum file, a folder and a link under the name stay what they are."""
    out = tmp_path / "mine.csv"
    out.write_text("not yours")
    with pytest.raises(RefusedError):
        create(live, tmp_path, out=out)
    assert out.read_text() == "not yours"
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "link.csv").symlink_to(out)
    os.mkfifo(tmp_path / "pipe.csv")
    for name in ("folder.csv", "link.csv", "pipe.csv"):
        with pytest.raises(RefusedError) as caught:
            create(live, tmp_path, out=tmp_path / name, replace=True)
        assert caught.value.code == "refused.name_taken"
    assert out.read_text() == "not yours"


@pytest.mark.parametrize(
    "record", [None, b"", b"garbage\n", b"0" * 64, b"0" * 64 + b"  PETR4-20260315.csv\n"]
)
def test_a_checksum_that_is_lost_or_wrong_is_put_right(
    live: Live, tmp_path: Path, record: bytes | None
) -> None:
    """Where the snapshot is what it would be now, its checksum file is written anew, and that is said."""
    written = create(live, tmp_path)
    checksum = tmp_path / "PETR4-20260315.csv.checksum"
    good = checksum.read_bytes()
    checksum.unlink()
    if record is not None:
        checksum.write_bytes(record)
    assert create(live, tmp_path).status is Status.REPAIRED
    assert checksum.read_bytes() == good
    assert written.path.exists()


def test_a_checksum_file_under_the_other_name_does_not_contradict(live: Live, tmp_path: Path) -> None:
    """When a snapshot is replaced, a `.sha256` of the former one does not stay beside the new checksum file."""
    written = create(live, tmp_path)
    other = written.path.with_name(f"{written.path.name}.sha256")
    written.path.with_name(f"{written.path.name}.checksum").rename(other)
    set_close(live.path, 99.0)
    assert create(live, tmp_path, replace=True).status is Status.REPLACED
    assert not other.exists()


def test_json_has_every_row(live: Live, tmp_path: Path) -> None:
    """The JSON form is one array of one object a row, columns in the same order as in CSV."""
    written = create(live, tmp_path, form="json")
    rows = json.loads(written.path.read_bytes())
    assert [row["close"] for row in rows] == [36.0, 36.5]
    assert list(rows[0]) == sorted(rows[0])
    assert written.path.read_bytes().count(b"\n") == 4


def test_odd_values_are_json(tmp_path: Path) -> None:
    """Blobs and infinite numbers are objects that say what they are, and everything is ASCII."""
    make_odd(tmp_path / "odd.db")
    ended = drive(
        "create",
        {"database": str(tmp_path / "odd.db"), "folder": str(tmp_path), "table": "odd", "form": "json"},
    )
    answer(ended)
    text = (tmp_path / "odd-20260315.json").read_bytes()
    values = [row["v"] for row in json.loads(text)]
    assert text.isascii()
    assert {"real": "-inf"} in values
    assert {"blob": "00ff"} in values


def test_columns_and_order_are_those_of_the_definition(live: Live, tmp_path: Path) -> None:
    """Named columns stand in the named order, rows in the declared one, and a wrong name is told with the right ones."""
    definition = Definition(name="closes", table="prices", order=("close",), columns=("ticker", "close"))
    written = create_snapshot(live, definition, CreateRequest(folder=tmp_path), JOB)
    assert written.path.name == "closes-20260315.csv"
    assert written.path.read_text() == "ticker,close\nVALE3,\nPETR4,36.0\nPETR4,36.5\n"
    wrong = Definition(name="closes", table="prices", columns=("clse",))
    with pytest.raises(SnapshotError, match="clse") as caught:
        create_snapshot(live, wrong, CreateRequest(folder=tmp_path), JOB)
    assert "close" in caught.value.hint
    with pytest.raises(ConfigError):
        create_snapshot(live, definition, CreateRequest(folder=tmp_path, ticker="PETR4"), JOB)


def test_an_empty_table_is_a_header(tmp_path: Path) -> None:
    """A whole table without rows is a snapshot with none; a ticker without rows is an error."""
    make_prices(tmp_path / "data.db", [])
    live = Live(path=tmp_path / "data.db", timeout_s=0)
    assert create(live, tmp_path, None).path.read_bytes().count(b"\n") == 1
    assert json.loads(create(live, tmp_path, None, form="json").path.read_bytes()) == []
    with pytest.raises(SnapshotError):
        create(live, tmp_path)


def test_one_run_at_a_time_for_each_ticker(live: Live, tmp_path: Path) -> None:
    """A second create of the same ticker is told who works on it; another ticker goes on."""
    with series_lock(tmp_path, "PETR4", JOB):
        with pytest.raises(LockHeldError, match=f"PETR4.*{os.getpid()}"):
            create(live, tmp_path)
        assert create(live, tmp_path, "VALE3").status is Status.CREATED


def test_two_creates_at_once_leave_one_right_pair(live: Live, tmp_path: Path) -> None:
    """Of eight processes that create one snapshot together each succeeds or is told of the other; the pair is whole."""
    options = {"database": str(live.path), "folder": str(tmp_path / "out"), "ticker": "PETR4"}
    endings = []
    threads = [threading.Thread(target=lambda: endings.append(drive("create", options))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(ended.returncode == 0 or "LockHeldError" in ended.stderr for ended in endings)
    assert any(ended.returncode == 0 for ended in endings)
    subprocess.run(["sha256sum", "-c", "PETR4-20260315.csv.checksum"], cwd=tmp_path / "out", check=True)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        ".locks", "PETR4-20260315.csv", "PETR4-20260315.csv.checksum",
    ]  # fmt: skip


@pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="the kernel does not say what a program used"
)
def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    """Four hundred thousand rows, sorted without an index, take no more memory than a bound that does not know them."""
    path = tmp_path / "data.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (a REAL, b TEXT)")
        connection.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400000)"
            " INSERT INTO t SELECT (i * 7919) % 400009 / 8.0, hex(randomblob(100)) FROM n"
        )
        connection.commit()
    script = (
        "import sys; from pathlib import Path; from ops.run.job import Job\n"
        "from ops.snapshots.create import *; from ops.snapshots.definition import Definition\n"
        "from ops.snapshots.table import Live\n"
        "create_snapshot(Live(path=Path(sys.argv[1]), timeout_s=1), Definition(name='t', table='t'),"
        " CreateRequest(folder=Path(sys.argv[2])), Job())\n"
        # Of this program alone: the maximum that getrusage() knows begins with that of the one that started it.
        "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    )
    command: list[str | Path] = [sys.executable, "-c", script, path, tmp_path / "out"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    (written,) = (tmp_path / "out").glob("*.csv")
    assert written.stat().st_size > 80_000_000
    assert int(ended.stdout) < 150_000


def test_a_folder_that_can_not_be_made_says_so(live: Live, tmp_path: Path) -> None:
    """Where a file stands in the way of the folder, the error names it."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="file"):
        create(live, tmp_path / "file" / "snapshots")


def test_the_day_is_that_of_utc(live: Live, tmp_path: Path) -> None:
    """A create at half past eleven in the evening of UTC belongs to that day, wherever the machine is."""
    job = Job(clock=lambda: datetime.fromisoformat("2026-03-16T05:15:00+05:45").astimezone(UTC))
    written = create_snapshot(live, PRICES, CreateRequest(folder=tmp_path, ticker="PETR4"), job)
    assert written.path.name == "PETR4-20260315.csv"


@pytest.mark.parametrize("form", ["csv", "json"])
@pytest.mark.parametrize(
    ("first", "second"), [("A/B", "A_B"), ("A_B", "A/B"), ("^BVSP", "_BVSP"), ("A.B.SA", "A_B")]
)
def test_two_tickers_of_one_file_name(tmp_path: Path, first: str, second: str, form: str) -> None:
    """The second one is refused as that, with --replace too, and the first one stays; under a name of its own it is written."""
    path = tmp_path / "data.db"
    make_prices(path, [price(first.removesuffix(".SA"), 3), price(second, 3)])
    live = Live(path=path, timeout_s=1)
    written = create(live, tmp_path / "out", first, form=form)
    before = written.path.read_bytes()
    for replace in (False, True):
        with pytest.raises(RefusedError) as caught:
            create(live, tmp_path / "out", second, form=form, replace=replace)
        assert caught.value.code == "refused.snapshot_of_another"
        assert repr(second) in caught.value.message
        assert "--replace" not in f"{caught.value.message} {caught.value.hint}"
        assert written.path.read_bytes() == before
    assert create(live, tmp_path / "out", second, form=form, out=tmp_path / f"own.{form}").rows == 1
    assert create(live, tmp_path / "out", first, form=form).status is Status.UNCHANGED


@pytest.mark.parametrize("content", [b"", b"\n", b"x", b"[", b"\0\0", b"ticker\n", b'ticker\n"a'])
def test_a_file_that_does_not_say_whose_it_is(live: Live, tmp_path: Path, content: bytes) -> None:
    """It is told as other content, and replaced where that is asked for."""
    for form in ("csv", "json"):
        path = create(live, tmp_path / "out", form=form).path
        path.write_bytes(content)
        path.with_name(f"{path.name}.checksum").unlink()
        with pytest.raises(RefusedError) as caught:
            create(live, tmp_path / "out", form=form)
        assert caught.value.code == "refused.snapshot_differs"
        assert create(live, tmp_path / "out", form=form, replace=True).status is Status.REPLACED
