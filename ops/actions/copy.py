"""Copies of backups in further stores: whole, checked against the manifest, repaired by the next run.

The order is that of a backup itself: payload, checksum file, evidence and pins, and last the manifest, so that a copy
that was cut off is no backup there. What is there already is compared, never replaced.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final

from ops.errors import OpsError
from ops.formats.dependencies import needs_of
from ops.formats.encrypted_manifest import is_sealed
from ops.formats.names import checksum_key, manifest_key
from ops.model.findings import Finding, Severity
from ops.ports import Cipher, Store
from ops.repository.backup import Backup, Catalogue
from ops.repository.capacity import require_below_limit
from ops.repository.catalog import find_backup, read_catalogue
from ops.repository.dependencies import copy_of, needed_backups
from ops.repository.encrypt import Sealing
from ops.repository.fetch import payload_here
from ops.repository.locks import being_read, held_lock
from ops.repository.publish_encrypted import copy_sealed
from ops.repository.retention import Candidate, Policy, plan_retention
from ops.repository.retention_candidates import candidates_of
from ops.repository.transfer import (
    checksum_content,
    conflict,
    content_of,
    copy_records,
    put_text,
    require_arrived,
)
from ops.run.job import Job

_BLOCK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Home:
    """Where the backups of one source are made: all that is there, and the sizes of the files by key."""

    source: str
    catalogue: Catalogue
    stored: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Tier:
    """A further store of a source. Without a policy of its own it gets everything, else what that would keep.

    `limit`: bytes that it may hold. `cipher`: what its copies are sealed with.
    """

    store: Store
    policy: Policy | None = None
    limit: int | None = None
    cipher: Cipher | None = None


def copy_backup(backup: Backup, tier: Tier, scratch: Path, job: Job) -> None:
    """Put a whole copy of `backup` into a further store; returns when it is there, also when it was before.

    What it needs and is not there yet goes first. Where the tier has a cipher a plain backup is sealed on the way; a sealed one stays as it is. Raises BackupError
    when the backup is not what its manifest says (it is not spread then), StoreError (`store.conflict`) when
    something else has its name there, and what the stores and the cipher raise.
    """
    to = tier.store
    _copy_needed(backup, tier, scratch, job)
    with job.step(f"copy to {to.name}") as facts, being_read(backup):
        if tier.cipher is not None and not is_sealed(backup.manifest):
            # Of two that seal at once, each would take what the other has sent for the rest of a copy that was cut off.
            copying = f"{backup.manifest.source.name}.copies"
            with (
                held_lock(copying, backup.store, 0, job),
                payload_here(backup, scratch, job, compared_later=True) as payload,
            ):
                copy_sealed(backup, payload, to, Sealing.by(tier.cipher, scratch), job)
        else:
            _copy_as_it_is(backup, to, scratch, job)
        facts.bytes = backup.manifest.size


def _copy_needed(backup: Backup, tier: Tier, scratch: Path, job: Job) -> None:
    needs = needs_of(backup.manifest)
    there = [stored.key for stored in tier.store.list()] if needs else []
    if all(copy_of(need, tier.store, there) is not None for need in needs):
        return
    for needed, need in zip(needed_backups(backup), needs, strict=True):
        if copy_of(need, tier.store, there) is None:
            known = find_backup(needed.store, needed.name)
            copy_backup(replace(known, openers=backup.openers), tier, scratch, job)


def _copy_as_it_is(backup: Backup, to: Store, scratch: Path, job: Job) -> None:
    stored = {file.key: file.size for file in to.list()}
    if not _is_there(backup, to, stored):
        with payload_here(backup, scratch, job) as payload:
            to.put(backup.name, payload)
        require_arrived(backup.manifest, to)
    put_text(to, checksum_key(backup.name), checksum_content(backup.manifest))
    copy_records(backup, to)
    put_text(to, manifest_key(backup.name), content_of(backup.store, manifest_key(backup.name)))


def missing_copies(home: Home, away: Catalogue, policy: Policy | None, now: datetime) -> list[Backup]:
    """The backups in their home that should be in the other store and are not, newest first.

    One that is known to be bad is not spread.
    """
    here = [item for item in home.catalogue.backups if item.manifest.source.name == home.source]
    there = {item.manifest.job_id for item in away.backups}
    candidates = {item.name: item for item in candidates_of(here, home.stored)}
    absent = [
        item for item in here if item.manifest.job_id not in there and candidates[item.name].good is not False
    ]
    if policy is None:
        return absent
    kept = _as_sound([item for item in away.backups if item.manifest.source.name == home.source])
    wanted = _wanted([*kept, *(candidates[item.name] for item in absent)], policy, now)
    wanted |= {name for item in absent if item.name in wanted for name in candidates[item.name].needs}
    return [item for item in absent if item.name in wanted]


def _as_sound(backups: Sequence[Backup]) -> list[Candidate]:
    """A copy that is there stands for its period, unless a look at it failed."""
    sizes = {entry.path: entry.size for item in backups for entry in item.manifest.files}
    return candidates_of(backups, sizes)


def _wanted(candidates: Sequence[Candidate], policy: Policy, now: datetime) -> set[str]:
    """What a rule of the policy keeps; that it is the newest or the last good one is no reason to copy it."""
    plan = plan_retention((replace(item, held=()) for item in candidates), policy, now)
    return {item.candidate.name for item in plan.decisions if item.by_rule}


def copy_missing(source: str, home: Store, tiers: Iterable[Tier], scratch: Path, job: Job) -> list[Finding]:
    """Bring every tier up to date; a finding for each backup that was copied or could not be.

    A copy that fails is a warning: the backup is where it was made, and the next run tries again.
    """
    here = Home(source, read_catalogue(home), {file.key: file.size for file in home.list()})
    findings = []
    for tier in tiers:
        try:
            away = read_catalogue(tier.store)
            missing = missing_copies(here, away, tier.policy, job.clock())
            _refresh_records(here.catalogue, away, tier.store)
        except OpsError as error:
            findings.append(_failed(f"store {tier.store.name!r} can not be brought up to date", error))
            continue
        findings += [_copy_one(backup, tier, scratch, job) for backup in missing]
    return findings


def _refresh_records(home: Catalogue, away: Catalogue, to: Store) -> None:
    """What was seen since the copy was made goes to it as well: its retention there depends on that."""
    there = {(item.name, item.manifest.job_id): item for item in away.backups}
    for backup in home.backups:
        copy = there.get((backup.name, backup.manifest.job_id))
        if copy is not None and (len(copy.evidence), len(copy.pins)) != (
            len(backup.evidence),
            len(backup.pins),
        ):
            copy_records(backup, to)


def _copy_one(backup: Backup, tier: Tier, scratch: Path, job: Job) -> Finding:
    to = tier.store
    try:
        require_below_limit(to, tier.limit, backup.manifest.size)
        copy_backup(backup, tier, scratch, job)
    except OpsError as error:
        return _failed(f"{backup.name} is not in store {to.name!r} yet", error)
    message = f"{backup.name} is in store {to.name!r} too"
    return Finding(severity=Severity.OK, code="copy.made", message=message)


def _failed(what: str, error: OpsError) -> Finding:
    message = f"{what}: {error.message}; the next backup.create or store.push tries again"
    return Finding(severity=Severity.WARNING, code="copy.failed", message=message, where=error.code)


def _is_there(backup: Backup, to: Store, stored: dict[str, int]) -> bool:
    """Whether the payload arrived before; raises StoreError when what is there is something else."""
    entries = {entry.path: entry for entry in backup.manifest.files}
    found = {key for key in stored if key == backup.name or key.startswith(f"{backup.name}/")}
    if not found:
        return False
    same = found == entries.keys() and all(
        stored[key] == entries[key].size and _digest(to, key) == entries[key].sha256 for key in sorted(found)
    )
    if not same:
        raise conflict(backup.name, to)
    return True


def _digest(store: Store, key: str) -> str:
    digest = hashlib.sha256()
    with store.open(key) as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
