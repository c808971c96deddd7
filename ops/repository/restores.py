"""Restores over the live data of a source, as its store records them: the next backup continues what was restored."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from typing import Final

from ops.errors import OpsError
from ops.formats.names import manifest_key
from ops.formats.restore_record import RestoreRecord, from_json, to_json
from ops.model.findings import Finding, Severity
from ops.model.manifest import Manifest
from ops.model.series import Whose
from ops.ports.store import OWN_PREFIX, Store
from ops.repository.catalog import read_manifest
from ops.repository.identity import read_identity
from ops.repository.newest import newest_of
from ops.repository.private_memory import known_manifest
from ops.repository.repository import Repository
from ops.repository.transfer import content_of, put_text
from ops.run.job import Job
from ops.units import format_stamp

_PREFIX: Final = f"{OWN_PREFIX}restores/"


@contextlib.contextmanager
def recorded_restore(
    to: Repository, whose: Whose, series: str, manifest: Manifest, job: Job
) -> Iterator[list[Finding]]:
    """Record in the source's store that this backup replaces the live data; a warning where that cannot be written.

    It is written before the data is replaced, so that a run that is killed in between leaves the word behind, and taken
    back where replacing fails.
    """
    key, findings = "", list[Finding]()
    try:
        key = _put(to, whose, series, manifest, job)
    except OpsError as error:
        message = (
            f"the restore is not recorded in store {to.name!r} ({error.message}): the next backup will be compared with"
            " the newest one before the restore"
        )
        findings.append(Finding(severity=Severity.WARNING, code="restore.not_recorded", message=message))
    try:
        yield findings
    except BaseException:
        _forget(to.store, [key] if key else [])
        raise
    _forget(to.store, [other for other in _keys(to.store, series) if other != key] if key else [])


def last_restored(to: Repository, series: str, former: Manifest) -> Manifest | None:
    """Return the manifest of the backup that replaced the live data after `former` was made; None without such a restore.

    None, too, where the record or that backup cannot be read: the new backup is then compared with `former` alone.
    """
    try:
        records = [from_json(content_of(to.store, key)) for key in _keys(to.store, series)]
        last = max(filter(None, records), key=lambda record: record.order, default=None)
        if last is None or last.newest < former.sequence or last.series != series:
            return None
        manifest = known_manifest(read_manifest(to.store, manifest_key(last.backup)), to)
    except OpsError:
        return None
    name = former.source.name
    if name in {member.name for member in manifest.members}:
        manifest = manifest.member(name)
    return manifest if manifest.job_id == last.backup_job_id else None


def _put(to: Repository, whose: Whose, series: str, manifest: Manifest, job: Job) -> str:
    """Return where the record is; empty where the store has no backup that a later one could be compared with."""
    read_identity(to.store)
    last = next(newest_of(to.store, whose, to.cache, series).backups, None)
    if last is None:
        return ""
    record = RestoreRecord(
        series=series,
        backup=manifest.payload,
        backup_job_id=manifest.job_id,
        newest=last.sequence,
        recorded_at=job.clock(),
        host=socket.gethostname(),
        job_id=job.job_id,
    )
    key = f"{_PREFIX}{series}-{format_stamp(record.recorded_at)}-{job.job_id[:8]}.json"
    put_text(to.store, key, to_json(record))
    return key


def _keys(store: Store, series: str) -> list[str]:
    try:
        return sorted(stored.key for stored in store.list(f"{_PREFIX}{series}-"))
    except OpsError:
        return []


def _forget(store: Store, keys: list[str]) -> None:
    """Remove records that no longer say anything; where that is not allowed they stay, and are not the last word."""
    for key in keys:
        with contextlib.suppress(OpsError):
            store.delete(key)
