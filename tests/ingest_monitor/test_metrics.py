"""What the metrics of a ticker are, and what of them needs a look."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from ops.ingest_monitor import lock_files as locks
from ops.ingest_monitor.jsonl_history import LinesHistory
from ops.ingest_monitor.lock_files import find_locks
from ops.ingest_monitor.metrics import Measured, measure
from ops.ingest_monitor.settings import IngestSettings
from ops.model.findings import Severity
from tests.ingest_monitor.histories import NOW, job, table_of, written_lines

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
EVERYTHING = slice(None)


def measured(folder: Path, *rows: Mapping[str, object], settings: IngestSettings | None = None) -> Measured:
    """The metrics of a table with these rows."""
    with table_of(folder / "data.db", rows) as history:
        return measure(history, settings or IngestSettings(), None, EVERYTHING, NOW)


def told(found: Measured) -> list[tuple[str, str]]:
    """Severity and code of what needs a look."""
    return [(str(item.severity), item.code) for item in found.findings if item.severity is not Severity.OK]


def test_what_is_counted(tmp_path: Path) -> None:
    """The last ingest is of all time; rows, errors and latency are of the window, and of jobs that ended well."""
    found = measured(
        tmp_path,
        job("A", 2 * HOUR, rows_fetched=7, duration_ms=1000),
        job("A", 5 * HOUR, rows_fetched=5, duration_ms=3000),
        job("A", 6 * HOUR, "error", rows_fetched=99, duration_ms=90_000),
        job("A", 9 * DAY, rows_fetched=1000, duration_ms=90_000),
        job("B", 9 * DAY),
    )
    first, second = found.tickers
    assert (first.ticker, first.rows, first.errors, first.jobs, first.latency_ms) == ("A", 12, 1, 3, 2000)
    assert first.lag_s == (2 * HOUR - timedelta(seconds=2)).total_seconds()
    assert (second.ticker, second.rows, second.jobs, second.latency_ms) == ("B", 0, 0, None)
    assert second.lag_s == (9 * DAY - timedelta(seconds=2)).total_seconds()


@pytest.mark.parametrize(
    ("ago", "expected"),
    [
        (HOUR, []),
        (DAY, []),
        (DAY + HOUR, [("warning", "ingest.lag_high")]),
        (3 * DAY + HOUR, [("critical", "ingest.lag_critical")]),
        (-HOUR, [("warning", "ingest.clock_ahead")]),
    ],
)
def test_lag(tmp_path: Path, ago: timedelta, expected: list[tuple[str, str]]) -> None:
    """Above the threshold is a warning, far above is critical, and an ingest in the future is a wrong clock."""
    assert told(measured(tmp_path, job("A", ago))) == expected


def test_nothing_yet_is_not_fine(tmp_path: Path) -> None:
    """An empty history is a warning; so is a first job at work; one that only ever failed is critical."""
    assert told(measured(tmp_path)) == [("warning", "ingest.no_history")]
    for number, (status, severity, ended) in enumerate(
        [("running", "warning", False), ("error", "critical", True), ("falha", "critical", True),
         ("whatever", "critical", True), ("whatever", "warning", False)]
    ):  # fmt: skip
        (tmp_path / str(number)).mkdir()
        row = {**job("A", HOUR, status), **({} if ended else {"finished_at": None})}
        found = measured(tmp_path / str(number), row)
        assert told(found)[0] == (severity, "ingest.never_succeeded")
        assert ("'whatever', a word that is not known" in found.findings[0].message) is (
            status == "whatever" and ended
        )


def test_the_last_job_failed(tmp_path: Path) -> None:
    """Data may be young enough, and yet the newest job went wrong."""
    found = measured(tmp_path, job("A", 2 * HOUR), job("A", HOUR, "failed", error_message="HTTP 503"))
    assert told(found) == [("warning", "ingest.last_failed")]
    assert "HTTP 503" in found.findings[-1].message


def test_many_tickers_alike_are_told_once(tmp_path: Path) -> None:
    """A provider that is down makes one line of findings, not hundreds; the worst of them decides."""
    rows = [job(f"T{number:03}", (2 if number else 9) * DAY) for number in range(30)]
    found = measured(tmp_path, *rows)
    assert told(found) == [("critical", "ingest.lag_critical"), ("warning", "ingest.lag_high")]
    assert "29 tickers alike" in found.findings[-1].message


def test_pages(tmp_path: Path) -> None:
    """Tickers come in the order of their names; a page has its own, and the total is of all."""
    with table_of(tmp_path / "data.db", [job(name, HOUR) for name in "DBCA"]) as history:
        found = measure(history, IngestSettings(), None, slice(1, 3), NOW)
        assert ([item.ticker for item in found.tickers], found.total) == (["B", "C"], 4)
        assert measure(history, IngestSettings(), ["C"], EVERYTHING, NOW).total == 1
        assert told(measure(history, IngestSettings(), ["X"], EVERYTHING, NOW)) == [
            ("warning", "ingest.no_history")
        ]
        assert measure(history, IngestSettings(), None, slice(9, 12), NOW).tickers == []


def test_a_step_of_a_job_is_no_job(tmp_path: Path) -> None:
    """A provider's answer that was kept, for which the log has an entry too, is not counted beside its job."""
    kept = {"raw_checksum": "ab", "rows": 5, "status": "error", "filepath": "raw/p/A-20260315T100000Z.csv"}
    documents = [job("A", HOUR), {**kept, "fetched_at": (NOW - HOUR).isoformat()}]
    history = LinesHistory(written_lines(tmp_path / "x.jsonl", documents), {})
    (found,) = measure(history, IngestSettings(), None, EVERYTHING, NOW).tickers
    assert (found.jobs, found.rows, found.errors) == (1, 5, 0)


