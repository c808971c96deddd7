"""The task `backup.adopt`: a series of before becomes a part of the own one."""

from __future__ import annotations

from ops.actions.adopt import AdoptRequest, adopt
from ops.report.documents import findings_document
from ops.report.outcome import exit_code_of
from ops.report.text import findings_text
from ops.tasks.backup.commands import Adopt
from ops.tasks.session import Session


def run(session: Session, wanted: Adopt) -> None:
    """Record it in every store of the source."""
    (configured,) = session.one(wanted.source)
    request = AdoptRequest(
        series=wanted.series.lower(),
        whose=session.whose(configured),
        stores=tuple(session.repository(session.config.stores[name]) for name in configured.stores),
        undo=wanted.undo,
        yes=wanted.yes,
    )
    findings = adopt(request, session.job.of_source(configured.name))
    document = {
        "source": configured.name,
        "series": wanted.series,
        "undo": wanted.undo,
        "findings": findings_document(findings),
    }
    text = f"{configured.name}:\n{findings_text(findings, all_of_them=True)}"
    session.outcome.add(document, text, exit_code_of(findings))
