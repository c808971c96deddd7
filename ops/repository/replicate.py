"""A copy of a backup in another store: whole, and compared with the manifest.

The order is that of a backup itself: payload, checksum file, evidence and pins, and last the manifest, so that a copy
that was cut off is no backup there. What is there already is compared, never replaced.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from ops.formats import pins as pin_files
from ops.formats.dependencies import needs_of
from ops.formats.encrypted_manifest import is_sealed
from ops.formats.names import checksum_key, manifest_key, pin_key
from ops.model.findings import Finding
from ops.model.series import Whose
from ops.ports.store import Store
from ops.repository.backup import Backup, Catalogue
from ops.repository.dependencies import copy_of, needed_backups
from ops.repository.encrypt import Sealing, sealed_records
from ops.repository.fetch import payload_here
from ops.repository.find import find_backup
from ops.repository.identity import give_identity
from ops.repository.locks import being_read, held_lock
from ops.repository.own_manifest import plain_beside
from ops.repository.publish_encrypted import copy_sealed
from ops.repository.repository import Repository
from ops.repository.transfer import (
    checksum_content,
    conflict,
    content_of,
    copy_records,
    digest_of,
    put_text,
    require_arrived,
)
from ops.repository.writers import announced
from ops.run.job import Job


def copy_backup(backup: Backup, to: Repository, job: Job) -> list[Finding]:
    """Put a whole copy of `backup` into another repository; return what was noticed there, also when it was before.

    What it needs and is not there yet goes first. A plain backup is encrypted on the way where the repository has a
    cipher; an encrypted one stays as it is. Raises BackupError when the backup is not what its manifest says (it is
    not spread then), StoreError (`store.conflict`) when something else has its name there, and what the stores and
    the cipher raise.
    """
    findings, noticed = give_identity(to.store), list[Finding]()
    _copy_needed(backup, to, job)
    with job.step(f"copy to {to.name}") as facts, being_read(backup, "copy", job) as unleased:
        if to.encryption is not None and not is_sealed(backup.manifest):
            # Of two that seal at once, each would take what the other has sent for the rest of a copy that was cut off.
            copying = Whose(name=f"{backup.manifest.source.name}.copies", kind="", location="")
            with (
                held_lock(copying, replace(to, store=backup.store), 0, job) as noticed,
                payload_here(backup, to.scratch, job, compared_later=True) as payload,
            ):
                how = Sealing.by(to.encryption, to.scratch, plain_measures=to.plain_measures)
                copy_sealed(backup, payload, to.store, how, job)
        else:
            _copy_as_it_is(backup, to.store, to.scratch, job)
        facts.bytes = backup.manifest.size
    return [*findings, *noticed, *unleased]


def _copy_needed(backup: Backup, to: Repository, job: Job) -> None:
    needs = needs_of(backup.manifest)
    there = [stored.key for stored in to.store.list()] if needs else []
    if all(copy_of(need, to.store, there) is not None for need in needs):
        return
    for needed, need in zip(needed_backups(backup), needs, strict=True):
        if copy_of(need, to.store, there) is None:
            known = find_backup(needed.store, needed.name)
            copy_backup(replace(known, openers=backup.openers), to, job)


def _copy_as_it_is(backup: Backup, to: Store, scratch: Path, job: Job) -> None:
    stored = {file.key: file.size for file in to.list()}
    if not _is_there(backup, to, stored):
        with payload_here(backup, scratch, job) as payload, announced(to, backup.name, job, resumable=True):
            to.put(backup.name, payload)
        require_arrived(backup.manifest, to)
    # Beside an encrypted one lies an encrypted one, which is copied with the records.
    for key, content in () if is_sealed(backup.manifest) else plain_beside(backup):
        put_text(to, key, content)
    put_text(to, checksum_key(backup.name), checksum_content(backup.manifest))
    copy_records(backup, to)
    put_text(to, manifest_key(backup.name), content_of(backup.store, manifest_key(backup.name)))


def refresh_records(home: Catalogue, away: Catalogue, to: Store) -> None:
    """What was seen since the copy was made goes to it as well: its retention there depends on that."""
    there = {(item.name, item.manifest.job_id): item for item in away.backups}
    for backup in home.backups:
        copy = there.get((backup.name, backup.manifest.job_id))
        if copy is not None and (len(copy.evidence), len(copy.pins)) != (
            len(backup.evidence),
            len(backup.pins),
        ):
            copy_records(backup, to)


def refresh_sealed(home: Iterable[Backup], away: Catalogue, to: Store, job: Job) -> None:
    """Bring to encrypted copies of plain backups what was said since: pins, and that a backup is bad.

    Evidence is about bytes, and those of the copy are others: that a look passed proves nothing of them.
    """
    copies = {item.manifest.job_id: item for item in away.backups if is_sealed(item.manifest)}
    for backup in home:
        copy = copies.get(backup.manifest.job_id)
        if copy is None or is_sealed(backup.manifest):
            continue
        for pin in backup.pins:
            if pin.job_id not in {known.job_id for known in copy.pins}:
                key = pin_key(copy.name, pin.pinned_at, pin.job_id)
                put_text(to, key, pin_files.to_json(replace(pin, backup=copy.name)))
        if backup.good is False and copy.good is not False:
            known = replace(backup, pins=())
            for key, content in sealed_records(known, copy.manifest, job):
                put_text(to, key, content)


def _is_there(backup: Backup, to: Store, stored: dict[str, int]) -> bool:
    """Whether the payload arrived before; raises StoreError when what is there is something else."""
    entries = {entry.path: entry for entry in backup.manifest.files}
    found = {key for key in stored if key == backup.name or key.startswith(f"{backup.name}/")}
    if not found:
        return False
    same = found == entries.keys() and all(
        stored[key] == entries[key].size and digest_of(to, key) == entries[key].sha256
        for key in sorted(found)
    )
    if not same:
        raise conflict(backup.name, to)
    return True
