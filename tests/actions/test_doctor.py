from __future__ import annotations

import json
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ops.actions.backup import take_backup
from ops.actions.begin_backup import BackupRequest
from ops.actions.copy import Home
from ops.actions.doctor import Patient, examine, examine_copies, examine_machine
from ops.actions.drill import DrillRequest, run_drill
from ops.formats import manifest as manifest_files
from ops.formats.names import manifest_key
from ops.fsio.locks import source_lock
from ops.host.state_dir import StateDir
from ops.model.findings import Finding, Severity, Verdict
from ops.model.requests import Objectives
from ops.repository.catalog import read_catalogue
from ops.repository.replicate import copy_backup
from ops.repository.repository import Repository
from ops.repository.retention import Policy
from ops.run.job import Job
from ops.sources.sqlite.options import SqliteOptions
from ops.sources.sqlite.source import SqliteSource
from ops.stores.local.store import LocalOptions, LocalStore
from ops.stores.memory import MemoryStore
from ops.units import parse_span
from tests.conftest import run_drillbook
from tests.histories import WHOSE, looked_at, put, stored_backup

PROMISED = Objectives(
    every=timedelta(hours=24), verify_every=timedelta(days=2), drill_every=timedelta(days=30)
)


def looked(source: SqliteSource, store: LocalStore, scratch: Path, **named: object) -> dict[str, Finding]:
    """What doctor finds, by code."""
    now = named.pop("now", datetime.now(UTC))
    patient = Patient(source, Repository(store=store), PROMISED, named.pop("min_free", None))  # type: ignore[arg-type]
    return {finding.code: finding for finding in examine(patient, scratch, now)}  # type: ignore[arg-type]


def test_all_is_well(source: SqliteSource, store: LocalStore, scratch: Path) -> None:
    """With a fresh, drilled backup every finding is OK."""
    backup = take_backup(source, Repository(store=store), BackupRequest(), Job()).backup
    run_drill(backup, source, DrillRequest(scratch=scratch), Job())
    found = looked(source, store, scratch)
    assert {finding.severity for finding in found.values()} == {Severity.OK}, found
    assert {finding.severity for finding in examine_machine(scratch, StateDir(scratch / "s"))} == {
        Severity.OK
    }


def test_run_at_work(source: SqliteSource, store: LocalStore, scratch: Path) -> None:
    """A run that holds the source's lock now is named; one that ended, or was killed, is not."""
    take_backup(source, Repository(store=store), BackupRequest(), Job())
    assert "doctor.lock" not in looked(source, store, scratch)
    with source_lock(store.lock_path("prices"), job_id="job-7", now=datetime.now(UTC)):
        assert "job-7" in looked(source, store, scratch)["doctor.lock"].message


def test_no_backup_and_no_drill(source: SqliteSource, store: LocalStore, scratch: Path) -> None:
    """A source without backup, and one whose backups were never drilled, are warnings."""
    assert looked(source, store, scratch)["doctor.no_backup"].severity is Severity.WARNING
    take_backup(source, Repository(store=store), BackupRequest(), Job())
    assert looked(source, store, scratch)["drill.overdue"].severity is Severity.WARNING


def test_too_old(source: SqliteSource, store: LocalStore, scratch: Path) -> None:
    """A backup older than `every` and a drill older than `drill_every` are warnings; a future one too."""
    backup = take_backup(source, Repository(store=store), BackupRequest(), Job()).backup
    run_drill(backup, source, DrillRequest(scratch=scratch), Job())
    later = looked(source, store, scratch, now=datetime.now(UTC) + timedelta(days=60))
    assert {"backup.overdue", "verify.overdue", "drill.overdue"} <= later.keys()
    assert "clock.behind" in looked(source, store, scratch, now=datetime.now(UTC) - timedelta(days=1))


