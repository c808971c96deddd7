"""What a store itself keeps: backups that are locked or held, and versions of what was deleted."""

from __future__ import annotations

from datetime import datetime

from ops.errors import OpsError
from ops.formats.names import manifest_key
from ops.model.findings import Finding, Severity
from ops.ports.removal import Protecting, protection_of_all
from ops.ports.store import Store
from ops.repository.backup import Backup
from ops.run.job import Job
from ops.units import format_size, format_time


def locked_finding(backup: Backup, job: Job) -> Finding | None:
    """A finding when the store itself keeps the backup, until a time or by a legal hold: that is never fought.

    Raises StoreError when the store cannot be asked.
    """
    store = backup.store
    if not isinstance(store, Protecting):
        return None
    kept = protection_of_all(store, [manifest_key(backup.name), backup.name])
    if kept.held:
        message = f"{backup.name} stays: a legal hold is on it in the store, until whoever put it there takes it off"
        return Finding(severity=Severity.OK, code="prune.held", message=message, where=backup.name)
    if kept.until is None or kept.until <= job.clock():
        return None
    message = f"{backup.name} stays: the store keeps it until {format_time(kept.until)}"
    return Finding(severity=Severity.OK, code="prune.locked", message=message, where=backup.name)


def kept_versions(store: Store, count: int, size: int, now: datetime) -> tuple[bool, list[Finding]]:
    """Return whether `size` bytes of `count` deleted backups are still there as versions, and what an operator should know.

    A warning where nothing will ever end them, or nobody may ask whether something does.
    """
    if not isinstance(store, Protecting) or not count:
        return False, []
    what = f"{count} backups ({format_size(size)})"
    try:
        bucket = store.bucket_protection()
    except OpsError as error:
        message = (
            f"whether the room of {what} is free in store {store.name!r} could not be asked: {error.message}"
        )
        return False, [_versions(Severity.WARNING, message, store)]
    if bucket.versioning is False:
        return False, []
    if bucket.versioning is None:
        message = (
            f"whether store {store.name!r} keeps versions of the {what} is not known: the keys may not ask"
            " (s3:GetBucketVersioning)"
        )
        return False, [_versions(Severity.OK, message, store)]
    if bucket.old_versions_end_after is not None:
        days = bucket.old_versions_end_after
        message = (
            f"{what} are hidden in store {store.name!r}, which keeps them as versions: its rule removes those after"
            f" {days.days} days, on {now + days:%Y-%m-%d}"
        )
        return True, [_versions(Severity.OK, message, store)]
    why = (
        "no rule of the bucket removes them"
        if bucket.lifecycle_known
        else "the keys may not ask whether a rule removes them (s3:GetLifecycleConfiguration)"
    )
    message = (
        f"{what} are hidden in store {store.name!r} and take their room still: it keeps versions, and {why}. Give the bucket a"
        " lifecycle rule that ends noncurrent versions; see docs: s3"
    )
    return True, [_versions(Severity.WARNING, message, store)]


def _versions(severity: Severity, message: str, store: Store) -> Finding:
    return Finding(severity=severity, code="prune.versions", message=message, where=store.name)
