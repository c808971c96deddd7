"""What a task loads: not what only other tasks, other kinds and wrong configurations need."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.conftest import clean_environment

CONFIG: Final = """
[source.data]
kind = "sqlite"
path = "data.db"
every = "24h"
tags = ["daily"]
min_free = "1MB"
stores = ["local", "away"]
[[source.data.assert]]
row_count = "t"
min = 1
[source.lines]
kind = "sqlite"
path = "ingest.db"
[store.local]
kind = "local"
path = "backups"
limit = "10GB"
[store.away]
kind = "local"
path = "away"
[policy.few]
keep_last = 3
[ingest]
source = "lines"
invalid_percent = 5
[provider.own]
url = "https://example.org/"
retries = 2
[snapshot.all]
source = "data"
table = "t"
order = ["x"]
"""
INGEST: Final = "CREATE TABLE ingest_logs (ticker, job_id, started_at, finished_at, rows_fetched, status)"
OF_OTHERS: Final = (
    *(
        "boto3",
        "http.client",
        "multiprocessing",
        "psycopg",
        "pydantic",
        "rich",
        "sh",
        "urllib.request",
        "urllib3",
    ),
    *(
        "ops.ciphers",
        "ops.demo",
        "ops.ingest_monitor.providers",
        "ops.sources.eventlog",
        "ops.sources.postgres",
    ),
    *("ops.stores.s3", "xml.etree"),
)
"""Modules that no task needs whose sources are SQLite databases, whose stores are folders, and whose values are right."""
LOADED: Final = """
import atexit, sys
atexit.register(lambda: open({out!r}, "w").write(" ".join(sys.modules)))
sys.argv = ["drillbook", *{words!r}]
import drillbook
drillbook.main()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A database, a history of ingest jobs, and their configuration."""
    for name, statement in (("data", "CREATE TABLE t (x PRIMARY KEY)"), ("ingest", INGEST)):
        with contextlib.closing(sqlite3.connect(tmp_path / f"{name}.db")) as connection:
            connection.execute(statement)
            if name == "data":
                connection.execute("INSERT INTO t VALUES (1)")
            connection.commit()
    (tmp_path / "ops.toml").write_text(CONFIG)
    return tmp_path


def loaded_by(folder: Path, *words: str) -> tuple[int, set[str]]:
    """Exit code of a task that runs in a process of its own, and the modules that it had loaded at its end."""
    out = folder / "loaded"
    script = LOADED.format(out=str(out), words=words)
    command = [sys.executable, "-c", script]
    done = subprocess.run(
        command, cwd=folder, env=clean_environment({}), check=False, capture_output=True, text=True
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, set(out.read_text().split())


def of_others(loaded: set[str]) -> list[str]:
    """Those of the modules that only others need, packages as a whole."""
    return [name for name in OF_OTHERS if any(f"{item}.".startswith(f"{name}.") for item in loaded)]


@pytest.mark.parametrize(
    "words",
    [
        ("backup.create", "--source", "data", "--verify"),
        ("backup.list",),
        ("backup.show", "latest", "--source", "data"),
        ("backup.verify", "latest", "--source", "data"),
        ("backup.drill", "--source", "data"),
        ("backup.restore", "--from", "latest", "--source", "data", "--to", "restored.db"),
        ("backup.prune", "--source", "data", "--dry-run"),
        ("backup.keep", "latest", "--source", "data", "--reason", "audit"),
        ("store.push", "--source", "data"),
        ("store.check", "--store", "local"),
        ("snapshot.create", "--name", "all"),
        ("metrics",),
        ("logs",),
        ("doctor",),
    ],
    ids=lambda words: words[0],
)
def test_a_task_loads_what_it_needs(folder: Path, words: tuple[str, ...]) -> None:
    """Tasks on SQLite and folders load no other driver, no library of one, no HTTP client, and no pydantic."""
    if words[0] != "backup.create":
        assert loaded_by(folder, "backup.create", "--quiet")[0] == 0
    code, loaded = loaded_by(folder, *words)
    assert code in {0, 1}
    assert of_others(loaded) == []
    assert "ops.sources.sqlite.source" in loaded


def test_a_wrong_value_is_pydantics(folder: Path) -> None:
    """A value of the wrong type ends the task with pydantic's words, and only then is it loaded."""
    path = folder / "ops.toml"
    path.write_text(path.read_text().replace("keep_last = 3", 'keep_last = "3"'))
    code, loaded = loaded_by(folder, "backup.list")
    assert code == 2
    assert of_others(loaded) == ["pydantic"]
