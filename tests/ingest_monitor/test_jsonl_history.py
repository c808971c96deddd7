"""The history in a file of JSON lines: four shapes in one file, lines that are none, a last line that is cut."""

from __future__ import annotations

import gzip
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.errors import SourceError
from ops.ingest_monitor.entry import Kind, wanted_words
from ops.ingest_monitor.history import Query, is_wanted, newest_first
from ops.ingest_monitor.jsonl_history import LinesHistory
from ops.model.findings import Severity
from tests.ingest_monitor.histories import NOW, job, written_lines

RAW = {
    "job_id": "r1",
    "source": "yfinance",
    "fetched_at": "2026-03-15T08:00:00+00:00",
    "raw_checksum": "ab",
    "rows": 5,
    "filepath": "raw/yfinance/PETR4.SA-20260315T080000Z.csv",
    "status": "success",
    "created_at": "2026-03-15T08:00:01Z",
}
RUN = {
    "job_id": "p1",
    "ticker": "PETR4",
    "source": "yfinance",
    "status": "success",
    "started_at": "2026-03-15T08:00:00.000000Z",
    "finished_at": "2026-03-15T08:00:02.500000Z",
    "persist": {"status": "success", "cached": False, "rows_processed": 5},
    "duration": "1.23s",
    "lock_action": "acquired",
    "lock_waited_seconds": 0.0,
}
TIMEOUT = {
    "job_id": "p2",
    "ticker": "VALE3",
    "source": "yfinance",
    "status": "error",
    "started_at": "2026-03-15T09:00:00Z",
    "finished_at": "2026-03-15T09:02:00Z",
    "error_message": "lock timeout",
    "lock_action": "timeout",
    "lock_waited_seconds": 120.0,
}
INVALID = {
    "job_id": "",
    "provider": "yfinance",
    "ticker": "PETR4",
    "raw_file": "raw/x.csv",
    "invalid_filepath": "raw/yfinance/invalid-PETR4-20260315T080000Z.csv",
    "invalid_count": 3,
    "error_details": [{"row_index": 1}],
    "created_at": "2026-03-15T08:00:02+00:00",
}


def history(path: Path, *documents: object) -> LinesHistory:
    """One with these lines."""
    return LinesHistory(written_lines(path / "ingest.jsonl", documents), {})


def test_the_four_shapes(tmp_path: Path) -> None:
    """Whole jobs, kept answers, lock time-outs and rejected rows are told apart, each with what it says."""
    entries = {entry.job_id: entry for entry in history(tmp_path, RAW, RUN, TIMEOUT, INVALID).newest(Query())}
    raw, run, timeout, invalid = (entries[name] for name in ("r1", "p1", "p2", None))
    assert (raw.kind, raw.ticker, raw.rows_fetched, raw.provider) == (Kind.RAW, "PETR4.SA", 5, "yfinance")
    assert (run.kind, run.ticker, run.rows_fetched, run.latency_ms) == (Kind.RUN, "PETR4", 5, 1230)
    assert run.finished_at == datetime(2026, 3, 15, 8, 0, 2, 500_000, tzinfo=UTC)
    assert (timeout.succeeded, timeout.error_message, timeout.latency_ms) == (False, "lock timeout", 120_000)
    assert (invalid.kind, invalid.invalid_rows, invalid.status) == (Kind.INVALID, 3, "invalid")


def test_a_job_of_which_only_a_step_is_kept_is_no_ingest(tmp_path: Path) -> None:
    """A provider's answer that was kept does not make its ticker up to date; the job's own entry does."""
    later = {"fetched_at": "2026-03-15T10:00:00Z", "created_at": "2026-03-15T10:00:01Z"}
    found = history(tmp_path, {**RAW, **later, "filepath": "raw/yfinance/PETR4-20260315T100000Z.csv"}, RUN)
    assert found.newest(Query(limit=1))[0].kind is Kind.RAW
    assert found.last_successes(["PETR4"])["PETR4"].job_id == "p1"


def test_dry_runs_are_no_jobs(tmp_path: Path) -> None:
    """What was only tried out is in no answer."""
    assert history(tmp_path, {**RUN, "dry_run": True}).newest(Query()) == []


def test_lines_that_are_none(tmp_path: Path) -> None:
    """They are counted and said; the others are read. A last line without its end is said to be cut."""
    found = history(tmp_path, RUN, [1], "text", TIMEOUT)
    path = tmp_path / "ingest.jsonl"
    path.write_bytes(path.read_bytes() + b"\n{broken}\n" + b"[" * 100_000 + b"\n" + b'{"job_id": "cut')
    assert {entry.job_id for entry in found.newest(Query())} == {"p1", "p2"}
    assert [(item.code, item.severity) for item in found.findings] == [
        ("ingest.line_invalid", Severity.WARNING),
        ("ingest.line_cut", Severity.OK),
    ]
    assert "4 lines" in found.findings[0].message


def test_a_whole_last_line_without_its_end_counts(tmp_path: Path) -> None:
    """The application may have been about to write the line end: what is there whole is read."""
    found = history(tmp_path, RUN)
    path = tmp_path / "ingest.jsonl"
    path.write_bytes(path.read_bytes().rstrip(b"\n"))
    assert len(found.newest(Query())) == 1
    assert [item.code for item in found.findings] == ["ingest.line_cut"]