@pytest.mark.parametrize("late", [timedelta(0), timedelta(days=60)])
def test_a_payload_that_is_gone_or_cut(
    source: SqliteSource, store: LocalStore, scratch: Path, late: timedelta
) -> None:
    """A newest backup that lost its payload, or a part of it, is critical, however new and proven it is."""
    backup = take_backup(source, Repository(store=store), BackupRequest(), Job()).backup
    run_drill(backup, source, DrillRequest(scratch=scratch), Job())
    payload = store.options.path / backup.name
    payload.chmod(0o600)
    payload.write_bytes(b"")
    now = datetime.now(UTC) + late
    assert looked(source, store, scratch, now=now)["backup.size_mismatch"].severity is Severity.CRITICAL
    payload.unlink()
    assert looked(source, store, scratch, now=now)["backup.payload_missing"].severity is Severity.CRITICAL


def test_source_that_is_gone(store: LocalStore, scratch: Path, tmp_path: Path) -> None:
    """A source that cannot be read is critical, and the store is still looked at."""
    found = looked(SqliteSource("x", SqliteOptions(path=tmp_path / "no.db")), store, scratch)
    assert found["source.missing"].severity is Severity.CRITICAL
    assert "doctor.no_backup" in found


def test_store_that_can_not_be_used(source: SqliteSource, scratch: Path, tmp_path: Path) -> None:
    """A store whose folder is a file is critical."""
    (tmp_path / "file").write_bytes(b"")
    store = LocalStore("l", LocalOptions(path=tmp_path / "file"))
    assert looked(source, store, scratch)["store.unreadable"].severity is Severity.CRITICAL


def test_open_folder_and_small_disk(source: SqliteSource, store: LocalStore, scratch: Path) -> None:
    """A store that others can read is a warning; a reserve that the disk does not have is critical."""
    take_backup(source, Repository(store=store), BackupRequest(), Job())
    os.chmod(store.options.path, 0o755)
    found = looked(source, store, scratch, min_free=10**18)
    assert found["doctor.permissions"].severity is Severity.WARNING
    assert found["space.insufficient"].severity is Severity.CRITICAL


def test_scratch_that_can_not_be_made(tmp_path: Path) -> None:
    """A scratch folder that is a file is critical, found before a drill needs it."""
    (tmp_path / "file").write_bytes(b"")
    assert Severity.CRITICAL in {
        finding.severity for finding in examine_machine(tmp_path / "file", StateDir(None))
    }


def test_looking_changes_nothing(
    source: SqliteSource, store: LocalStore, scratch: Path, database: Path, tmp_path: Path
) -> None:
    """Doctor leaves no file in the store, beside the database, or in the scratch folder."""
    take_backup(source, Repository(store=store), BackupRequest(), Job())
    before = sorted(
        path for place in (database.parent, store.options.path, scratch) for path in place.rglob("*")
    )
    looked(source, store, scratch)
    examine_machine(scratch, StateDir(tmp_path / "state"))
    after = sorted(
        path for place in (database.parent, store.options.path, scratch) for path in place.rglob("*")
    )
    assert before == after


@pytest.mark.parametrize("gone", [True, False])
def test_exit_codes(tmp_path: Path, database: Path, gone: bool) -> None:
    """Doctor ends with 2 when the next backup would fail, with 1 when something only wants a look."""
    environment = {
        "DATA_DIR": str(tmp_path / "no" if gone else database.parent),
        "BACKUP_DIR": str(tmp_path / "b"),
    }
    done = run_drillbook("doctor", "--format", "json", cwd=tmp_path, environment=environment)
    assert done.returncode == (2 if gone else 1)
    assert json.loads(done.stdout)["exit_code"] == done.returncode


