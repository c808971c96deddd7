from __future__ import annotations

import hashlib
import json
import shutil
import socket
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from ops.actions.drill import DrillRequest, run_drill
from ops.actions.restore import restore_backup
from ops.actions.restore_request import RestoreRequest
from ops.actions.verify import VerifyRequest, verify_backup
from ops.demo.catalogue import build_demo
from ops.driverkit.row_digest import sum_rows, table_digest
from ops.model.evidence import Level
from ops.model.findings import Severity, Verdict
from ops.repository.catalog import read_catalogue
from ops.repository.repository import Repository
from ops.run.job import Job
from ops.sources.eventlog.copy import measures_of
from ops.sources.eventlog.log.log import read_log
from ops.sources.sqlite.check import check_database
from ops.sources.sqlite.connection import connect_still
from ops.sources.sqlite.options import SqliteOptions
from ops.sources.sqlite.schema import Table, list_tables, quoted
from ops.sources.sqlite.source import SqliteSource
from ops.stores.local.store import LocalOptions, LocalStore

FIXTURES = Path(__file__).parents[2] / "fixtures"
DEFECTS = sorted(path.parent.name for path in FIXTURES.glob("broken/*/expected.json"))
RELEASED = sorted(path.name for path in (FIXTURES / "backups").iterdir() if path.is_dir())
SOURCE = SqliteSource("bank", SqliteOptions(path=Path("/srv/bank/bank.db")))


def copied(folder: Path, tmp_path: Path) -> LocalStore:
    """The fixture as a store that a test may write evidence into."""
    shutil.copytree(folder, tmp_path / "store")
    return LocalStore("local", LocalOptions(path=tmp_path / "store"))


def test_the_network_is_out_of_reach() -> None:
    """A connection that would leave this machine is refused before a packet is sent."""
    with closing(socket.socket()) as outside, pytest.raises(ConnectionRefusedError, match="no network"):
        outside.connect(("192.0.2.1", 80))


@pytest.mark.parametrize("version", RELEASED)
def test_released_backups_are_still_good(version: str, tmp_path: Path) -> None:
    """A backup of every released manifest version verifies, drills, and restores to the rows that it was made of."""
    store = copied(FIXTURES / "backups" / version, tmp_path)
    catalogue = read_catalogue(store)
    assert catalogue.findings == ()
    (backup,) = catalogue.backups
    for level in Level:
        assert verify_backup(backup, SOURCE, VerifyRequest(level, tmp_path), Job()).verdict is Verdict.PASSED
    assert run_drill(backup, SOURCE, DrillRequest(scratch=tmp_path), Job()).verdict is Verdict.PASSED
    request = RestoreRequest(scratch=tmp_path, safety=Repository(store=store), to=str(tmp_path / "bank.db"))
    restore_backup(backup, SOURCE, request, Job())
    with closing(sqlite3.connect(tmp_path / "bank.db")) as connection:
        assert connection.execute("SELECT count(*), sum(balance) FROM accounts").fetchone() == (3, 10.25)


def test_there_is_a_fixture_for_every_version_and_defect() -> None:
    """The folders are really there: an empty list of cases would pass in silence."""
    assert RELEASED == ["v1", "v2"]
    assert len(DEFECTS) >= 18


@pytest.mark.parametrize("defect", DEFECTS)
def test_defects_are_found(defect: str, tmp_path: Path) -> None:
    """Each frozen defect is found at its level, by its code, and nothing that is broken passes a drill."""
    expected = json.loads((FIXTURES / "broken" / defect / "expected.json").read_bytes())
    store = copied(FIXTURES / "broken" / defect, tmp_path)
    catalogue = read_catalogue(store)
    if expected["found_by"] == "list":
        assert expected["code"] in {finding.code for finding in catalogue.findings}
        assert catalogue.backups == ()
        return
    (backup,) = catalogue.backups
    levels = [Level.FULL] if expected["found_by"] == "full" else list(Level)
    for level in levels:
        evidence = verify_backup(backup, SOURCE, VerifyRequest(level, tmp_path), Job())
        assert evidence.verdict is Verdict.FAILED
        critical = {finding.code for finding in evidence.findings if finding.severity is Severity.CRITICAL}
        assert expected["code"] in critical
    assert run_drill(backup, SOURCE, DrillRequest(scratch=tmp_path), Job()).verdict is Verdict.FAILED


def test_the_demo_is_what_it_was(tmp_path: Path) -> None:
    """The demo built here holds the very rows that were recorded, by digest, whatever this machine's SQLite is."""
    recorded = json.loads((FIXTURES / "demo-digests.json").read_bytes())
    *databases, journal = build_demo(tmp_path / "demo", without=["petshop"]).databases
    log = measures_of(read_log(journal.path).chain)
    assert {name: [table.rows, table.digest] for name, table in log.tables.items()} == recorded["journal"]
    assert log.facts["first_broken"] == ""
    for database in databases:
        assert all(
            finding.severity is Severity.OK for finding in check_database(database.path, Level.FULL, "check")
        )
        with closing(connect_still(database.path)) as connection:
            found = {
                table.name: _rows_and_digest(connection, table)
                for table in list_tables(connection)
                if not table.name.startswith("sqlite_")
                and "fts" not in table.name
                and "notes_" not in table.name
            }
        assert found == recorded[database.source]


def _rows_and_digest(connection: sqlite3.Connection, table: Table) -> list[object]:
    columns = ", ".join(map(quoted, table.columns))
    rows = connection.execute(f"SELECT {columns} FROM {quoted(table.name)} NOT INDEXED").fetchall()
    return [len(rows), table_digest(table.columns, len(rows), sum_rows(rows))]


def test_checksums_of_released_backups() -> None:
    """The frozen files have the digests that their own checksum files say, by plain SHA-256."""
    for line in (FIXTURES / "backups").rglob("*.checksum"):
        digest, name = line.read_text().split()
        assert hashlib.sha256((line.parent / name).read_bytes()).hexdigest() == digest
