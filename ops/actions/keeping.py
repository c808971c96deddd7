"""Pins: somebody says that a backup must stay, why, and until when; and takes it back."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from datetime import datetime

from ops import pins as pin_files
from ops.actions.catalogue import Backup
from ops.errors import BackupError, OpsError
from ops.fsio.locking import held_for_reading
from ops.fsio.staging import translated_write_errors
from ops.joblog import Job
from ops.model import Pin
from ops.naming import manifest_key, payload_of_pin, pin_key
from ops.ports import LocalFiles


def keep_backup(backup: Backup, reason: str, until: datetime | None, job: Job) -> Pin:
    """Pin `backup`; the pin, stored beside it. Retention keeps it until then, or until it is released."""
    now = job.clock()
    pin = Pin(
        backup=backup.name,
        reason=reason,
        until=until,
        pinned_at=now,
        job_id=job.job_id,
        host=socket.gethostname(),
    )
    key = pin_key(backup.name, now, job.job_id)
    with job.step("pin"), being_read(backup), backup.store.stage(key) as staged:
        with translated_write_errors(staged):
            staged.write_bytes(pin_files.to_json(pin))
        backup.store.put(key, staged)
    return pin


def release_backup(backup: Backup, job: Job) -> list[str]:
    """Take back all pins of `backup`, also those that can not be read; their keys."""
    with job.step("release"):
        keys = sorted(
            stored.key for stored in backup.store.list() if payload_of_pin(stored.key) == backup.name
        )
        for key in keys:
            backup.store.delete(key)
    return keys


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
