"""`metrics`, `logs` and `test-conn` as people run them: output, exit codes, and what they choose by themselves."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import execute, run_drillbook
from tests.ingest_monitor.answering import answer, answering
from tests.ingest_monitor.histories import NOW, job, written_lines, written_table

pytestmark = pytest.mark.long

HOUR = timedelta(hours=1)
SOURCE = '[source.prices]\nkind = "sqlite"\npath = "data.db"\n'


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A folder with a configuration and a history up to now: PETR4 is in time and failed once, VALE3 is a day late."""
    (tmp_path / "ops.toml").write_text(SOURCE)
    rows = [
        late("PETR4", HOUR),
        late("PETR4", 2 * HOUR, "error", error_message="HTTP 429"),
        late("VALE3", 25 * HOUR),
    ]
    written_table(tmp_path / "data.db", rows)
    return tmp_path


def late(ticker: str, ago: timedelta, status: str = "success", **more: object) -> dict[str, object]:
    """A job that began so long before now, by the clock of this machine."""
    return job(ticker, NOW - datetime.now(UTC) + ago, status, **more)


def ran(folder: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> tuple[int, str]:
    """Exit code and output."""
    ended = run_drillbook(*arguments, cwd=folder, environment=dict(environment or {}))
    assert "Traceback" not in ended.stderr
    return ended.returncode, ended.stdout


def document(folder: Path, *arguments: str) -> tuple[int, Any]:
    """Exit code and the JSON document."""
    code, output = ran(folder, *arguments, "--format", "json")
    return code, json.loads(output)


def test_metrics(here: Path) -> None:
    """The table has the promised columns, one ticker is late, and the backups' side is told below."""
    code, text = ran(here, "metrics")
    assert code == 1
    assert "Ticker   Last ingest" in text
    assert "Job latency avg   Rows   Errors" in text
    assert "VALE3 is " in text
    assert "(ingest.lag_high)" in text
    assert "prices   none yet" in text


def test_metrics_of_one_ticker(here: Path) -> None:
    """Only that one is told, under the name of the exchange or the short one; one that is in time is fine."""
    for name in ("PETR4", "PETR4.SA"):
        code, found = document(here, "metrics", "--ticker", name)
        (result,) = found["results"]
        assert (code, result["ticker"], result["error_count"], result["rows_fetched"]) == (0, "PETR4", 1, 5)
        assert "backups" not in found
    assert document(here, "metrics", "--ticker", "XXXX3")[0] == 1


def test_thresholds_of_the_environment(here: Path) -> None:
    """The variable of old decides what is late."""
    assert ran(here, "metrics", environment={"METRICS_INGEST_LAG_THRESHOLD": "604800"})[0] == 0
    assert ran(here, "metrics", environment={"METRICS_INGEST_LAG_THRESHOLD": "60"})[0] == 2


def test_pages_of_metrics(here: Path) -> None:
    """A page has its tickers, and says how many there are in all."""
    _, found = document(here, "metrics", "--limit", "1", "--offset", "1")
    assert [result["ticker"] for result in found["results"]] == ["VALE3"]
    assert (found["total"], found["limit"], found["offset"]) == (2, 1, 1)


def test_logs(here: Path) -> None:
    """Newest first; failures that are asked for and found exit 1, the same without any exit 0."""
    code, found = document(here, "logs")
    assert (code, [item["ticker"] for item in found["results"]]) == (0, ["PETR4", "PETR4", "VALE3"])
    code, found = document(here, "logs", "--status", "error")
    assert (code, [item["error_message"] for item in found["results"]]) == (1, ["HTTP 429"])
    assert found["findings"][0]["code"] == "ingest.failures"
    assert document(here, "logs", "--status", "error", "--ticker", "VALE3")[0] == 0
    assert ran(here, "logs", "--ticker", "XXXX3") == (0, "No entries.\n")


@pytest.mark.parametrize(
    ("since", "count"), [("90m", 1), ("12h", 2), ("2000-01-01", 3), ("2999-01-01T00:00:00Z", 0)]
)
def test_logs_since(here: Path, since: str, count: int) -> None:
    """An age, a date or a time: only what began since then."""
    assert len(document(here, "logs", "--since", since)[1]["results"]) == count


@pytest.mark.parametrize(
    "arguments", [("--since", "soon"), ("--limit", "-1"), ("--limit", "10001"), ("--offset", "x")]
)
def test_flags_that_mean_nothing(here: Path, arguments: tuple[str, str]) -> None:
    """A value that means nothing is exit code 2 with its code."""
    code, found = document(here, "logs", *arguments)
    assert (code, found["errors"][0]["code"]) == (2, "usage.bad_value")


def test_a_file_of_lines(tmp_path: Path) -> None:
    """With `log` the file is read, and the database is not asked."""
    (tmp_path / "ops.toml").write_text(f'{SOURCE}[ingest]\nlog = "x.jsonl"\n')
    written_lines(tmp_path / "x.jsonl", [late("PETR4", HOUR)])
    assert document(tmp_path, "metrics", "--ticker", "PETR4")[0] == 0


def test_which_source(here: Path) -> None:
    """With several databases it is the one called prices, or the one that is named; otherwise it has to be said."""
    other = '[source.other]\nkind = "sqlite"\npath = "other.db"\n'
    (here / "ops.toml").write_text(SOURCE + other)
    assert document(here, "logs")[0] == 0
    (here / "ops.toml").write_text(f"{SOURCE.replace('prices', 'quotes')}{other}")
    code, found = document(here, "logs")
    assert (code, found["errors"][0]["code"]) == (2, "config.missing_key")
    (here / "ops.toml").write_text(
        f'{SOURCE.replace("prices", "quotes")}{other}[ingest]\nsource = "quotes"\n'
    )
    assert document(here, "logs")[0] == 0


def test_a_history_that_is_not_there(tmp_path: Path) -> None:
    """A database without the table is an error for `logs` and `metrics`, which tells of backups all the same."""
    (tmp_path / "ops.toml").write_text(SOURCE)
    written_table(tmp_path / "data.db", [], columns="x", index=False)
    assert document(tmp_path, "logs")[1]["errors"][0]["code"] == "ingest.column_missing"
    code, found = document(tmp_path, "metrics")
    assert (code, len(found["backups"])) == (2, 1)


def test_the_age_of_backups(here: Path) -> None:
    """Ages are told against what was promised, and what is overdue is a warning."""
    promised = f'{SOURCE}every = "24h"\nrpo = "1ms"\ndrill_every = "30d"\n'
    (here / "ops.toml").write_text(promised)
    environment = {"METRICS_INGEST_LAG_THRESHOLD": "604800"}
    assert ran(here, "metrics", environment=environment)[0] == 1
    assert ran(here, "backup.create")[0] == 0
    assert ran(here, "backup.drill")[0] in {0, 1}
    code, output = ran(here, "metrics", "--format", "json", environment=environment)
    (ages,) = json.loads(output)["backups"]
    assert ages["last_proven_backup"] == ages["last_backup"]
    assert 0 <= ages["proven_age_seconds"] < 3600
    assert (ages["every_seconds"], ages["drill_every_seconds"]) == (86400, 30 * 86400)
    codes = {item["code"] for item in json.loads(output)["findings"]}
    assert (code, codes) == (1, {"backup.rpo_exceeded"})


def test_a_provider(here: Path) -> None:
    """One that answers is fine, one that refuses is critical, one that is not asked is a warning."""
    with answering(answer(200)) as good, answering(answer(403)) as bad:
        (here / "ops.toml").write_text(
            f'{SOURCE}[provider.good]\nurl = "{good.url}"\n[provider.bad]\nurl = "{bad.url}"\n'
        )
        code, found = document(here, "test-conn", "--provider", "good")
        assert (code, found["results"][0]["http_status"], found["results"][0]["attempts"]) == (0, 200, 1)
        code, found = document(here, "test-conn", "--provider", "bad")
        assert (code, found["findings"][0]["code"]) == (2, "provider.refused")
        assert "canary" not in json.dumps(found)
    code, text = ran(here, "test-conn", "--no-network")
    assert (code, "was not contacted" in text) == (1, True)
    assert (
        document(here, "test-conn", "--provider", "other")[1]["errors"][0]["code"]
        == "config.unknown_provider"
    )


def test_one_line_a_ticker(here: Path) -> None:
    """The line has the promised words, in whole seconds; what else there is to say goes to standard error."""
    ended = run_drillbook("metrics", "--format", "line", cwd=here)
    assert ended.returncode == ran(here, "metrics")[0] == 1
    petr4, vale3 = ended.stdout.splitlines()
    assert re.fullmatch(
        r"Ticker: PETR4 \| Last ingest: \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ \| Ingest lag: \d+s"
        r" \| Job latency avg: \d+ms \| Rows: 5 \| Errors: 1",
        petr4,
    )
    assert vale3.startswith("Ticker: VALE3 | ")
    assert "ingest.lag_high" in ended.stderr


def test_small_objects(here: Path) -> None:
    """With --flat each line is one object with the six promised keys, in whole numbers."""
    ended = run_drillbook("metrics", "--format", "json", "--flat", cwd=here)
    assert ended.returncode == 1
    found = [json.loads(line) for line in ended.stdout.splitlines()]
    keys = ["ticker", "last_ingest", "ingest_lag_seconds", "job_latency_ms", "rows_fetched", "error_count"]
    assert [list(item) for item in found] == [keys, keys]
    assert [type(item["ingest_lag_seconds"]) for item in found] == [int, int]
    assert found[0]["last_ingest"].endswith("Z")
    assert "." not in found[0]["last_ingest"]


@pytest.mark.parametrize("how", [("--format", "line"), ("--format", "json", "--flat")])
def test_lines_where_there_are_none(here: Path, how: tuple[str, ...]) -> None:
    """Without a ticker, and where the history cannot be read, standard output stays empty, and the exit code tells."""
    written_table(here / "other.db", [])
    (here / "ops.toml").write_text(SOURCE.replace("data.db", "other.db"))
    ended = run_drillbook("metrics", *how, cwd=here)
    assert (ended.returncode, ended.stdout, "ingest.no_history" in ended.stderr) == (1, "", True)
    (here / "other.db").unlink()
    ended = run_drillbook("metrics", *how, cwd=here)
    assert (ended.returncode, ended.stdout, "CRITICAL" in ended.stderr) == (2, "", True)


def test_forms_that_do_not_go_together(here: Path) -> None:
    """--flat is for JSON, and only metrics has lines."""
    assert ran(here, "metrics", "--flat")[0] == 2
    assert ran(here, "logs", "--format", "line")[0] == 2


def test_results_come_first(here: Path) -> None:
    """Whoever reads only the begin of the document sees the tickers."""
    assert next(iter(document(here, "metrics")[1])) == "results"


def test_a_column_that_is_missing(here: Path) -> None:
    """How many rows came is not known then: null and a dash, never 0."""
    path = here / "bare.db"
    now = datetime.now(UTC).isoformat()
    execute(path, "CREATE TABLE ingest_logs (ticker, started_at, finished_at, status)")
    execute(
        path,
        f"INSERT INTO ingest_logs VALUES ('PETR4', '{now}', '{now}', 'ok'), ('VALE3', '{now}', '{now}', 'error')",
    )
    (here / "ops.toml").write_text(SOURCE.replace("data.db", "bare.db"))
    results = document(here, "metrics")[1]["results"]
    assert [(item["ticker"], item["rows_fetched"]) for item in results] == [("PETR4", None), ("VALE3", 0)]
    assert re.search(r"PETR4 .* -      0", ran(here, "metrics")[1])
    assert "Rows: - |" in ran(here, "metrics", "--format", "line")[1]


def test_names_of_the_application(here: Path) -> None:
    """A table whose columns are called `rows` and `source` is read like lines with these names."""
    path = here / "own.db"
    now = datetime.now(UTC).isoformat()
    execute(path, "CREATE TABLE ingest_logs (ticker, started_at, finished_at, status, rows, source)")
    execute(path, f"INSERT INTO ingest_logs VALUES ('PETR4', '{now}', '{now}', 'ok', 7, 'yfinance')")
    (here / "ops.toml").write_text(SOURCE.replace("data.db", "own.db"))
    assert document(here, "metrics")[1]["results"][0]["rows_fetched"] == 7
    (entry,) = document(here, "logs")[1]["results"]
    assert (entry["rows_fetched"], entry["provider"]) == (7, "yfinance")


def test_metrics_where_nothing_is_ingested(here: Path) -> None:
    """Where no database could have the history, and none was named, metrics is about backups only."""
    (here / "ops.toml").write_text('[source.audit]\nkind = "eventlog"\npath = "log"\n')
    code, found = document(here, "metrics")
    assert (code, found["results"], found["errors"], found["total"]) == (0, [], [], 0)
    assert [item["source"] for item in found["backups"]] == ["audit"]
    assert ran(here, "metrics")[1].startswith("Backups\n")
    assert ran(here, "metrics", "--ticker", "PETR4")[0] == 2


def test_a_configuration_of_providers_alone(here: Path) -> None:
    """`test-conn` works with it; what is about sources says that there are none."""
    with answering(answer(200)) as server:
        (here / "ops.toml").write_text(f'[provider.quotes]\nurl = "{server.url}"\n')
        assert ran(here, "test-conn", "--provider", "quotes")[0] == 0
    code, text = ran(here, "backup.create")
    assert (code, "no source is configured" in text) == (2, True)
