from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ops.actions.backup import take_backup
from ops.actions.begin_backup import BackupRequest
from ops.actions.drill import DrillRequest, run_drill
from ops.actions.restore import restore_backup
from ops.actions.restore_request import RestoreRequest
from ops.actions.verify import VerifyRequest, verify_backup
from ops.errors import OpsError, SpaceError
from ops.model.evidence import Level
from ops.model.findings import Verdict
from ops.repository.catalog import read_catalogue
from ops.repository.repository import Repository
from ops.run.job import Job
from ops.sources.sqlite.options import SqliteOptions
from ops.sources.sqlite.source import SqliteSource
from ops.stores.local.store import LocalOptions, LocalStore
from tests.conftest import execute

pytestmark = [pytest.mark.needs_root, pytest.mark.alone, pytest.mark.long]

MIB = 1 << 20


@pytest.fixture
def bank(tmp_path: Path) -> SqliteSource:
    """A database of about two MiB."""
    path = tmp_path / "bank.db"
    execute(
        path,
        """
        CREATE TABLE t (id INTEGER PRIMARY KEY, filler BLOB);
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
        INSERT INTO t SELECT i, randomblob(4000) FROM n;
        """,
    )
    return SqliteSource("bank", SqliteOptions(path=path))


def fill(file: Path) -> None:
    """Write until the disk is full."""
    with file.open("wb", buffering=0) as ballast, contextlib.suppress(OSError):
        while ballast.write(b"x" * 4096):
            pass


def test_full_in_the_middle(bank: SqliteSource, small_disk: Callable[[int], Path], tmp_path: Path) -> None:
    """At every fill level a create either publishes a whole backup or says space.*, and harms no older one."""
    size = bank.options.path.stat().st_size
    disk = small_disk(3 * size)
    store = LocalStore("local", LocalOptions(path=disk / "backups"))
    first = take_backup(bank, Repository(store=store), BackupRequest(min_free=0), Job()).backup
    ballast = disk / "ballast"
    outcomes = set()
    for free in (0, 4096, size // 4, size // 2, size - 8192, size, size + 4096, size + 12288, size + 65536):
        there = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
        with ballast.open("wb") as file:
            file.write(b"x" * max(0, there - free))
        before = {stored.key for stored in store.list()}
        try:
            taken = take_backup(bank, Repository(store=store), BackupRequest(min_free=1), Job()).backup
        except SpaceError as error:
            outcomes.add(error.code)
            assert {stored.key for stored in store.list()} == before
            assert not list(store.options.path.glob(".tmp-*"))
        else:
            outcomes.add("published")
            for stored in list(store.list()):
                if stored.key.startswith(taken.name):
                    store.delete(stored.key)
        ballast.unlink()
        look = VerifyRequest(Level.FULL, tmp_path, keep=False)
        assert verify_backup(first, bank, look, Job()).verdict is Verdict.PASSED
    assert outcomes == {"space.insufficient", "space.disk_full", "published"}


def test_reserve_is_asked_for_before_the_first_byte(
    bank: SqliteSource, small_disk: Callable[[int], Path]
) -> None:
    """Without min_free, twice the estimate must be free; else nothing is written at all."""
    disk = small_disk(bank.options.path.stat().st_size + MIB)
    store = LocalStore("local", LocalOptions(path=disk / "backups"))
    with pytest.raises(SpaceError) as caught:
        take_backup(bank, Repository(store=store), BackupRequest(), Job())
    assert caught.value.code == "space.insufficient"
    assert not list(disk.rglob("*.db"))


def test_verify_on_a_full_store(
    bank: SqliteSource, small_disk: Callable[[int], Path], tmp_path: Path
) -> None:
    """When the evidence cannot be kept, the verdict stands and a warning says so."""
    disk = small_disk(4 * MIB)
    store = LocalStore("local", LocalOptions(path=disk / "backups"))
    backup = take_backup(bank, Repository(store=store), BackupRequest(min_free=0), Job()).backup
    fill(disk / "ballast")
    evidence = verify_backup(backup, bank, VerifyRequest(Level.QUICK, tmp_path), Job())
    assert evidence.verdict is Verdict.PASSED
    assert [finding.code for finding in evidence.findings][-1] == "evidence.not_kept"


def test_drill_without_room_is_inconclusive(
    bank: SqliteSource, store: LocalStore, small_disk: Callable[[int], Path]
) -> None:
    """A scratch place that is too small says nothing about the backup: inconclusive, not failed."""
    backup = take_backup(bank, Repository(store=store), BackupRequest(), Job()).backup
    evidence = run_drill(backup, bank, DrillRequest(scratch=small_disk(MIB)), Job())
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert "space.insufficient" in {finding.code for finding in evidence.findings}
    assert not read_catalogue(store).backups[0].proven


def test_restore_onto_a_full_disk(
    bank: SqliteSource, store: LocalStore, small_disk: Callable[[int], Path], tmp_path: Path
) -> None:
    """A restore that does not fit leaves the live database as it was."""
    backup = take_backup(bank, Repository(store=store), BackupRequest(), Job()).backup
    disk = small_disk(3 * MIB)
    live = disk / "live.db"
    execute(live, "CREATE TABLE kept (a); INSERT INTO kept VALUES (zeroblob(1500000));")
    before = live.read_bytes()
    request = RestoreRequest(scratch=tmp_path, safety=Repository(store=store), to=str(live), yes=True)
    with pytest.raises(OpsError) as caught:
        restore_backup(backup, bank, request, Job())
    assert caught.value.code in {"space.insufficient", "space.disk_full"}
    assert live.read_bytes() == before
    assert [file.name for file in disk.iterdir()] == ["live.db"]
