"""The task `store.pull`: a backup copied back to where it was made."""

from __future__ import annotations

from ops.errors import ConfigError
from ops.tasks.session import Session
from ops.tasks.store.copy import Wanted, _copy


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
