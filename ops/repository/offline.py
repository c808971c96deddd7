"""Stores that are not always here: rotated disks and tape. Absent is normal; that their newest copy is too old is told."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from ops.errors import OpsError
from ops.model.findings import Finding, Severity
from ops.model.series import Whose
from ops.ports.store import Store
from ops.repository.freshness import overdue
from ops.repository.identity import read_identity
from ops.repository.newest import newest_of
from ops.repository.repository import Repository
from ops.repository.store_watch import MISSING, current_watch
from ops.units import format_duration

_ABSENT: Final = frozenset((MISSING, "store.unreachable", "store.no_bucket"))
_LASTING: Final = 2


def is_absent(store: Store) -> bool:
    """Return whether a store that is not always here is not here now; what cannot be read is told by whoever reads it."""
    try:
        return read_identity(store) is None
    except OpsError as error:
        return error.code in _ABSENT


def examine_absent(store: Store, source: str, every: timedelta, now: datetime) -> Finding:
    """Return how old the newest copy is that this machine knows to be in the absent store, against what was promised."""
    watch = current_watch()
    newest = watch.newest_of(store, source) if watch else None
    about = f"store {store.name!r} is not here (offline), copies of {source} wait"
    if newest is None:
        return _finding(Severity.OK, "store.offline", f"{about}; this machine knows of none there", store)
    age = format_duration(max(0.0, (now - newest).total_seconds()))
    message = f"{about}; its newest one is {age} old"
    if not overdue(newest, every, now):
        return _finding(Severity.OK, "store.offline", message, store)
    message += (
        f", and one every {format_duration(every.total_seconds())} was promised: bring it, then store.push"
    )
    lasting = now - newest > _LASTING * every
    return _finding(
        Severity.CRITICAL if lasting else Severity.WARNING, "store.offline_overdue", message, store
    )


def remember_copies(whose: Whose, to: Repository) -> None:
    """Keep how old the newest backup of the source is in a store that may be away tomorrow. Raises StoreError."""
    watch = current_watch()
    last = next(newest_of(to.store, whose, to.cache).backups, None)
    if watch is not None and last is not None:
        watch.remember_newest(to.store, whose.name, last.created_at)


def _finding(severity: Severity, code: str, message: str, store: Store) -> Finding:
    return Finding(severity=severity, code=code, message=message, where=store.name)
