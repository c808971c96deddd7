"""The history in a table: what is found whatever form the time has, with and without an index, beside a living writer."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ops.errors import SourceError
from ops.ingest_monitor.entry import Entry, wanted_words
from ops.ingest_monitor.history import Query, is_wanted, newest_first
from ops.ingest_monitor.settings import IngestSettings
from ops.ingest_monitor.table_history import examine_index, opened_table
from ops.ingest_monitor.timestamps import EPOCH
from ops.model.findings import Severity
from tests.ingest_monitor.histories import COLUMNS, INDEX, NOW, Row, job, table_of, written_table

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
HALF_A_MINUTE = timedelta(seconds=30)
"""Julian days are a few microseconds off: nothing in the test begins at the very moment that is asked for."""
FORMS: tuple[Callable[[datetime], object], ...] = (
    lambda moment: moment.isoformat(),
    lambda moment: moment.astimezone(timezone(timedelta(hours=14))).isoformat(),
    lambda moment: moment.astimezone(timezone(-timedelta(hours=12))).isoformat(),
    lambda moment: f"{moment:%Y-%m-%d %H:%M:%S}",
    lambda moment: int(moment.timestamp()),
    lambda moment: int(moment.timestamp() * 1000),
    lambda moment: int(moment.timestamp() * 1_000_000),
    lambda moment: str(int(moment.timestamp())),
    lambda moment: str(int(moment.timestamp() * 1000)),
    lambda moment: moment.timestamp() / 86400 + 2440587.5,
)

_jobs = st.lists(
    st.tuples(
        st.sampled_from(["A", "B", "C"]),
        st.integers(0, 40),
        st.sampled_from(["success", "error", "running", "OK "]),
        st.sampled_from(range(len(FORMS))),
    ),
    max_size=30,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    jobs=_jobs,
    index=st.booleans(),
    affinity=st.sampled_from(["", "TEXT", "INTEGER", "REAL"]),
    since=st.one_of(st.none(), st.integers(0, 40)),
    page=st.tuples(st.integers(0, 8), st.integers(0, 8)),
    ticker=st.sampled_from([None, "A", "D"]),
    words=st.sampled_from([None, "error", "success"]),
)
@example(  # a day before by its text, and yet since then
    jobs=[("A", 5, "success", 2)], index=True, affinity="", since=6, page=(8, 0), ticker="A", words=None
)
@example(  # the newest, behind two others in the order of the texts
    jobs=[("A", 1, "success", 0), ("A", 2, "success", 0), ("A", 0, "success", 2)],
    index=True,
    affinity="",
    since=None,
    page=(1, 0),
    ticker="A",
    words=None,
)
def test_the_same_as_reading_every_row(
    tmp_path_factory: pytest.TempPathFactory,
    jobs: list[tuple[str, int, str, int]],
    index: bool,
    affinity: str,
    since: int | None,
    page: tuple[int, int],
    ticker: str | None,
    words: str | None,
) -> None:
    """Whatever forms are mixed in the column, each question finds what a look at every row finds, in its order."""
    rows = [
        {
            "ticker": name,
            "job_id": str(number),
            "started_at": FORMS[form](NOW - ago * HOUR - number * timedelta(seconds=60)),
            "status": status,
        }
        for number, (name, ago, status, form) in enumerate(jobs)
    ]
    columns = COLUMNS.replace("started_at", f"started_at {affinity}")
    with table_of(tmp_path_factory.mktemp("t") / "data.db", rows, columns=columns, index=index) as history:
        entries = [_expected(number, *one) for number, one in enumerate(jobs)]
        query = Query(
            ticker=ticker,
            since=None if since is None else NOW - since * HOUR - HALF_A_MINUTE,
            words=wanted_words(words) if words else None,
            limit=page[0],
            offset=page[1],
        )
        wanted = newest_first([entry for entry in entries if is_wanted(entry, query)], query)
        assert [entry.job_id for entry in history.newest(query)] == [entry.job_id for entry in wanted]
        names = sorted({name for name, *_ in jobs})
        assert history.tickers() == names
        moment = NOW - (since or 0) * HOUR - HALF_A_MINUTE
        found = sorted(entry.job_id or "" for entry in history.since(names, moment))
        assert found == sorted(
            entry.job_id or "" for entry in entries if is_wanted(entry, Query(since=moment))
        )
        last = {name: entry.job_id for name, entry in history.last_successes(names).items()}
        assert last == _last_successes(entries)


def _expected(number: int, name: str, ago: int, status: str, form: int) -> Entry:
    begun = NOW - ago * HOUR - number * timedelta(seconds=60)
    assert form < len(FORMS)
    return Entry(ticker=name, job_id=str(number), started_at=begun, status=status)


def _last_successes(entries: list[Entry]) -> dict[str, str | None]:
    newest: dict[str, str | None] = {}
    for entry in sorted(entries, key=lambda entry: entry.begun or EPOCH):
        if entry.succeeded and entry.ticker:
            newest[entry.ticker] = entry.job_id
    return newest


def test_entries_without_any_time(tmp_path: Path) -> None:
    """What has no time, or none that can be read, is shown last, and never where a time was asked for."""
    rows: list[Row] = [
        {"ticker": "A", "status": "error"},
        job("A", HOUR),
        {"ticker": "A", "status": "error", "started_at": "soon"},
    ]
    with table_of(tmp_path / "data.db", rows) as history:
        assert [entry.begun is None for entry in history.newest(Query())] == [False, True, True]
        assert len(history.newest(Query(since=NOW - DAY))) == 1


def test_odd_values(tmp_path: Path) -> None:
    """Text that is no UTF-8, numbers as text, blobs and rows without a ticker neither stop the reading nor lie."""
    path = written_table(
        tmp_path / "data.db", [job("A", HOUR, attempt="2", retry_after="1.5", rows_fetched="many")]
    )
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute(
            "INSERT INTO ingest_logs (ticker, status, started_at, error_message) VALUES"
            " (NULL, 'error', '2026-03-15', CAST(x'ff41' AS TEXT)), (x'42', 'success', '2026-03-15', x'ff')"
        )
        connection.commit()
    with opened_table(path, IngestSettings(), 5) as history:
        first, *others = history.newest(Query())
        assert (first.attempt, first.retry_after, first.rows_fetched) == (2, 1.5, None)
        assert {entry.error_message for entry in others} <= {"\ufffdA", "\ufffd"}
        assert "A" in history.tickers()


def test_a_missing_table(tmp_path: Path) -> None:
    """Without the table the answer is an error that says where to name another, not an empty history."""
    path = tmp_path / "data.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE other (x)")
        connection.commit()
    with pytest.raises(SourceError) as caught, opened_table(path, IngestSettings(), 5):
        pass
    assert caught.value.code == "ingest.table_missing"


@pytest.mark.parametrize(
    ("columns", "lost"),
    [
        ("ticker TEXT, started_at TEXT", "'status'"),
        ("status TEXT, started_at TEXT", "'ticker'"),
        ("ticker TEXT, status TEXT", "'started_at'"),
    ],
)
def test_missing_columns_without_which_nothing_can_be_said(tmp_path: Path, columns: str, lost: str) -> None:
    """No ticker, no status or no time: an error that names the column and how to say which one it is."""
    path = written_table(tmp_path / "data.db", [], columns=columns, index=False)
    with pytest.raises(SourceError) as caught, opened_table(path, IngestSettings(), 5):
        pass
    assert caught.value.code == "ingest.column_missing"
    assert lost in caught.value.message


def test_other_columns_may_be_missing_or_called_otherwise(tmp_path: Path) -> None:
    """Columns can be mapped; what is not there is empty and said, and a mapped one that is not there is an error."""
    columns = "SYMBOL TEXT, state TEXT, ended TEXT"
    path = written_table(tmp_path / "data.db", [], columns=columns, index=False)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("INSERT INTO ingest_logs VALUES ('A', 'success', '2026-03-15')")
        connection.commit()
    mapped = {"ticker": "symbol", "status": "state", "finished_at": "ended"}
    with opened_table(path, IngestSettings(columns=mapped), 5) as history:
        (entry,) = history.newest(Query())
        assert (entry.ticker, entry.succeeded, entry.rows_fetched) == ("A", True, None)
        (finding,) = history.findings
        assert "rows_fetched" in finding.message
    with (
        pytest.raises(SourceError, match="'gone'"),
        opened_table(path, IngestSettings(columns={**mapped, "job_id": "gone"}), 5),
    ):
        pass


def test_the_index_that_is_proposed_is_the_one_that_serves(tmp_path: Path) -> None:
    """Without an index on ticker and time one is proposed; made as proposed, it is found to serve."""
    path = written_table(tmp_path / "data.db", [job("A", HOUR)], index=False)
    with opened_table(path, IngestSettings(), 5) as history:
        finding = examine_index(history)
        assert (finding.code, finding.severity) == ("ingest.no_index", Severity.OK)
        statement = history.columns.index_statement
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute(statement)
    with opened_table(path, IngestSettings(), 5) as history:
        assert examine_index(history).code == "ingest.index"


def test_a_large_table_without_an_index_is_a_warning(tmp_path: Path) -> None:
    """From a hundred thousand rows on, reading them all for each question is worth a look."""
    path = written_table(tmp_path / "data.db", [], index=False)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("INSERT INTO ingest_logs (rowid, ticker, status) VALUES (100000, 'A', 'success')")
        connection.commit()
    with opened_table(path, IngestSettings(), 5) as history:
        assert examine_index(history).severity is Severity.WARNING


def test_a_partial_index_does_not_serve(tmp_path: Path) -> None:
    """An index that leaves rows out is none, or those rows would never be found."""
    path = written_table(tmp_path / "data.db", [job("A", HOUR, "error"), job("A", DAY)], index=False)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute(f"{INDEX} WHERE status = 'success'")
    with opened_table(path, IngestSettings(), 5) as history:
        assert not history.columns.by_time
        assert len(history.newest(Query())) == 2


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_beside_a_writer(tmp_path: Path, mode: str) -> None:
    """Neither waits for the other: a writer that commits all the time, and questions all the time, both get on."""
    path = written_table(tmp_path / "data.db", [job("A", HOUR)], mode=mode)
    stop, written, failed = threading.Event(), [0], list[str]()

    def write() -> None:
        with contextlib.closing(sqlite3.connect(path, timeout=5, isolation_level=None)) as connection:
            while not stop.is_set():
                try:
                    connection.execute(
                        "INSERT INTO ingest_logs (ticker, status, started_at) VALUES ('A', 'success', '2026-03-15')"
                    )
                    written[0] += 1
                except sqlite3.Error as error:
                    failed.append(str(error))
                time.sleep(0.002)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for _ in range(40):
            with opened_table(path, IngestSettings(), 5) as history:
                assert history.tickers() == ["A"]
                assert history.newest(Query(limit=3))
    finally:
        stop.set()
        thread.join()
    assert failed == []
    assert written[0] > 0


def test_nothing_is_written_beside_the_database(tmp_path: Path) -> None:
    """After the look the folder holds what it held before."""
    path = written_table(tmp_path / "data.db", [job("A", HOUR)])
    before = sorted(item.name for item in tmp_path.iterdir()), path.read_bytes()
    with opened_table(path, IngestSettings(), 5) as history:
        history.newest(Query())
    assert (sorted(item.name for item in tmp_path.iterdir()), path.read_bytes()) == before
