"""One run at a time a source and store, and readers that retention leaves alone."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from ops.errors import BackupError, OpsError
from ops.formats.names import manifest_key
from ops.fsio.locks import held_for_reading, source_lock
from ops.ports.store import LocalFiles, Store
from ops.repository.backup import Backup
from ops.run.job import Job


@contextlib.contextmanager
def being_read(backup: Backup) -> Iterator[None]:
    """Retention leaves `backup` alone while the block runs, in stores whose files are on this machine.

    Raises BackupError (`backup.not_found`) when it was deleted a moment ago.
    """
    if not isinstance(backup.store, LocalFiles):
        yield
        return
    with held_for_reading(backup.store.path_of(manifest_key(backup.name))) as there:
        if not there:
            raise _deleted(backup)
        yield


@contextlib.contextmanager
def being_judged(backup: Backup) -> Iterator[None]:
    """The same for a block that comes to a verdict.

    In other stores nobody can be kept off: what was seen of a backup that is gone afterwards says nothing about it.
    Raises BackupError (`backup.not_found`) then, too.
    """
    with being_read(backup):
        try:
            yield
        finally:
            if not isinstance(backup.store, LocalFiles) and _is_gone(backup):
                raise _deleted(backup)


def _is_gone(backup: Backup) -> bool:
    try:
        backup.store.open(manifest_key(backup.name)).close()
    except BackupError as error:
        return error.code == "backup.not_found"
    except OpsError:
        return False
    return False


def _deleted(backup: Backup) -> BackupError:
    message = f"{backup.name} was deleted from store {backup.store.name!r} a moment ago"
    return BackupError(message, hint="names are as backup.list prints them", command="backup.list")


@contextlib.contextmanager
def held_lock(source: str, store: Store, wait_s: float, job: Job) -> Iterator[None]:
    """The lock of the source of that name in `store`, while the block runs; nothing where the store has no files here."""
    if not isinstance(store, LocalFiles):
        yield
        return
    path = store.lock_path(source)
    with source_lock(path, job_id=job.job_id, now=job.clock(), wait_s=wait_s):
        yield