def test_copies_that_are_missing(store: LocalStore) -> None:
    """Those that a store's policy wants and that are not there are counted, of all that it should have; bad ones are not."""
    now = datetime(2026, 6, 30, 12, tzinfo=UTC)
    away, cold = MemoryStore("away"), MemoryStore("cold")
    backups = [looked_at(stored_backup(store, now - timedelta(days=days))) for days in range(40)]
    looked_at(stored_backup(store, now + timedelta(hours=1)), Verdict.FAILED)
    stored_backup(store, now - timedelta(minutes=5), source="other")
    for backup in backups[2:]:
        copy_backup(backup, Repository(store=away, scratch=Path("/")), Job())

    def found(policy: Policy | None) -> list[tuple[str, Severity, str]]:
        home = Home.of(WHOSE, Repository(store=store))
        further = {"away": (read_catalogue(away), None), "cold": (read_catalogue(cold), policy)}
        return [(item.code, item.severity, item.message) for item in examine_copies(home, further, {}, now)]

    monthly = Policy(keep_monthly=parse_span("1y"))
    missing, ok, warning = "copy.missing", Severity.OK, Severity.WARNING
    assert found(monthly) == [
        (missing, warning, "2 of 40 backups are not in store 'away' yet: run store.push"),
        (missing, warning, "2 of 2 backups are not in store 'cold' yet: run store.push"),
    ]
    for backup in backups[:2]:
        copy_backup(backup, Repository(store=away, scratch=Path("/")), Job())
    first_of_june = next(item for item in backups if item.manifest.created_at.day == 1)
    copy_backup(first_of_june, Repository(store=cold, scratch=Path("/")), Job())
    assert found(monthly) == [
        ("copy.complete", ok, "store 'away' has all 40 backups that should be there"),
        (missing, warning, "1 of 2 backups are not in store 'cold' yet: run store.push"),
    ]


def test_copies_by_a_policy_of_their_own(store: LocalStore) -> None:
    """Of backups that name a policy, a store with a policy of its own should have what `store.push` would bring there."""
    now = datetime(2026, 6, 30, 12, tzinfo=UTC)
    for days in range(3):
        backup = looked_at(stored_backup(store, now - timedelta(days=days)))
        key = manifest_key(backup.name)
        store.delete(key)
        put(store, key, manifest_files.to_json(replace(backup.manifest, extra={"policy": "short"})))
    home = Home.of(WHOSE, Repository(store=store))
    further = {"cold": (read_catalogue(MemoryStore("cold")), Policy(forever=True))}
    short = {"short": Policy(keep_last=1)}
    messages = [item.message for item in examine_copies(home, further, short, now)]
    assert messages == ["1 of 1 backups are not in store 'cold' yet: run store.push"]


CONFIG = """
[source.prices]
kind = "sqlite"
path = "{database}"
stores = ["local", "archive", "offsite"]
[store.local]
kind = "local"
path = "backups"
[store.archive]
kind = "local"
path = "archive"
[store.offsite]
kind = "s3"
bucket = "backups"
endpoint_url = "http://192.0.2.1:9"
access_key_env = "HOME"
secret_key_env = "HOME"
"""


def test_copies_from_the_command_line(tmp_path: Path, database: Path) -> None:
    """Missing copies are a warning; a store that cannot be read is a finding, and with --no-network a bucket is left out."""
    (tmp_path / "ops.toml").write_text(CONFIG.format(database=database))
    run_drillbook("backup.create", "--out", "backups/", "--verify", cwd=tmp_path)
    done = run_drillbook("doctor", "--no-network", cwd=tmp_path)
    assert done.returncode == 1, done.stdout
    assert "1 of 1 backups are not in store 'archive' yet: run store.push  (copy.missing)" in done.stdout
    assert "WARNING   no backup of this source is proven" in done.stdout
    assert "store 'offsite' was not contacted" in done.stdout
    (tmp_path / "archive").touch()
    done = run_drillbook("doctor", "--no-network", "--format", "json", cwd=tmp_path)
    document = json.loads(done.stdout)
    assert (done.returncode, document["errors"]) == (2, [])
    codes = {item["code"] for result in document["results"] for item in result["findings"]}
    assert {"store.unreadable", "tool.network_forbidden", "doctor.backup"} <= codes
    assert "copy.missing" not in codes
