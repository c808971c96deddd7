"""An extension of SQLite that the configuration names: what needs it is checked, and where it cannot be loaded, that is said."""

from __future__ import annotations

import importlib.metadata
import json
import os
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ops.actions.backup import take_backup
from ops.actions.begin_backup import BackupRequest
from ops.actions.drill import DrillRequest, run_drill
from ops.model.findings import Verdict
from ops.repository.repository import Repository
from ops.run.job import Job
from ops.sources.sqlite.source import SqliteSource
from ops.stores.local.store import LocalStore
from tests.conftest import clean_environment

PROJECT = Path(__file__).parents[3]
EXTENSION = Path(importlib.metadata.distribution("sqlite-vec").locate_file("sqlite_vec/vec0.so"))  # type: ignore[arg-type]
LOADS = "import sqlite3, sys; sys.exit(not hasattr(sqlite3.Connection, 'enable_load_extension') or sys.version_info < (3, 11))"
BUILD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.enable_load_extension(True)
connection.load_extension(sys.argv[2])
connection.executescript(
    "CREATE VIRTUAL TABLE near USING vec0(place float[2]);"
    "INSERT INTO near (rowid, place) VALUES (1, '[1, 2]'), (2, '[3, 4]');"
    "CREATE TABLE t (v, size AS (vec_length(v)) STORED);"
    "INSERT INTO t (v) VALUES ('[1, 2, 3]');"
    "CREATE INDEX by_length ON t (vec_length(v));"
)
"""
CONFIG = """
[source.app]
kind = "sqlite"
path = "app.db"
{loads}
[[source.app.assert]]
query = "{query}"
[store.local]
kind = "local"
path = "store"
"""
NEAREST = "SELECT rowid FROM near WHERE place MATCH '[3, 4]' AND k = 1"


class Place:
    """A search index of a module that is not in SQLite, an index and a generated column by one of its functions."""

    def __init__(self, folder: Path, python: Path) -> None:
        self.folder, self.python = folder, python
        subprocess.run([python, "-c", BUILD, folder / "app.db", EXTENSION], check=True)

    def drill(self, query: str, *, loads: bool) -> dict[str, Any]:
        """The first result of a drill of a new backup."""
        line = f'load_extension = ["{EXTENSION}"]' if loads else ""
        (self.folder / "ops.toml").write_text(CONFIG.format(loads=line, query=query))
        self._run("backup.create")
        found: dict[str, Any] = self._run("backup.drill")["results"][0]
        return found

    def _run(self, task: str) -> dict[str, Any]:
        # Our packages, and not the standard library of this Python, whose SQLite may load nothing.
        here = os.pathsep.join([str(PROJECT), *(path for path in sys.path if path.endswith("-packages"))])
        words = [
            str(self.python),
            "-c",
            "from ops.tasks.program import main; main()",
            task,
            "--format",
            "json",
        ]
        environment = clean_environment({"PYTHONPATH": here, "OPS_STATE_DIR": str(self.folder / "state")})
        done = subprocess.run(
            words, cwd=self.folder, env=environment, capture_output=True, text=True, check=False
        )
        document: dict[str, Any] = json.loads(done.stdout)
        assert not document["errors"], document["errors"]
        return document


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Run with a Python whose SQLite loads extensions: this one, or that of the system; many are built without."""
    for python in (Path(sys.executable), Path("/usr/bin/python3.11"), Path("/usr/bin/python3")):
        if python.exists() and subprocess.run([python, "-c", LOADS], check=False).returncode == 0:
            return Place(tmp_path, python)
    pytest.skip("no Python here whose SQLite loads extensions")


def test_with_it(place: Place) -> None:
    """A drill reads the index through its module, and answers an assertion with it."""
    result = place.drill(NEAREST, loads=True)
    assert result["verdict"] == "passed", result["findings"]
    assert {item["severity"] for item in result["findings"]} == {"ok"}


def test_without_it(place: Place) -> None:
    """Where nobody names it, the same backup is taken and leaves the question open."""
    result = place.drill("SELECT 1", loads=False)
    assert result["verdict"] == "inconclusive"
    assert "sqlite.not_installed" in {item["code"] for item in result["findings"]}


def test_statements_load_nothing(place: Place) -> None:
    """An assertion cannot load a library, whatever the configuration loads."""
    result = place.drill(f"SELECT load_extension('{EXTENSION}')", loads=True)
    assert result["verdict"] == "inconclusive"
    assert "not authorized" in " ".join(item["message"] for item in result["findings"])


def test_one_that_is_not_here(source: SqliteSource, store: LocalStore, scratch: Path, tmp_path: Path) -> None:
    """A backup is taken all the same, with a warning; doctor says it, and a drill is inconclusive because of it."""
    gone = tmp_path / "gone.so"
    elsewhere = replace(source, options=replace(source.options, load_extension=(gone,)))
    taken = take_backup(elsewhere, Repository(store=store), BackupRequest(), Job())
    said = [item for item in taken.findings if item.code == "sqlite.not_loaded"]
    assert [item.where for item in said] == [str(gone)]
    assert ("built without" in said[0].message) is not hasattr(sqlite3.Connection, "enable_load_extension")
    assert [item.code for item in elsewhere.probe().findings] == ["sqlite.not_loaded"]
    evidence = run_drill(taken.backup, elsewhere, DrillRequest(scratch=scratch), Job())
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert "sqlite.not_loaded" in {item.code for item in evidence.findings if item.blocking}
