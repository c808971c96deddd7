"""The task `backup.release`: pins taken back."""

from __future__ import annotations

from ops.report.results.backups import BackupReleased
from ops.repository.pins import release_backup
from ops.tasks.backup.commands import Release
from ops.tasks.session import Session


def run(session: Session, wanted: Release) -> None:
    """Take back all pins of one backup."""
    backup = session.find(wanted.backup, wanted.source)
    keys = release_backup(backup, session.job.of_source(backup.manifest.source.name))
    session.outcome.add(BackupReleased(backup, tuple(keys)))
