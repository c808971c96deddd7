"""What `snapshot.purge` does with its flags."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from ops.errors import ConfigError, RefusedError
from ops.report.results.snapshots import SnapshotsPurged
from ops.snapshots.purge import PurgeRequest, purge_snapshots
from ops.tasks.session import Session
from ops.tasks.snapshot.commands import Purge


def run(session: Session, wanted: Purge) -> None:
    """Remove what is old; a person at a terminal sees the plan first and is asked."""
    request = _request(session, wanted)
    job = session.job.of_source("")
    if not wanted.dry_run and not wanted.confirm:
        _ask(SnapshotsPurged(purge_snapshots(replace(request, dry_run=True), job), dry_run=True).text())
    session.outcome.add(SnapshotsPurged(purge_snapshots(request, job), request.dry_run))


def _request(session: Session, wanted: Purge) -> PurgeRequest:
    if wanted.dry_run and wanted.confirm:
        raise ConfigError("--dry-run and --confirm exclude each other", code="usage.bad_value")
    settings = session.config.snapshots
    folder = settings.folder.absolute()
    archive = Path(wanted.archive_dir).absolute() if wanted.archive_dir else None
    if archive is not None and archive.resolve() == folder.resolve():
        raise ConfigError("--archive-dir is the folder of snapshots itself", code="usage.bad_value")
    return PurgeRequest(
        folder=folder,
        older_than=settings.retention_days if wanted.older_than is None else wanted.older_than,
        keep_latest=wanted.keep_latest,
        archive=archive,
        dry_run=wanted.dry_run,
        wait_s=wanted.wait,
    )


def _ask(plan: str) -> None:
    """Return when a person at a terminal says yes to the plan; raises RefusedError."""
    hint = "look at it with --dry-run, then add --confirm"
    if sys.stdin.isatty():
        sys.stderr.write(f"{plan}\n\nRemove them? Type yes: ")
        sys.stderr.flush()
        if sys.stdin.readline().strip() == "yes":
            return
    raise RefusedError("snapshot.purge removes snapshots", code="refused.interactive_only", hint=hint)
