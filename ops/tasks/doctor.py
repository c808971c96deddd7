"""What `doctor` does with its flags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ops.actions.copy import Home
from ops.actions.doctor import (
    Patient,
    examine,
    examine_copies,
    examine_known,
    examine_machine,
    examine_only_copies,
)
from ops.config.model import ConfiguredSource
from ops.errors import NetworkForbiddenError, OpsError
from ops.model.findings import Finding, Severity
from ops.ports.store import Store
from ops.report.results.examined import HistoryExamined, MachineExamined, PartExamined
from ops.repository.capacity import examine_capacity
from ops.repository.catalog import read_catalogue
from ops.repository.examine import examine_devices, examine_sameness
from ops.repository.integrity import critical
from ops.repository.listing import Listing, list_backups
from ops.repository.locks import in_use
from ops.repository.recovery import examine_leftovers
from ops.repository.retention import Policy
from ops.tasks.collector import without_collector
from ops.tasks.commands import Doctor
from ops.tasks.ingest_history import examine_history
from ops.tasks.session import Session


def run(session: Session, wanted: Doctor) -> None:
    """Examine the machine, then each source with its store."""
    outcome = session.outcome
    findings = [*examine_machine(session.config.scratch, session.config.state), *session.said_of_name]
    config = str(session.config.path) if session.config.path else "none (environment alone)"
    outcome.add(MachineExamined(config, tuple(findings)))
    named = session.chosen(wanted.source) if wanted.source else []
    with without_collector():
        listings = {
            name: _examine_store(session, name, store)
            for name, store in session.config.stores.items()
            if not wanted.source or any(name in item.stores for item in named)
        }
    for name, cipher in session.config.ciphers.items():
        outcome.add(PartExamined("cipher", name, tuple(cipher.probe())))
    if not wanted.source and (found := examine_history(session)):
        outcome.add(HistoryExamined(tuple(found)))
    for configured in session.chosen(wanted.source):
        patient = Patient(
            configured.source,
            session.repository(session.config.home_of(configured)),
            configured.objectives,
            configured.min_free,
            configured.series,
        )
        listing = listings.get(configured.stores[0])
        findings = examine(patient, session.config.scratch, session.job.clock(), listing)
        findings += examine_known(configured.known, session.job.clock().date())
        findings = _with_unlisted(
            findings, [name for name in configured.stores if listings.get(name) is None]
        )
        findings += _examine_copies(session, configured, listings)
        findings += session.said_of_absent(configured)
        here = [name for name in configured.stores if listings.get(name) is not None]
        here_stores = [session.config.stores[name] for name in here]
        findings += [*examine_sameness(here_stores), *examine_devices(here_stores)]
        outcome.add(PartExamined("source", configured.name, tuple(dict.fromkeys(findings))))


def _examine_store(session: Session, name: str, store: Store) -> Listing | None:
    """How full it is, and when it will be full; what is in it, None when that cannot be told."""

    def policy_of(source: str) -> Policy:
        configured = session.config.sources.get(source)
        return session.config.policy_of(configured, name) if configured else Policy(forever=True)

    if session.absent([name]):
        return None
    listing = None
    try:
        limit = session.config.settings_of(name).limit
        listing = list_backups(store, session.cache)
        findings = examine_capacity(store, listing, limit, policy_of, session.job.clock())
        findings += [*in_use(store), *examine_leftovers(session.repository(store))]
    except OpsError as error:
        findings = [_not_looked_at(error, name)]
    session.outcome.add(PartExamined("store", name, tuple(findings)))
    return listing


def _with_unlisted(findings: list[Finding], unlisted: Sequence[str]) -> list[Finding]:
    """The same, but that there is no backup yet is said only where every store was looked at."""
    if not unlisted:
        return findings
    message = f"no backup is where they are made, and what is in {', '.join(unlisted)} could not be looked at"
    return [replace(item, message=message) if item.code == "doctor.no_backup" else item for item in findings]


def _not_looked_at(error: OpsError, name: str) -> Finding:
    if not isinstance(error, NetworkForbiddenError):
        return critical(error, name)
    return Finding(severity=Severity.OK, code=error.code, message=error.message, where=name)


def _examine_copies(
    session: Session, configured: ConfiguredSource, listings: Mapping[str, Listing | None]
) -> list[Finding]:
    """Whether its further stores have what they should; nothing of one that could not be looked at."""
    config, home = session.config, session.config.home_of(configured)
    names = [name for name in config.further_stores(configured) if listings.get(name) is not None]
    if listings.get(home.name) is None or not names:
        return []
    here = Home.of(session.whose(configured), session.repository(home))
    if not here.here.mine:
        return examine_only_copies(
            here.here.whose, (session.repository(config.stores[name]) for name in names)
        )
    further = {name: (read_catalogue(config.stores[name]), config.settings_of(name).policy) for name in names}
    return examine_copies(here, further, config.policies, session.job.clock())
