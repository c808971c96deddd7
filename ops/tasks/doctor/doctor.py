"""What `doctor` and `demo` do with their flags."""

from __future__ import annotations

from collections.abc import Mapping

from ops.actions.copy import Home
from ops.actions.doctor import Patient, examine, examine_copies, examine_machine
from ops.config.model import ConfiguredSource
from ops.errors import OpsError
from ops.model.findings import Finding, Severity
from ops.ports.store import Store
from ops.report.documents import findings_document
from ops.report.outcome import exit_code_of
from ops.report.text import findings_text, printable
from ops.repository.backup import Catalogue
from ops.repository.capacity import examine_capacity
from ops.repository.catalog import read_catalogue, sizes_in
from ops.repository.integrity import critical
from ops.repository.retention import Policy
from ops.tasks.ingest.metrics import examine_history
from ops.tasks.session import Session


def doctor(session: Session, source: str) -> None:
    """Examine the machine, then each source with its store."""
    outcome = session.outcome
    findings = examine_machine(session.config.scratch)
    config = str(session.config.path) if session.config.path else "none (environment alone)"
    outcome.add(
        {"source": None, "config": config, "findings": findings_document(findings)},
        f"Configuration: {printable(config)}\n{findings_text(findings, all_of_them=True)}",
        exit_code_of(findings),
    )
    catalogues = {
        name: _examine_store(session, name, store)
        for name, store in session.config.stores.items()
        if not source or name in session.config.source(source).stores
    }
    for name, cipher in session.config.ciphers.items():
        probed = cipher.probe()
        document = {"cipher": name, "findings": findings_document(probed)}
        text = f"cipher {name}:\n{findings_text(probed, all_of_them=True)}"
        outcome.add(document, text, exit_code_of(probed))
    if not source and (found := examine_history(session)):
        outcome.add(
            {"ingest": True, "findings": findings_document(found)},
            f"ingest history:\n{findings_text(found, all_of_them=True)}",
            exit_code_of(found),
        )
    for configured in session.chosen(source):
        patient = Patient(
            configured.source,
            session.repository(session.config.home_of(configured)),
            configured.objectives,
            configured.min_free,
        )
        findings = examine(patient, session.config.scratch, session.job.clock())
        findings += _examine_copies(session, configured, catalogues)
        outcome.add(
            {"source": configured.name, "findings": findings_document(findings)},
            f"{configured.name}:\n{findings_text(findings, all_of_them=True)}",
            exit_code_of(findings),
        )


def _examine_store(session: Session, name: str, store: Store) -> Catalogue | None:
    """How full it is, and when it will be full; what is in it, None when that can not be told."""

    def policy_of(source: str) -> Policy:
        configured = session.config.sources.get(source)
        return session.config.policy_of(configured, name) if configured else Policy(forever=True)

    catalogue = None
    try:
        limit = session.config.settings_of(name).limit
        catalogue = read_catalogue(store)
        findings = examine_capacity(store, catalogue, limit, policy_of, session.job.clock())
    except OpsError as error:
        findings = [_not_looked_at(error, name)]
    session.outcome.add(
        {"store": name, "findings": findings_document(findings)},
        f"store {name}:\n{findings_text(findings, all_of_them=True)}",
        exit_code_of(findings),
    )
    return catalogue


def _not_looked_at(error: OpsError, name: str) -> Finding:
    if error.code != "tool.network_forbidden":
        return critical(error, name)
    return Finding(severity=Severity.OK, code=error.code, message=error.message, where=name)


def _examine_copies(
    session: Session, configured: ConfiguredSource, catalogues: Mapping[str, Catalogue | None]
) -> list[Finding]:
    """Whether its further stores have what they should; nothing of one that could not be looked at."""
    config, home = session.config, catalogues.get(configured.stores[0])
    further = {
        name: (away, config.settings_of(name).policy)
        for name in config.further_stores(configured)
        if (away := catalogues.get(name)) is not None
    }
    if home is None or not further:
        return []
    stored = sizes_in(config.home_of(configured))
    return examine_copies(Home(configured.name, home, stored), further, session.job.clock())
