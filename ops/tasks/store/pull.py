"""The task `store.pull`: a backup copied back to where it was made."""

from __future__ import annotations

import contextlib

from ops.errors import BackupError, ConfigError, OpsError
from ops.repository.backup import Backup
from ops.repository.catalog import read_catalogue, sizes_in
from ops.tasks.session import Session
from ops.tasks.store.commands import Pull
from ops.tasks.store.copy import copy_to


def run(session: Session, wanted: Pull) -> None:
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
    if backup.store.name == to and not _is_whole(backup):
        backup = _copy_elsewhere(session, backup)
    copy_to(session, backup, to)


def _is_whole(backup: Backup) -> bool:
    return not backup.manifest.lost_from(sizes_in(backup.store))


def _copy_elsewhere(session: Session, backup: Backup) -> Backup:
    """The same backup in another store, where it is whole; raises BackupError where there is none."""
    for store in session.config.stores.values():
        if store.name == backup.store.name:
            continue
        with contextlib.suppress(OpsError):
            for other in read_catalogue(store).backups:
                if other.manifest.job_id == backup.manifest.job_id and _is_whole(other):
                    return session.with_openers(other)
    message = (
        f"{backup.name} is not whole in store {backup.store.name!r}, and in no other store that can be read"
    )
    hint = "a store that is not here now may have it: store.pull STORE:NAME when it is"
    raise BackupError(message, code="backup.payload_missing", hint=hint)
