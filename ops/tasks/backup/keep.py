"""The task `backup.keep`: a pin."""

from __future__ import annotations

from ops.errors import ConfigError
from ops.report.results.backups import BackupKept
from ops.repository.pins import keep_backup
from ops.tasks.backup.commands import Keep
from ops.tasks.cli.values import moment_after
from ops.tasks.session import Session


def run(session: Session, wanted: Keep) -> None:
    """Pin one backup."""
    if not wanted.reason.strip():
        hint = "say why, for whoever finds the pin in a year"
        raise ConfigError("--reason is needed", code="usage.bad_value", hint=hint)
    backup = session.find(wanted.backup, wanted.source)
    end = moment_after("--until", wanted.until, session.job.clock()) if wanted.until else None
    pin = keep_backup(backup, wanted.reason.strip(), end, session.job.of_source(backup.manifest.source.name))
    session.outcome.add(BackupKept(backup, pin))
