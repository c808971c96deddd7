"""The task `backup.adopt`: a series of before becomes a part of the own one."""

from __future__ import annotations

from ops.actions.adopt import AdoptRequest, adopt
from ops.report.results.backups import SeriesAdopted
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
    result = SeriesAdopted(
        source=configured.name, series=wanted.series, undo=wanted.undo, findings=tuple(findings)
    )
    session.outcome.add(result)
