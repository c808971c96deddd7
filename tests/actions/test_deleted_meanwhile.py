"""A backup that another machine deletes from a store without locks, while it is looked at, is not called failed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import pytest

from ops.actions.begin_backup import BackupRequest
from ops.actions.create_backup import make
from ops.actions.drill import DrillRequest, run_drill
from ops.actions.verify import VerifyRequest, verify_backup
from ops.errors import BackupError
from ops.model.evidence import Evidence, Level
from ops.model.findings import Verdict
from ops.repository.backup import Backup
from ops.repository.delete import beside, delete_backup
from ops.repository.find import find_backup
from ops.repository.repository import Repository
from ops.run.job import Job
from ops.run.progress import Progress
from ops.sources.sqlite.source import SqliteSource
from ops.stores.memory import MemoryStore

Look = Callable[[Backup, SqliteSource, Path], Evidence]


@dataclass
class SharedStore(MemoryStore):
    """One that another machine prunes right before so many more reads."""

    reads_left: int = -1

    def open(self, key: str) -> BinaryIO:
        """Its content, if it is still there."""
        self._count()
        return super().open(key)

    def get(self, key: str, into: Path, progress: Progress) -> str:
        """Its content, if it is still there."""
        self._count()
        return super().get(key, into, progress)

    def _count(self) -> None:
        self.reads_left -= 1
        if self.reads_left == 0:
            other = MemoryStore(self.name, self.files)
            backup = find_backup(other, "latest")
            about = beside(file.key for file in other.list())[backup.name]
            assert delete_backup(backup, about, Job()) is None


def quick(backup: Backup, source: SqliteSource, scratch: Path) -> Evidence:
    """A quick verify."""
    return verify_backup(backup, source, VerifyRequest(Level.QUICK, scratch), Job())


def full(backup: Backup, source: SqliteSource, scratch: Path) -> Evidence:
    """A full verify."""
    return verify_backup(backup, source, VerifyRequest(Level.FULL, scratch), Job())


def drill(backup: Backup, source: SqliteSource, scratch: Path) -> Evidence:
    """A drill."""
    return run_drill(backup, source, DrillRequest(scratch=scratch), Job())


@pytest.mark.parametrize("look", [quick, full, drill])
def test_no_verdict_about_what_is_gone(look: Look, source: SqliteSource, scratch: Path) -> None:
    """Deleted before any of the reads, it is said to be gone, nothing is kept about it, and it never counts as failed."""
    for reads in range(1, 10):
        store = SharedStore("far")
        make(source, Repository(store=store), BackupRequest(), None, Job())
        backup = find_backup(store, "latest")
        store.reads_left = reads
        try:
            evidence = look(backup, source, scratch)
        except BackupError as error:
            assert (error.code, "a moment ago" in error.message) == ("backup.not_found", True)
            assert list(store.list()) == []
            continue
        if store.reads_left <= 0:
            # Deleted right before its evidence would be kept.
            assert ("evidence.not_kept" in {item.code for item in evidence.findings}, list(store.list())) == (
                True,
                [],
            )
            continue
        assert evidence.verdict is Verdict.PASSED
        return
    pytest.fail("it was never looked at whole")


def test_what_is_damaged_and_there_stays_failed(source: SqliteSource, scratch: Path) -> None:
    """A payload that is gone while its manifest is there says something about the backup."""
    store = MemoryStore("far")
    backup = make(source, Repository(store=store), BackupRequest(), None, Job()).taken.backup
    store.delete(backup.name)
    for look in (quick, full, drill):
        assert look(backup, source, scratch).verdict is Verdict.FAILED
