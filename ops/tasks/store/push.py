"""The task `store.push`: backups copied to further stores."""

from __future__ import annotations

from collections.abc import Sequence

from ops.config.model import ConfiguredSource
from ops.errors import ConfigError
from ops.report.documents import findings_document
from ops.report.outcome import exit_code_of
from ops.report.text import findings_text
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
        document = {"source": configured.name, "stores": names, "findings": findings_document(findings)}
        said = findings_text(findings, all_of_them=True) or _nothing(names)
        session.outcome.add(document, f"{configured.name}:\n{said}", exit_code_of(findings))


def _nothing(names: Sequence[str]) -> str:
    if not names:
        return "  it has one store; name more in `stores`, or one with --store"
    return f"  nothing is missing in {', '.join(names)}"


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
