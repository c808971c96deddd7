"""Deleting one backup so that a run which is cut off leaves word, and the next one finishes it.

In this order: a tombstone that says it is being deleted, then the manifest (from then on it is no backup), then what
lies beside it, the payload, and the tombstone. A run that is killed in between leaves the tombstone.
"""

from __future__ import annotations

import contextlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol, runtime_checkable

from ops.errors import OpsError, StoreError
from ops.formats.names import (
    CHECKSUM_SUFFIX,
    OTHER_CHECKSUM_SUFFIX,
    TOMBSTONE_SUFFIX,
    manifest_key,
    payload_of_record,
    tombstone_key,
)
from ops.fsio.locks import claimed_for_deletion
from ops.model.findings import Finding, Severity
from ops.ports.store import LocalFiles, Store
from ops.repository.backup import Backup
from ops.repository.integrity import critical
from ops.repository.transfer import put_new
from ops.run.job import Job
from ops.units import format_time

_MOST_TOMBSTONE_BYTES = 1 << 20


@runtime_checkable
class Retaining(Protocol):
    """A store that keeps files from being removed until a time, whoever asks."""

    def retained_until(self, key: str) -> datetime | None:
        """Until when `key` is kept, in UTC; for a folder the latest of its files; None when it is not."""


def beside(keys: Iterable[str]) -> Mapping[str, list[str]]:
    """By payload the keys of its records and checksum files, sorted."""
    found: dict[str, list[str]] = defaultdict(list)
    for key in sorted(keys):
        about = payload_of_record(key)
        if about is None and key.endswith((CHECKSUM_SUFFIX, OTHER_CHECKSUM_SUFFIX)) and "/" not in key:
            about = key.rsplit(".", 1)[0]
        if about is not None:
            found[about].append(key)
    return found


def delete_backup(backup: Backup, about: Sequence[str], job: Job) -> Finding | None:
    """Delete `backup` and the keys `about` it; a finding when it stays, or did not go whole."""
    if locked := locked_finding(backup, job):
        return locked
    with _unread(backup) as free:
        if not free:
            message = f"{backup.name} stays for now: another run reads it"
            return Finding(severity=Severity.OK, code="prune.in_use", message=message, where=backup.name)
        try:
            _bury(backup, job)
            _remove(backup.store, backup.name, about)
        except OpsError as error:
            return critical(error, backup.name)
    return None


def locked_finding(backup: Backup, job: Job) -> Finding | None:
    """A finding when the store itself keeps the backup until a time: that is never fought."""
    store = backup.store
    if not isinstance(store, Retaining):
        return None
    times = [store.retained_until(key) for key in (manifest_key(backup.name), backup.name)]
    until = max(filter(None, times), default=None)
    if until is None or until <= job.clock():
        return None
    message = f"{backup.name} stays: the store keeps it until {format_time(until)}"
    return Finding(severity=Severity.OK, code="prune.locked", message=message, where=backup.name)


def finish_deletions(store: Store, source: str) -> list[str]:
    """Go on where deleting backups of `source` was cut off; those that are gone now."""
    stored = {file.key: file.size for file in store.list()}
    finished, about = [], beside(stored)
    for key in sorted(key for key in stored if key.endswith(TOMBSTONE_SUFFIX) and "/" not in key):
        payload = key.removesuffix(TOMBSTONE_SUFFIX)
        if not _is_of(source, store, key):
            continue
        if manifest_key(payload) in stored:
            # Cut off before anything was deleted: whether it goes is decided anew. The note may be locked.
            with contextlib.suppress(StoreError):
                store.delete(key)
            continue
        _remove(store, payload, about[payload])
        finished.append(payload)
    return finished


def _is_of(source: str, store: Store, key: str) -> bool:
    try:
        with store.open(key) as file:
            document = json.loads(file.read(_MOST_TOMBSTONE_BYTES))
        return bool(document["source"] == source)
    except (OpsError, ValueError, KeyError, TypeError):
        return False


@contextlib.contextmanager
def _unread(backup: Backup) -> Iterator[bool]:
    if not isinstance(backup.store, LocalFiles):
        yield True
        return
    with claimed_for_deletion(backup.store.path_of(manifest_key(backup.name))) as claimed:
        yield claimed


def _bury(backup: Backup, job: Job) -> None:
    key = tombstone_key(backup.name)
    document = {
        "version": 1,
        "source": backup.manifest.source.name,
        "backup": backup.name,
        "created_at": format_time(backup.manifest.created_at),
        "size": backup.manifest.size,
        "job_id": job.job_id,
        "pruned_at": format_time(job.clock()),
    }
    # Another machine may have begun with the same backup: it says the same.
    with _name_taken_is_fine():
        put_new(backup.store, key, (json.dumps(document, indent=2) + "\n").encode("ascii"))


@contextlib.contextmanager
def _name_taken_is_fine() -> Iterator[None]:
    try:
        yield
    except OpsError as error:
        if error.code != "refused.name_taken":
            raise


def _remove(store: Store, payload: str, about: Sequence[str]) -> None:
    """Manifest first, tombstone last."""
    for key in dict.fromkeys([manifest_key(payload), *about, payload]):
        store.delete(key)
    store.delete(tombstone_key(payload))
