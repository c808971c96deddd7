"""The task `store.push`: backups copied to further stores."""

from __future__ import annotations

from ops.config.model import ConfiguredSource
from ops.errors import ConfigError
from ops.report.results.stores import CopiesMade
from ops.repository.backup import Backup
from ops.tasks.session import Session
from ops.tasks.store.commands import Push
from ops.tasks.store.copy import bring_up_to_date, copy_to


def run(session: Session, wanted: Push) -> None:
    """One backup to its source's further stores or the one that is named; or all that are missing there."""
    if wanted.store:
        session.config.store(wanted.store)
    if wanted.backup:
        _push_one(session, session.find(wanted.backup, session.only("BACKUP", wanted.source)), wanted.store)
        return
    for configured in session.chosen(wanted.source):
        names = _further(session, configured, wanted.store)
        findings = bring_up_to_date(session, configured, names)
        session.outcome.add(CopiesMade(configured.name, tuple(names), tuple(findings)))


def _further(session: Session, configured: ConfiguredSource, store: str) -> list[str]:
    names = session.config.further_stores(configured)
    return [name for name in names if not store or name == store]


def _push_one(session: Session, backup: Backup, store: str) -> None:
    source = backup.manifest.source.name
    configured = session.config.sources.get(source)
    names = [store] if store else session.config.further_stores(configured) if configured else []
    if not names:
        message = f"source {source!r} names no further store"
        raise ConfigError(message, code="usage.bad_value", hint="say where to with --store NAME")
    for name in names:
        copy_to(session, backup, name)
