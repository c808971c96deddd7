"""Proofs that what stays is there: before anything goes, and after."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final

from ops.model.findings import Finding, Severity, worst
from ops.ports.store import LocalFiles
from ops.repository.backup import Backup
from ops.repository.second_look import look_beside, look_through, stops
from ops.run.progress import Progress

READ_WITHIN: Final = timedelta(days=30)
"""How old the last look at all bytes may be where they are not on this machine: nobody downloads them for a prune."""


def prove_present(
    backup: Backup, now: datetime, progress: Progress, what: str = "last good"
) -> Finding | None:
    """Return why `backup` cannot be relied on now, None when it is there as it was recorded.

    `what`: for messages. On this machine its files are hashed again. Elsewhere names and sizes are asked for, and of the
    last good one a verify or drill must have read every byte within thirty days (`prune.unread`).
    """
    findings = look_beside(backup, progress)
    if not stops(findings) and isinstance(backup.store, LocalFiles):
        findings = look_through(backup, progress)
    if stops(findings):
        said = next(item for item in findings if stops([item]))
        message = f"{backup.name}, the {what} backup or needed by it, is not there as it was recorded: {said.message}"
        severity = Severity.CRITICAL if worst(findings) is Severity.CRITICAL else Severity.WARNING
        return Finding(severity=severity, code=said.code, message=message, where=backup.name)
    read = backup.read_at
    if isinstance(backup.store, LocalFiles) or what != "last good":
        return None
    if read is not None and now - read <= READ_WITHIN:
        return None
    message = (
        f"{backup.name}, the {what} backup or needed by it, was not read whole within the last {READ_WITHIN.days} days:"
        f" run backup.verify --from {backup.store.name}:{backup.name}, then prune again"
    )
    return Finding(severity=Severity.WARNING, code="prune.unread", message=message, where=backup.name)


def lost(kept: Iterable[Backup], before: Mapping[str, int], after: Mapping[str, int]) -> list[Finding]:
    """Return a critical finding for each backup that was to stay, was whole, and is not any more."""
    found = []
    for backup in kept:
        if not backup.manifest.lost_from(before) and backup.manifest.lost_from(after):
            message = (
                f"{backup.name} was to stay, and is not whole any more: something else deletes in this store"
            )
            found.append(
                Finding(severity=Severity.CRITICAL, code="prune.lost", message=message, where=backup.name)
            )
    return found
