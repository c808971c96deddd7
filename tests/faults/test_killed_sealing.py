"""A backup that is killed while its copy is sealed and measured at the same time leaves nothing that stays."""

from __future__ import annotations

import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.conftest import CONSOLE, run_drillbook
from tests.keys import Keys

pytestmark = [pytest.mark.alone, pytest.mark.long]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a database of some 40 MB, and a store that seals, under names with blanks."""
    with closing(sqlite3.connect(tmp_path / "data 1.db")) as connection:
        connection.execute("CREATE TABLE t (a INTEGER, b TEXT)")
        connection.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 180000)"
            " INSERT INTO t SELECT i, hex(randomblob(100)) FROM n"
        )
        connection.commit()
    keys = Keys(tmp_path, "escrow")
    (tmp_path / "ops.toml").write_text(
        'scratch_dir = "scratch"\n[source.t]\nkind = "sqlite"\npath = "data 1.db"\n'
        '[store.local]\nkind = "local"\npath = "the store"\nencrypt = "escrow"\n'
        f'[cipher.escrow]\nkind = "age"\nrecipients = ["{keys.recipient}"]\nidentity_file = "{keys.file.name}"\n'
    )
    return tmp_path


def killed_as_soon_as(place: Path, pattern: str, later_s: float) -> None:
    """A create that gets SIGKILL so long after something of that name appeared, if it is not over by then."""
    with subprocess.Popen(
        [CONSOLE, "backup.create"], cwd=place, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        while process.poll() is None and not any(place.glob(pattern)):
            time.sleep(0.001)
        time.sleep(later_s)
        process.kill()


def test_killed_while_it_is_sealed_and_measured(place: Path) -> None:
    """Wherever it is killed, the next run sweeps plain and sealed leftovers, and what is listed afterwards is whole."""
    for later_s in (0, 0.05, 0.15, 0.3):
        killed_as_soon_as(place, "the store/.tmp-*.age", later_s)
    killed_as_soon_as(place, "scratch/drillbook-scratch-*/backup-*", 0)
    assert run_drillbook("backup.create", "--verify", cwd=place).returncode == 0
    assert list((place / "scratch").iterdir()) == []
    assert [path.name for path in (place / "the store").glob(".tmp-*")] == []
    listed = run_drillbook("backup.list", cwd=place)
    assert (listed.returncode, "incomplete" in listed.stdout) == (0, False)
    assert run_drillbook("backup.verify", "--all", "--level", "full", cwd=place).returncode == 0
