"""What `store.check`, `store.push` and `store.pull` do with their flags; and how `backup.create` makes copies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ops.actions.catalogue import Backup
from ops.actions.conform import check_store
from ops.actions.copying import Tier, copy_backup, copy_missing
from ops.config.model import ConfiguredSource
from ops.errors import ConfigError, OpsError
from ops.model import Finding
from ops.report.documents import backup_document, findings_document
from ops.report.outcome import exit_code_of
from ops.report.text import findings_text, printable
from ops.tasks.session import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The flags of `store.push` and `store.pull`."""

    backup: str
    store: str
    source: str


def push(session: Session, wanted: Wanted) -> None:
    """One backup to its source's further stores or the one that is named; or all that are missing there."""
    if wanted.store:
        session.config.store(wanted.store)
    if wanted.backup:
        _push_one(session, session.find(wanted.backup, wanted.source), wanted.store)
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


def bring_up_to_date(session: Session, configured: ConfiguredSource, names: Sequence[str]) -> list[Finding]:
    """Copy to these stores what of the source's backups should be there and is not."""
    tiers = [_tier(session, name) for name in names]
    home = session.config.home_of(configured)
    job = session.job.of_source(configured.name)
    return copy_missing(configured.name, home, tiers, session.config.scratch, job)


def _push_one(session: Session, backup: Backup, store: str) -> None:
    source = backup.manifest.source.name
    configured = session.config.sources.get(source)
    names = [store] if store else session.config.further_stores(configured) if configured else []
    if not names:
        message = f"source {source!r} names no further store"
        raise ConfigError(message, code="usage.bad_value", hint="say where to with --store NAME")
    for name in names:
        _copy(session, backup, name)


def pull(session: Session, wanted: Wanted) -> None:
    """One backup to the store where backups of its source are made, or the one that is named."""
    backup = session.find(wanted.backup, wanted.source)
    configured = session.config.sources.get(backup.manifest.source.name)
    if wanted.store:
        to = session.config.store(wanted.store).name
    elif configured is not None:
        to = configured.stores[0]
    else:
        message = f"source {backup.manifest.source.name!r} is not configured here"
        raise ConfigError(message, code="usage.bad_value", hint="say where to with --store NAME")
    _copy(session, backup, to)


def _copy(session: Session, backup: Backup, name: str) -> None:
    source, to = backup.manifest.source.name, session.config.stores[name]
    if name == backup.store.name:
        text = f"{printable(backup.name)} is in store {printable(name)} already"
        session.outcome.add({**backup_document(backup), "to": name}, text)
        return
    tier = _tier(session, name)
    try:
        copy_backup(backup, tier, session.config.scratch, session.job.of_source(source))
    except OpsError as error:
        session.outcome.fail(error, source)
        return
    sealed = f", sealed with {tier.cipher.name}" if tier.cipher else ""
    text = f"{printable(backup.name)} is in store {printable(name)} ({printable(to.location)}{sealed})"
    session.outcome.add({**backup_document(backup), "to": name}, text)


def _tier(session: Session, name: str) -> Tier:
    said = session.config.settings_of(name)
    return Tier(session.config.stores[name], said.policy, said.limit, said.cipher)


def check(session: Session, name: str) -> None:
    """Try out each store, or the one that is named."""
    stores = [session.config.store(name)] if name else list(session.config.stores.values())
    for store in stores:
        try:
            findings = check_store(store, session.job.of_source(""))
        except OpsError as error:
            session.outcome.fail(error)
            continue
        document = {"store": store.name, "location": store.location, "findings": findings_document(findings)}
        text = f"{printable(store.name)} ({printable(store.location)}):\n{findings_text(findings, all_of_them=True)}"
        session.outcome.add(document, text, exit_code_of(findings))
