"""Deleting one backup so that a run which is cut off leaves word, and the next one finishes it.

In this order: a tombstone that says it is being deleted, then the manifest (from then on it is no backup), then what
lies beside it, the payload, and the tombstone. A run that is killed in between leaves the tombstone.
"""

from __future__ import annotations

import contextlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from ops.errors import NameTakenError, OpsError, StoreError
from ops.formats.names import (
    CHECKSUM_SUFFIX,
    OTHER_CHECKSUM_SUFFIX,
    TOMBSTONE_SUFFIX,
    manifest_key,
    payload_of_record,
    tombstone_key,
)
from ops.fsio.locks import claimed_for_deletion
from ops.fsio.writer_marks import FOREIGN_AFTER
from ops.model.findings import Finding, Severity
from ops.model.series import Whose
from ops.ports.store import LocalFiles, Store
from ops.repository.backup import Backup
from ops.repository.catalog import tombstone_in
from ops.repository.integrity import critical
from ops.repository.leases import Lease, Observer
from ops.repository.transfer import put_new
from ops.repository.versions import locked_finding
from ops.run.job import Job
from ops.units import format_time

_FOR_READERS: Final = timedelta(days=1)
"""How long a payload stays after its manifest where readers cannot be seen."""


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


@dataclass(frozen=True, slots=True)
class Deletion:
    """How a run deletes in one store: its own lease, and whom it asks for readers; neither where files are on this machine.

    `place`: of the source whose backups it deletes.

    Without a lease in another store nobody can be seen: there the payload goes a day after its manifest.
    """

    lease: Lease | None = None
    observer: Observer | None = None
    place: str = ""

    @property
    def in_two_steps(self) -> bool:
        """Return whether the payload stays for a day, for readers that cannot be seen."""
        return self.observer is not None and self.lease is None


def delete_backup(
    backup: Backup, about: Sequence[str], job: Job, how: Deletion = Deletion()
) -> Finding | None:
    """Delete `backup` and the keys `about` it; a finding when it stays, or did not go whole."""
    with _unread(backup) as free:
        if not free:
            return _in_use(backup, "another run reads it")
        try:
            if locked := locked_finding(backup, job):
                return locked
            if how.lease is not None:
                how.lease.require()
            _bury(backup, job, how)
            if readers := how.observer.readers(backup.name) if how.observer is not None else []:
                backup.store.delete(tombstone_key(backup.name))
                return _in_use(backup, f"{readers[0]}")
            if how.in_two_steps:
                backup.store.delete(manifest_key(backup.name))
                return None
            _remove(backup.store, backup.name, about)
        except OpsError as error:
            return critical(error, backup.name)
    return None


def _in_use(backup: Backup, who: str) -> Finding:
    message = f"{backup.name} stays for now: {who}"
    return Finding(severity=Severity.OK, code="prune.in_use", message=message, where=backup.name)


def finish_deletions(store: Store, whose: Whose) -> list[str]:
    """Go on where deleting backups of the source was cut off, or waits for readers; those that are gone now.

    What another place of the same name deletes is its own, for seven days: it may be at it now.
    """
    stored = {file.key: file.size for file in store.list()}
    finished, about = [], beside(stored)
    for key in sorted(key for key in stored if key.endswith(TOMBSTONE_SUFFIX) and "/" not in key):
        payload = key.removesuffix(TOMBSTONE_SUFFIX)
        said = tombstone_in(store, key)
        if said is None or said.get("source") != whose.name:
            continue
        if not _is_of(whose, said) and (store.age(key) or timedelta()) < FOREIGN_AFTER:
            continue
        if manifest_key(payload) in stored:
            # Cut off before anything was deleted: whether it goes is decided anew. The note may be locked.
            with contextlib.suppress(StoreError):
                store.delete(key)
            continue
        if said.get("waits") is True and (store.age(key) or timedelta()) < _FOR_READERS:
            continue
        _remove(store, payload, about[payload])
        finished.append(payload)
    return finished


def _is_of(whose: Whose, said: Mapping[str, Any]) -> bool:
    """Whether a run for this very place left it; the first tombstones do not say at which place they were made."""
    return said.get("place", whose.place) in {whose.place, *whose.former_places}


@contextlib.contextmanager
def _unread(backup: Backup) -> Iterator[bool]:
    if not isinstance(backup.store, LocalFiles):
        yield True
        return
    with claimed_for_deletion(backup.store.path_of(manifest_key(backup.name))) as claimed:
        yield claimed


def _bury(backup: Backup, job: Job, how: Deletion) -> None:
    key = tombstone_key(backup.name)
    document = {
        "version": 1,
        "source": backup.manifest.source.name,
        "backup": backup.name,
        "created_at": format_time(backup.manifest.created_at),
        "size": backup.manifest.size,
        "job_id": job.job_id,
        "pruned_at": format_time(job.clock()),
        **({"place": how.place} if how.place else {}),
        **({"waits": True} if how.in_two_steps else {}),
    }
    # Another machine may have begun with the same backup: it says the same.
    with contextlib.suppress(NameTakenError):
        put_new(backup.store, key, (json.dumps(document, indent=2) + "\n").encode("ascii"))


def _remove(store: Store, payload: str, about: Sequence[str]) -> None:
    """Manifest first, tombstone last."""
    for key in dict.fromkeys([manifest_key(payload), *about, payload]):
        store.delete(key)
    store.delete(tombstone_key(payload))
