"""The task `backup.show`: one backup whole."""

from __future__ import annotations

import shlex

from ops.errors import OtherSeriesError
from ops.report.exit_codes import WARNING
from ops.report.results.backups import BackupShown
from ops.repository.backup import Backup
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
    command = session.outcome.typed(f"backup.restore --from {_named(session, backup)} --yes")
    session.outcome.add(BackupShown(backup, tuple(check_sizes(backup)), command))
    configured = session.config.sources.get(backup.manifest.source.name)
    if configured is not None:
        session.outcome.notice(session.said_of_absent(configured))


def _named(session: Session, backup: Backup) -> str:
    """The backup as `--from` takes it: with its store where another one has it as well, else by its path or name."""
    name = backup.name
    if session.config.stores.get(backup.store.name) is None:
        return shlex.quote(f"{backup.store.location}/{name}")
    only = len(session.config.stores) == 1
    return shlex.quote(name if only else f"{backup.store.name}:{name}")
