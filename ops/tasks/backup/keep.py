"""The tasks `backup.keep` and `backup.release`: pins."""

from __future__ import annotations

from ops.errors import ConfigError
from ops.report.retention import pin_document, pinned_text, released_text
from ops.repository.pins import keep_backup, release_backup
from ops.tasks.flag_values import moment_after
from ops.tasks.session import Session


def keep(session: Session, reference: str, source: str, reason: str, until: str) -> None:
    """Pin one backup."""
    if not reason.strip():
        hint = "say why, for whoever finds the pin in a year"
        raise ConfigError("--reason is needed", code="usage.bad_value", hint=hint)
    backup = session.find(reference, source)
    end = moment_after("--until", until, session.job.clock()) if until else None
    pin = keep_backup(backup, reason.strip(), end, session.job.of_source(backup.manifest.source.name))
    session.outcome.add(pin_document(pin), pinned_text(backup, pin))


def release(session: Session, reference: str, source: str) -> None:
    """Take back all pins of one backup."""
    backup = session.find(reference, source)
    keys = release_backup(backup, session.job.of_source(backup.manifest.source.name))
    session.outcome.add({"backup": backup.name, "released": keys}, released_text(backup, keys))
