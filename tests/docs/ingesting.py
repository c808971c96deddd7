"""Folders of the pages about the ingest side: a history that goes on until now, jobs that failed, a provider that answers."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Final

from tests.docs.fixtures import backed_up, demo
from tests.docs.place import Place
from tests.ingest_monitor.serving import Answer, serving

_PROVIDER: Final = "127.0.0.1:8080"
_AGE: Final = timedelta(hours=2, minutes=1)
_PAST_THE_MINUTE_S: Final = 11
"""The seconds that make the ages of all tickers longest away from their next minute."""
_RUN_INGEST: Final = """\
#!/bin/sh
sqlite3 dados/data.db "insert into ingest_logs values ('$1', 'a9b7e1d2-6c1f-4a52-8f0e-3d1c5b7a9e10',
  strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-2 seconds'), strftime('%Y-%m-%dT%H:%M:%fZ', 'now'),
  2, 'success', null, 2000, 'yfinance', 1, null)"
"""
"""Stands for the application: one job that ends well."""


def ingested(place: Place) -> None:
    """The demo, backed up, whose last ingest jobs ended two hours ago."""
    backed_up(place)
    _move_to_now(place)


def _move_to_now(place: Place) -> None:
    with closing(sqlite3.connect(place.folder / "dados" / "data.db")) as connection:
        (newest,) = connection.execute("select max(finished_at) from ingest_logs").fetchone()
        last = datetime.fromisoformat(newest).replace(second=_PAST_THE_MINUTE_S, microsecond=0)
        shift = datetime.now(UTC) - _AGE - last

        def moved(text: str) -> str:
            return (datetime.fromisoformat(text) + shift).isoformat()

        connection.create_function("moved", 1, moved, deterministic=True)
        connection.execute(
            "update ingest_logs set started_at = moved(started_at), finished_at = moved(finished_at)"
        )
        connection.commit()


def ingest_late(place: Place) -> None:
    """The provider has limited the rate of VALE3's jobs for two days; `./run-ingest` runs one by hand."""
    ingested(place)
    refusal = (
        "status = 'error', error_message = 'HTTP 429 Too Many Requests', rows_fetched = 0, retry_after = 3600"
    )
    with closing(sqlite3.connect(place.folder / "dados" / "data.db")) as connection:
        (since,) = connection.execute(
            "select min(started_at) from (select started_at from ingest_logs where ticker = 'VALE3'"
            " order by started_at desc limit 3)"
        ).fetchone()
        connection.execute(
            f"update ingest_logs set {refusal} where ticker = 'VALE3' and started_at >= ?", (since,)
        )
        connection.commit()
    program = place.folder / "run-ingest"
    program.write_text(_RUN_INGEST, encoding="ascii")
    program.chmod(0o755)


def ingest_lines(place: Place) -> None:
    """A history in a file of JSON lines in its four shapes, the last line cut off."""
    demo(place)
    with (place.folder / "ops.toml").open("a", encoding="utf-8") as config:
        config.write('\n[ingest]\nlog = "ingest_logs.jsonl"\n')
    (place.folder / "ingest_logs.jsonl").write_text(_LINES, encoding="utf-8")


_LINES: Final = """\
{"job_id": "1", "source": "yfinance", "fetched_at": "2026-03-13T21:00:01Z", "raw_checksum": "65e6", "rows": 2, "filepath": "raw/yfinance/PETR4-20260313T210001Z.csv", "status": "success", "created_at": "2026-03-13T21:00:01Z"}
{"job_id": "2", "source": "yfinance", "fetched_at": "2026-03-13T21:00:02Z", "raw_checksum": null, "rows": 2, "filepath": "raw/yfinance/VALE3-20260313T210002Z.csv", "status": "error", "error_message": "disk full", "created_at": "2026-03-13T21:00:02Z"}
{"job_id": "3", "ticker": "PETR4", "source": "yfinance", "status": "success", "started_at": "2026-03-13T21:00:00Z", "finished_at": "2026-03-13T21:00:03Z", "rows": 2, "duration": "3.00s"}
{"job_id": "", "provider": "yfinance", "ticker": "PETR4", "invalid_count": 1, "raw_file": "PETR4-20260313T210001Z.csv", "created_at": "2026-03-13T21:00:04+00:00"}
{"job_id": "4", "ticker": "WEGE3", "sou"""


def ingest_no_index(place: Place) -> None:
    """The history of the demo without its index."""
    demo(place)
    with closing(sqlite3.connect(place.folder / "dados" / "data.db")) as connection:
        connection.execute("drop index idx_ingest_logs_ticker_started_at")


def provider(place: Place) -> None:
    """The demo, and a provider on this machine that answers at once, or not at the first time."""
    _serve(place, [Answer()], busy=[Answer(503, {"Retry-After": "1"}), Answer()])


def provider_limits(place: Place) -> None:
    """The provider limits our rate, and does not any more when it is asked again."""
    _serve(place, [Answer(429, {"Retry-After": "3600"}), Answer()])


def _serve(place: Place, answers: Sequence[Answer], busy: Sequence[Answer] = ()) -> None:
    demo(place)
    port = place.undo.enter_context(serving({"/quote": answers, "/busy": busy}))
    place.names[_PROVIDER] = f"127.0.0.1:{port}"
    with (place.folder / "ops.toml").open("a", encoding="utf-8") as config:
        for name, path in (("quotes", "quote"), ("busy", "busy")):
            config.write(f'\n[provider.{name}]\nurl = "http://127.0.0.1:{port}/{path}"\n')
