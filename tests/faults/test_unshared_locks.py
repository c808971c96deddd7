"""One folder seen through two mounts that do not share their locks, as two machines on a network share see it."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ops.actions.backup import take_backup
from ops.actions.begin_backup import BackupRequest
from ops.actions.verify import VerifyRequest, verify_backup
from ops.fsio.locks import is_held, source_lock
from ops.model.evidence import Level
from ops.model.findings import Verdict
from ops.repository.catalog import read_catalogue
from ops.repository.repository import Repository
from ops.run.job import Job
from ops.sources.sqlite.source import SqliteSource
from ops.stores.local.store import LocalOptions, LocalStore
from tests.dead import ELSEWHERE, dead_name

pytestmark = [pytest.mark.alone, pytest.mark.long]

NOW = datetime(2026, 6, 30, 12, tzinfo=UTC)


@contextlib.contextmanager
def mounted(folder: Path, at: Path) -> Iterator[Path]:
    """Show `folder` at another place, with locks of its own."""
    program, out = shutil.which("bindfs"), shutil.which("fusermount3") or shutil.which("fusermount")
    if program is None or out is None or not os.access("/dev/fuse", os.R_OK | os.W_OK):
        if os.environ.get("CI") == "true" and os.geteuid() == 0 and Path("/dev/fuse").exists():
            pytest.fail("bindfs is not installed")
        pytest.skip("bindfs, or /dev/fuse, is not here")
    at.mkdir()
    ended = subprocess.run(
        [program, "--no-allow-other", folder, at], capture_output=True, text=True, check=False
    )
    if ended.returncode != 0:
        pytest.skip(f"bindfs cannot mount here: {ended.stderr.strip()}")
    try:
        yield at
    finally:
        subprocess.run([out, "-u", "-z", at], check=True, capture_output=True)


@pytest.fixture
def two(tmp_path: Path) -> Iterator[tuple[LocalStore, LocalStore]]:
    """The same folder, as each of two machines sees it."""
    folder = tmp_path / "share"
    folder.mkdir(0o700)
    with mounted(folder, tmp_path / "one") as one, mounted(folder, tmp_path / "two") as other:
        yield tuple(LocalStore("l", LocalOptions(path=path)) for path in (one, other))  # type: ignore[misc]


def test_they_do_not_share_locks(two: tuple[LocalStore, LocalStore]) -> None:
    """What the other tests here are about: a lock that is held on one side is free on the other."""
    one, other = two
    with source_lock(one.lock_path("app"), job_id="j", now=NOW):
        assert is_held(one.lock_path("app"))
        assert not is_held(other.lock_path("app"))


def test_what_the_other_machine_writes_is_not_swept(
    two: tuple[LocalStore, LocalStore], source: SqliteSource
) -> None:
    """A backup on one machine removes nothing that another one is writing, though its lock is not seen."""
    one, other = two
    take_backup(source, Repository(store=one), BackupRequest(), Job(clock=lambda: NOW))
    with other.stage("theirs.db") as staged:
        # As the other machine would have marked it.
        theirs = staged.with_name(dead_name("theirs.db", ELSEWHERE))
        staged.rename(theirs)
        theirs.write_bytes(b"half")
        taken = take_backup(
            source, Repository(store=one), BackupRequest(), Job(clock=lambda: NOW + timedelta(days=1))
        )
        assert "store.swept" not in {item.code for item in taken.findings}
        assert theirs.read_bytes() == b"half"
        (left,) = one.leftovers()
        assert (left.name, left.ours) == (theirs.name, True)
        theirs.rename(staged)
        other.put("theirs.db", staged)
    assert "theirs.db" in {stored.key for stored in one.list()}


def test_the_same_second_on_both(
    two: tuple[LocalStore, LocalStore], source: SqliteSource, scratch: Path
) -> None:
    """Two backups of one second from two machines are both whole, under names of their own."""
    for _ in range(3):
        for store in two:
            take_backup(source, Repository(store=store), BackupRequest(), Job(clock=lambda: NOW))
    catalogue = read_catalogue(two[0])
    assert catalogue.findings == ()
    assert len(catalogue.backups) == 6
    for backup in catalogue.backups:
        look = VerifyRequest(Level.QUICK, scratch, keep=False)
        assert verify_backup(backup, source, look, Job()).verdict is Verdict.PASSED
