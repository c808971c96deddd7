"""The task `store.check`: what a store promises, tried out."""

from __future__ import annotations

from ops.errors import OpsError
from ops.report.documents import findings_document
from ops.report.outcome import exit_code_of
from ops.report.text import findings_text, printable
from ops.repository.check_store import check_store
from ops.tasks.session import Session


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
