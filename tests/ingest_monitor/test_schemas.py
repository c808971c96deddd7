"""The JSON of the ingest tasks is what docs/schemas says, whatever the history is like."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest

from tests.conftest import execute, run_drillbook
from tests.ingest_monitor.histories import NOW, job, written_lines, written_table
from tests.ingest_monitor.serving import Answer, serving
from tests.schemas.answers import Document

pytestmark = pytest.mark.long

HOUR: Final = timedelta(hours=1)


def answered(folder: Path, task: str, *flags: str) -> Document:
    """The JSON of a task that was run in `folder`, which `run_drillbook` held against its schema."""
    ended = run_drillbook(task, "--format", "json", *flags, cwd=folder)
    document: Document = json.loads(ended.stdout)
    assert document["task"] == task
    assert document["exit_code"] == ended.returncode
    return document


def ago(ticker: str, hours: float, status: str = "success", **more: object) -> dict[str, object]:
    """A job so many hours before the real present."""
    return job(ticker, NOW - datetime.now(UTC) + hours * HOUR, status, **more)


@contextmanager
def history(folder: Path, kind: str) -> Iterator[None]:
    """`folder` with a configuration and a history of that kind."""
    rows: Sequence[Mapping[str, object]] = [
        ago("PETR4", 2, job_id="a", attempt=2),
        ago("PETR4", 3, "error", error_message="HTTP 429", retry_after=30, rows_fetched=None),
        ago("VALE3", 100, "error", error_message="'\n\x1b[31m"),
        {"ticker": "WEGE3", "started_at": "no time", "status": "running"},
    ]
    path, config = folder / "data.db", '[source.prices]\nkind = "sqlite"\npath = "data.db"\nevery = "1d"\n'
    match kind:
        case "table":
            config += '[ingest]\nlocks = "locks"\n'
            (folder / "locks").mkdir()
            (folder / "locks" / "PETR4.lock").touch()
            written_table(path, rows)
        case "empty":
            written_table(path, [])
        case "no-table":
            execute(path, "CREATE TABLE prices (ticker TEXT)")
        case "few-columns":
            written_table(path, [{"ticker": "PETR4", "started_at": 0, "status": "ok"}], columns=_FEW)
        case "lines":
            config += '[ingest]\nlog = "ingest.jsonl"\n'
            written_lines(folder / "ingest.jsonl", [*rows, *_SHAPES, "no object"])
        case _:  # no database at all
            pass
    (folder / "ops.toml").write_text(config, "utf-8")
    yield


_FEW: Final = "ticker TEXT, started_at, status TEXT"
_SHAPES: Final = (
    {"source": "yfinance", "fetched_at": "2026-03-15T08:00:00Z", "raw_checksum": "0" * 64, "rows": 5,
     "filepath": "raw/PETR4-20260315T080000Z.csv", "status": "success", "created_at": "2026-03-15T08:00:01Z"},
    {"job_id": "", "provider": "yfinance", "ticker": "PETR4", "invalid_count": 2, "raw_file": "x",
     "created_at": "2026-03-15T08:00:02+00:00"},
    {"status": 7, "retry_after": 1.5, "duration": "1.23s"},
)  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "tickers", "error"),
    [
        ("table", ["PETR4", "VALE3", "WEGE3"], None),
        ("lines", ["PETR4", "VALE3", "WEGE3"], None),
        ("empty", [], None),
        ("few-columns", ["PETR4"], None),
        ("no-table", [], "ingest.table_missing"),
        ("no-database", [], "source.missing"),
    ],
)
def test_metrics_and_logs(tmp_path: Path, kind: str, tickers: list[str], error: str | None) -> None:
    """Both documents are valid for a full, an empty, a poor and a missing history, also with every filter."""
    with history(tmp_path, kind):
        measured = answered(tmp_path, "metrics")
        answered(tmp_path, "metrics", "--ticker", "PETR4.SA", "--limit", "1", "--offset", "0")
        logged = answered(tmp_path, "logs")
        failed = answered(tmp_path, "logs", "--status", "error", "--since", "7d")
    assert [item["ticker"] for item in measured["results"]] == tickers
    assert [item["source"] for item in measured["backups"]] == ["prices"]
    assert {item["ticker"] for item in logged["results"]} >= set(tickers)
    codes = [[item["code"] for item in document["errors"]] for document in (measured, logged, failed)]
    told = [error] if error else []
    # Where nothing says that there is a history, `metrics` is about the backups.
    assert codes == [[] if kind == "no-table" else told, told, told]
    if kind == "no-table":
        assert measured["total"] == 0
        with (tmp_path / "ops.toml").open("a") as config:
            config.write('[ingest]\nsource = "prices"\n')
        assert [item["code"] for item in answered(tmp_path, "metrics")["errors"]] == told


def test_metrics_of_backups(tmp_path: Path) -> None:
    """A source with a backup that is proven has names and ages where there was null."""
    with history(tmp_path, "table"):
        assert run_drillbook("backup.create", cwd=tmp_path).returncode == 0
        assert run_drillbook("backup.drill", cwd=tmp_path).returncode == 0
        (backup,) = answered(tmp_path, "metrics")["backups"]
    assert backup["last_backup"] == backup["last_proven_backup"]
    assert backup["proven_age_seconds"] >= 0


@pytest.mark.parametrize("flags", [("--limit", "some"), ("--offset", "-1"), ("--config", "nowhere.toml")])
@pytest.mark.parametrize("task", ["metrics", "logs"])
def test_what_can_not_be_done(tmp_path: Path, task: str, flags: tuple[str, str]) -> None:
    """A flag or a configuration that cannot be used gives a valid document, too, with the error in it."""
    with history(tmp_path, "table"):
        document = answered(tmp_path, task, *flags)
    assert (document["exit_code"], len(document["errors"])) == (2, 1)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (Answer(), "provider.answers"),
        (Answer(404), "provider.refused"),
        (Answer(429, {"Retry-After": "3600"}), "provider.rate_limited"),
        (Answer(missing=1), "provider.broken_answer"),
    ],
)
def test_providers(tmp_path: Path, answer: Answer, code: str) -> None:
    """The document is valid for a provider that answers, refuses, limits us, or breaks off."""
    with history(tmp_path, "no-database"), serving({"/quote": [answer]}) as port:
        with (tmp_path / "ops.toml").open("a", encoding="utf-8") as config:
            config.write(f'[provider.quotes]\nurl = "http://127.0.0.1:{port}/quote?key=x"\nretries = 0\n')
        document = answered(tmp_path, "test-conn", "--provider", "quotes", "--no-network")
    assert [item["code"] for item in document["findings"]] == [code]
    assert document["results"][0]["url"].endswith("/quote")


@pytest.mark.parametrize(("provider", "exit_code", "tried"), [("yfinance", 1, [False]), ("nobody", 2, [])])
def test_providers_not_asked(tmp_path: Path, provider: str, exit_code: int, tried: list[bool]) -> None:
    """The document is valid without network, and for a provider that nobody knows."""
    document = answered(tmp_path, "test-conn", "--provider", provider, "--no-network")
    assert (document["exit_code"], [item["tried"] for item in document["results"]]) == (exit_code, tried)
