"""Histories of ingest jobs for tests: tables and files, written by plain means."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ops.ingest_monitor.settings import FIELDS, IngestSettings
from ops.ingest_monitor.table_history import TableHistory, opened_table

NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)
COLUMNS = (
    "ticker TEXT, job_id TEXT, started_at, finished_at, rows_fetched INTEGER, status TEXT, error_message TEXT,"
    " duration_ms INTEGER, provider TEXT, attempt INTEGER, retry_after INTEGER"
)
INDEX = "CREATE INDEX by_ticker_and_time ON ingest_logs (ticker, started_at)"
Row = Mapping[str, Any]


def job(ticker: str, ago: timedelta, status: str = "success", **more: object) -> dict[str, object]:
    """One job that began so long ago and took two seconds."""
    begun = NOW - ago
    times = {"started_at": begun.isoformat(), "finished_at": (begun + timedelta(seconds=2)).isoformat()}
    return {"ticker": ticker, **times, "status": status, "rows_fetched": 5, "provider": "yfinance", **more}


def written_table(
    path: Path, rows: Sequence[Row], *, columns: str = COLUMNS, index: bool = True, mode: str = "wal"
) -> Path:
    """A database with that history."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA journal_mode={mode}")
        connection.execute(f"CREATE TABLE ingest_logs ({columns})")
        for row in rows:
            marks = ", ".join("?" * len(row))
            connection.execute(
                f"INSERT INTO ingest_logs ({', '.join(row)}) VALUES ({marks})",
                list(row.values()),
            )
        if index:
            connection.execute(INDEX)
        connection.commit()
    return path


@contextmanager
def table_of(path: Path, rows: Sequence[Row], **more: Any) -> Iterator[TableHistory]:  # noqa: ANN401 - as written_table
    """That history, opened."""
    with opened_table(written_table(path, rows, **more), IngestSettings(), 5) as history:
        yield history


def written_lines(path: Path, documents: Sequence[object]) -> Path:
    """A file of JSON lines, as the application writes them."""
    text = "".join(f"{json.dumps(document, ensure_ascii=False)}\n" for document in documents)
    path.write_text(text, "utf-8")
    return path


assert set(FIELDS) == {part.split()[0] for part in COLUMNS.split(", ")}
