"""What runs that were killed left in a store: found and removed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol, runtime_checkable

from ops.errors import OpsError
from ops.model.findings import Finding, Severity
from ops.ports.store import LocalFiles
from ops.repository.repository import Repository
from ops.units import format_duration


@runtime_checkable
class Uploading(Protocol):
    """A store in which a run that is cut off leaves parts that no listing shows."""

    def abort_stale_uploads(self, older_than: timedelta) -> Sequence[str]:
        """Give up uploads that were begun longer ago; their keys. Raises StoreError when that may not be."""


def sweep(repository: Repository) -> list[Finding]:
    """Remove what writers that died left half done, where the store has files here; one finding for each name."""
    store = repository.store
    if not isinstance(store, LocalFiles):
        return []
    return [
        Finding(
            severity=Severity.OK,
            code="store.swept",
            message=f"removed {name}, left by a run that was killed",
            where=name,
        )
        for name in store.sweep()
    ]


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
