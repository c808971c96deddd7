"""The task `backup.show`: one backup whole."""

from __future__ import annotations

from ops.errors import OtherSeriesError
from ops.report.exit_codes import WARNING
from ops.report.results.backups import BackupShown
from ops.repository.encrypt import opened_where_possible
from ops.repository.integrity import check_sizes
from ops.tasks.backup.commands import Show
from ops.tasks.session import Session


def run(session: Session, wanted: Show) -> None:
    """One backup whole."""
    try:
        backup = session.find(wanted.backup, wanted.source)
    except OtherSeriesError as error:
        # Nothing is done with a backup here: whose there are is what was asked for.
        session.outcome.fail(error, wanted.source, exit_code=WARNING)
        return
    backup = opened_where_possible(backup, session.config.scratch)
    session.outcome.add(BackupShown(backup, tuple(check_sizes(backup))))
    configured = session.config.sources.get(backup.manifest.source.name)
    if configured is not None:
        session.outcome.notice(session.said_of_absent(configured))
