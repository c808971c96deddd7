"""What the next task costs does not depend on how many backups there are: counted in files, not in time."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import pytest

from bench.histories import fill_store
from tests.conftest import clean_environment

CONFIG: Final = """
[source.data]
kind = "sqlite"
path = "data.db"
[store.local]
kind = "local"
path = "{store}"
"""
COUNTED: Final = """
import atexit, os, sys
opened = set()
def hear(event, arguments):
    if event == "open" and isinstance(arguments[0], (str, os.PathLike)) and os.fspath(arguments[0]).startswith({store!r}):
        opened.add(os.path.basename(os.fspath(arguments[0])))
def tell():
    names = [name for name in opened if name.startswith("backup-")]
    open({out!r}, "w").write(chr(10).join(names))
sys.addaudithook(hear)
atexit.register(tell)
sys.argv = ["drillbook", *{words!r}]
import drillbook
drillbook.main()
"""
FEW, MANY = 50, 500
SETTLED_S: Final = 2.1
"""Files that changed more lately could change once more unseen, and are not remembered."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two stores of one source, with few and with many backups, which were listed once."""
    with contextlib.closing(sqlite3.connect(tmp_path / "data.db")) as connection:
        connection.executescript("CREATE TABLE t (x); INSERT INTO t VALUES (1)")
    for store in ("real", f"{FEW}", f"{MANY}"):
        (tmp_path / f"{store}.toml").write_text(CONFIG.format(store=store))
    run(tmp_path, "real", "backup.create")
    real = next((tmp_path / "real").glob("*.manifest.json"))
    for count in (FEW, MANY):
        fill_store(tmp_path / f"{count}", count, real)
    time.sleep(SETTLED_S)
    for count in (FEW, MANY):
        assert len(run(tmp_path, f"{count}", "backup.list")) == 2 * count, (
            "each manifest and each evidence, once"
        )
    return tmp_path


def run(folder: Path, store: str, *words: str) -> list[str]:
    """The names of stored files that a task opened, of whatever is called like a backup."""
    out, place = folder / "opened", str(folder / store / "x").removesuffix("x")
    script = COUNTED.format(out=str(out), store=place, words=(*words, "--config", f"{store}.toml"))
    environment = clean_environment({"XDG_CACHE_HOME": str(folder / "cache")})
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=folder, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode in {0, 1}, done.stdout + done.stderr
    return out.read_text().split()


def counts(folder: Path, *words: str) -> tuple[int, int]:
    """How many stored files the task opened beside few and beside many backups."""
    few, many = (run(folder, f"{count}", *words) for count in (FEW, MANY))
    return len(few), len(many)


def test_files_that_are_read(folder: Path) -> None:
    """A task opens the files of the one backup that it is about, whether there are fifty others or five hundred."""
    assert counts(folder, "backup.list") == (0, 0)
    assert counts(folder, "backup.show", "latest") == (2, 2), "manifest and evidence"
    assert counts(folder, "doctor") == (2, 2)


def test_files_that_a_new_backup_reads(folder: Path) -> None:
    """The next backup opens one manifest, the newest, and those that no listing has read yet."""
    assert [counts(folder, "backup.create") for _ in range(3)] == [(1, 1), (1, 1), (2, 2)]
