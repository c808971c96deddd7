"""The task `test-conn`: whether a provider answers."""

from __future__ import annotations

from ops.formats.evidence import finding_document
from ops.ingest_monitor.providers import contact
from ops.report.ingest import (
    contact_document,
)
from ops.report.outcome import exit_code_of
from ops.report.text import findings_text
from ops.tasks.commands import TestConn
from ops.tasks.session import Session


def run(session: Session, wanted: TestConn) -> None:
    """Ask, and say what it means."""
    asked = contact(session.config.ingest.provider(wanted.provider))
    text = findings_text(asked.findings, all_of_them=True)
    session.outcome.add(contact_document(asked), text, exit_code_of(asked.findings))
    session.outcome.findings += map(finding_document, asked.findings)
