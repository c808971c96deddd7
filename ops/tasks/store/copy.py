"""How `store.push`, `store.pull` and `backup.create` make copies."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from ops.actions.copy import copy_missing
from ops.config.model import ConfiguredSource
from ops.errors import OpsError
from ops.model.findings import Finding
from ops.report.results.stores import BackupCopied
from ops.repository.backup import Backup
from ops.repository.offline import remember_copies
from ops.repository.replicate import copy_backup
from ops.tasks.session import Session


def bring_up_to_date(session: Session, configured: ConfiguredSource, names: Sequence[str]) -> list[Finding]:
    """Copy to these stores what of the source's backups should be there and is not; what waits for those that are away."""
    absent = session.absent(names)
    waiting = [item for item in session.said_of_absent(configured) if item.where in absent]
    further = [session.repository(session.config.stores[name]) for name in names if name not in absent]
    home, whose = session.repository(session.config.home_of(configured)), session.whose(configured)
    findings = copy_missing(whose, home, further, session.job.of_source(configured.name))
    for repository in further:
        if repository.name in session.config.offline:
            with contextlib.suppress(OpsError):  # that it cannot be read was told by the copying
                remember_copies(whose, repository)
    return [*findings, *waiting]


def copy_to(session: Session, backup: Backup, name: str) -> None:
    """Copy one backup to the store of that name, and tell it."""
    source, to = backup.manifest.source.name, session.repository(session.config.stores[name])
    if name == backup.store.name:
        session.outcome.add(BackupCopied(backup, name))
        return
    try:
        noticed = copy_backup(backup, to, session.job.of_source(source))
    except OpsError as error:
        session.outcome.fail(error, source)
        return
    cipher = to.encryption.name if to.encryption else None
    session.outcome.add(BackupCopied(backup, name, to.location, cipher))
    session.outcome.notice(noticed)