def test_rejected_rows(tmp_path: Path) -> None:
    """More rejected rows than allowed are a warning; the share is of all rows that came."""
    documents = [
        job("A", HOUR, rows_fetched=90),
        {"ticker": "A", "invalid_count": 10, "created_at": (NOW - HOUR).isoformat()},
    ]
    history = LinesHistory(written_lines(tmp_path / "x.jsonl", documents), {})
    settings = IngestSettings(invalid_percent=10)
    assert told(measure(history, settings, None, EVERYTHING, NOW)) == []
    stricter = replace(settings, invalid_percent=9.9)
    assert told(measure(history, stricter, None, EVERYTHING, NOW)) == [("warning", "ingest.invalid_rows")]


@pytest.mark.skipif(not Path("/proc/locks").exists(), reason="the kernel does not say who holds a lock")
@pytest.mark.parametrize("way", ["flock", "lockf"])
def test_locks_are_seen_and_never_touched(tmp_path: Path, way: str) -> None:
    """A lock that another process holds is told with its pid, a free one as free, and a held one stays held."""
    held, free = tmp_path / "A.lock", tmp_path / "B.lock"
    free.touch()
    code = f"import fcntl,sys; f=open(sys.argv[1],'w'); fcntl.{way}(f, fcntl.LOCK_EX); print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, held], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        found = find_locks(tmp_path, ["A", "B", "C", "../A", ".."])
        assert found.keys() == {"A", "B"}
        assert (found["A"].held, found["A"].pid, found["B"].held) == (True, process.pid, False)
        with held.open("w") as file, pytest.raises(OSError, match="unavailable"):
            getattr(fcntl, way)(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert process.stdin is not None
        process.stdin.close()
        process.wait(30)
    assert find_locks(tmp_path, ["A"])["A"].held is False


def test_a_lock_on_another_device_is_not_called_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where stat() and the kernel's list name a file system differently, nobody knows whether the lock is held."""
    for name in ("A", "B"):
        (tmp_path / f"{name}.lock").touch()
    inode = (tmp_path / "A.lock").stat().st_ino
    (tmp_path / "locks").write_text(f"1: FLOCK  ADVISORY  WRITE 77 ff:fe:{inode} 0 EOF\n")
    monkeypatch.setattr(locks, "_KERNEL", tmp_path / "locks")
    found = find_locks(tmp_path, ["A", "B"])
    assert (found["A"].held, found["A"].pid, found["B"].held) == (None, None, False)


@pytest.mark.skipif(not Path("/proc/locks").exists(), reason="the kernel does not say who holds a lock")
def test_a_lock_that_is_held_too_long(tmp_path: Path) -> None:
    """A lock that is held longer than others wait for it is a warning that names the process."""
    path = tmp_path / "A.lock"
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        os.utime(path, (0, (NOW - HOUR).timestamp()))
        settings = IngestSettings(locks=tmp_path)
        found = measured(tmp_path, job("A", HOUR), settings=settings)
        assert told(found) == [("warning", "ingest.lock_held")]
        assert str(os.getpid()) in found.findings[-1].message
        (tmp_path / "data.db").unlink()
        os.utime(path, (0, (NOW - timedelta(seconds=60)).timestamp()))
        assert told(measured(tmp_path, job("A", HOUR), settings=settings)) == []