def test_no_file_and_an_empty_one(tmp_path: Path) -> None:
    """No job has run yet: an empty history, and no error; a folder in its place is one."""
    assert LinesHistory(tmp_path / "gone.jsonl", {}).tickers() == []
    (tmp_path / "empty.jsonl").touch()
    assert LinesHistory(tmp_path / "empty.jsonl", {}).newest(Query()) == []
    with pytest.raises(SourceError):
        LinesHistory(tmp_path, {}).tickers()


def test_other_names(tmp_path: Path) -> None:
    """Keys can be mapped like columns."""
    path = written_lines(tmp_path / "x.jsonl", [{"symbol": "A", "state": "ok", "at": 1773561600}])
    (entry,) = LinesHistory(path, {"ticker": "symbol", "status": "state", "started_at": "at"}).newest(Query())
    assert (entry.ticker, entry.succeeded, entry.begun) == ("A", True, datetime(2026, 3, 15, 8, tzinfo=UTC))


@given(
    ages=st.lists(st.integers(0, 30), max_size=30),
    since=st.one_of(st.none(), st.integers(0, 30)),
    limit=st.integers(0, 8),
    offset=st.integers(0, 8),
    words=st.sampled_from([None, "error"]),
)
def test_pages_are_those_of_the_whole(
    tmp_path_factory: pytest.TempPathFactory,
    ages: list[int],
    since: int | None,
    limit: int,
    offset: int,
    words: str | None,
) -> None:
    """A page that is collected in one pass holds what sorting everything would put on it."""
    documents = [
        job(
            "A",
            timedelta(hours=ago, seconds=number),
            "error" if number % 3 else "success",
            job_id=str(number),
        )
        for number, ago in enumerate(ages)
    ]
    found = history(tmp_path_factory.mktemp("lines"), *documents)
    query = Query(
        since=None if since is None else NOW - timedelta(hours=since),
        words=wanted_words(words) if words else None,
        limit=limit,
        offset=offset,
    )
    everything = [entry for entry in found.newest(Query(limit=1000)) if is_wanted(entry, query)]
    assert found.newest(query) == newest_first(everything, query)


def lines_of(*numbers: int) -> str:
    """Runs with these numbers."""
    return "".join(json.dumps({**RUN, "job_id": f"p{number}"}) + "\n" for number in numbers)


def ids(history: LinesHistory) -> list[str]:
    """The jobs of one pass, oldest first."""
    return sorted(str(entry.job_id) for entry in history.newest(Query(limit=100)))


def test_all_passes_see_the_same(tmp_path: Path) -> None:
    """What is appended, and a rotation, between two passes change nothing in the second; the next look sees it."""
    path = tmp_path / "ingest.jsonl"
    path.write_text(lines_of(1, 2))
    history = LinesHistory(path, {})
    assert ids(history) == ["p1", "p2"]
    with path.open("a") as file:
        file.write(lines_of(3))
    assert ids(history) == ["p1", "p2"]
    path.rename(tmp_path / "ingest.jsonl.1")
    path.write_text(lines_of(4))
    assert ids(history) == ["p1", "p2"]
    assert history.tickers() == ["PETR4"]
    assert ids(LinesHistory(path, {})) == ["p1", "p2", "p3", "p4"]


@pytest.mark.parametrize("zipped", [False, True])
def test_what_was_rotated_away(tmp_path: Path, zipped: bool) -> None:
    """The log before this one is read as well, plain or compressed; without a new one yet it is all there is."""
    path, before = tmp_path / "ingest.jsonl", lines_of(1, 2).encode()
    if zipped:
        (tmp_path / "ingest.jsonl.1.gz").write_bytes(gzip.compress(before))
    else:
        (tmp_path / "ingest.jsonl.1").write_bytes(before)
    assert ids(LinesHistory(path, {})) == ["p1", "p2"]
    path.write_text(lines_of(3))
    history = LinesHistory(path, {})
    assert [ids(history), ids(history)] == [["p1", "p2", "p3"]] * 2


def test_a_damaged_old_log(tmp_path: Path) -> None:
    """What can be read of it counts, and that it has no end is said."""
    content = gzip.compress(lines_of(*range(200)).encode())
    (tmp_path / "ingest.jsonl.1.gz").write_bytes(content[: len(content) // 2])
    (tmp_path / "ingest.jsonl").write_text(lines_of(900))
    history = LinesHistory(tmp_path / "ingest.jsonl", {})
    assert "p900" in ids(history)
    assert "ingest.line_cut" in {item.code for item in history.findings}


def test_a_log_that_is_truncated(tmp_path: Path) -> None:
    """Copied and truncated between two passes: an error that says so, and no verdict on the jobs."""
    path = tmp_path / "ingest.jsonl"
    path.write_text(lines_of(1, 2))
    history = LinesHistory(path, {})
    history.tickers()
    path.write_text("")
    with pytest.raises(SourceError, match="was truncated") as caught:
        history.tickers()
    assert caught.value.code == "source.changed"


@pytest.mark.timeout(20)
def test_a_pipe(tmp_path: Path) -> None:
    """It is refused at once, and not waited for."""
    os.mkfifo(tmp_path / "ingest.jsonl")
    with pytest.raises(SourceError, match="no regular file") as caught:
        LinesHistory(tmp_path / "ingest.jsonl", {}).tickers()
    assert caught.value.code == "source.not_a_file"
