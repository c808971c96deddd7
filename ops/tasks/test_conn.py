"""The task `test-conn`: whether a provider answers."""

from __future__ import annotations

from ops.ingest_monitor.providers import contact
from ops.report.results.ingest import ProviderAsked
from ops.tasks.commands import TestConn
from ops.tasks.session import Session


def run(session: Session, wanted: TestConn) -> None:
    """Ask, and say what it means."""
    session.outcome.add(ProviderAsked(contact(session.config.ingest.provider(wanted.provider))))
