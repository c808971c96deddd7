"""Pins: an operator says that a backup must stay, why, and until when; and takes it back."""

from __future__ import annotations

import socket
from datetime import datetime

from ops.formats import pins as pin_files
from ops.formats.names import payload_of_pin, pin_key
from ops.model.evidence import Pin
from ops.repository.backup import Backup
from ops.repository.locks import being_read
from ops.repository.transfer import put_new
from ops.run.job import Job


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
    with job.step("pin"), being_read(backup, "keep", job):
        put_new(backup.store, key, pin_files.to_json(pin))
    return pin


def release_backup(backup: Backup, job: Job) -> list[str]:
    """Take back all pins of `backup`, also those that cannot be read; their keys."""
    with job.step("release"):
        keys = sorted(
            stored.key
            for stored in backup.store.list(backup.name)
            if payload_of_pin(stored.key) == backup.name
        )
        for key in keys:
            backup.store.delete(key)
    return keys
