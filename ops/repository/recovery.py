"""What runs that were killed left in a store: found and removed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol, runtime_checkable

from ops.errors import OpsError
from ops.fsio.leftovers import Leftover
from ops.model.findings import Finding, Severity
from ops.ports.store import LocalFiles
from ops.repository.repository import Repository
from ops.repository.writers import remove_left
from ops.units import format_duration, format_size


@runtime_checkable
class Uploading(Protocol):
    """A store in which a run that is cut off leaves parts that no listing shows."""

    def abort_stale_uploads(self, older_than: timedelta) -> Sequence[str]:
        """Give up uploads that were begun longer ago; their keys. Raises StoreError when that may not be."""


def sweep(repository: Repository) -> list[Finding]:
    """Remove what writers that died left half done; one finding for each name."""
    store = repository.store
    if not isinstance(store, LocalFiles):
        return remove_left(store)
    return [
        Finding(
            severity=Severity.OK,
            code="store.swept",
            message=f"removed {name}, left by a run that was killed",
            where=name,
        )
        for name in store.sweep()
    ]


def examine_leftovers(repository: Repository) -> list[Finding]:
    """Return a finding for each half-written file that is never removed without being asked, with its size."""
    store = repository.store
    return [_stays(item) for item in store.leftovers()] if isinstance(store, LocalFiles) else []


def _stays(item: Leftover) -> Finding:
    why = (
        "a run on another machine, or before the last boot, may still write it: it is removed after seven unchanged days"
        if item.ours
        else "it carries no mark of ours (another program's, or an older Drillbook's), so it is never removed: delete it if"
        " no program uses it"
    )
    message = f"{item.name} ({format_size(item.size)}): {why}"
    return Finding(severity=Severity.OK, code="store.leftover", message=message, where=item.name)


def give_up_uploads(repository: Repository, older_than: timedelta) -> list[Finding]:
    """Give up uploads that were begun longer ago and never finished; one finding for each, a warning where they stay."""
    store = repository.store
    if not isinstance(store, Uploading):
        return []
    try:
        keys = store.abort_stale_uploads(older_than)
    except OpsError as error:
        message = f"unfinished uploads stay: {error.message}"
        return [
            Finding(severity=Severity.WARNING, code="prune.uploads_kept", message=message, where=error.code)
        ]
    return [_given_up(key, older_than) for key in keys]


def _given_up(key: str, older_than: timedelta) -> Finding:
    age = format_duration(older_than.total_seconds())
    message = f"gave up an upload of {key} that was begun more than {age} ago and never finished"
    return Finding(severity=Severity.OK, code="prune.upload_given_up", message=message, where=key)
