"""Copies of backups in further stores: which are missing there, and every one that can be made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain
from typing import Self

from ops.errors import OpsError, SameStoreError, StoreConflictError, StoreMissingError
from ops.formats.names import MANIFEST_SUFFIX
from ops.model.findings import Finding, Severity
from ops.model.series import Whose
from ops.repository.adoptions import carry_adoptions
from ops.repository.backup import Backup, Catalogue
from ops.repository.capacity import require_below_limit
from ops.repository.catalog import has_whole, read_catalogue
from ops.repository.identity import require_another
from ops.repository.listing import unread_manifests
from ops.repository.own import OwnBackups, own_backups
from ops.repository.recovery import sweep
from ops.repository.replicate import copy_backup, refresh_records, refresh_sealed
from ops.repository.repository import Repository
from ops.repository.retention import Candidate, Policy, plan_retention
from ops.repository.retention_candidates import Group, candidates_of
from ops.run.job import Job


@dataclass(frozen=True, slots=True)
class Home:
    """Where the backups of one source are made: all that is there, and the sizes of the files by key."""

    here: OwnBackups
    stored: Mapping[str, int]

    @classmethod
    def of(cls, whose: Whose, repository: Repository) -> Self:
        """Read the repository's store."""
        here = own_backups(whose, repository.store)
        return cls(here, here.catalogue.sizes)


def missing_copies(
    home: Home,
    away: Catalogue,
    policy: Policy | None,
    now: datetime,
    named: Mapping[str, Policy] | None = None,
) -> list[Backup]:
    """The backups in their home that should be in the other store and are not, newest first.

    A copy that is not whole there is missing. One that is known to be bad is not spread. `named`: the policies that a backup may name itself.
    """
    here = home.here.with_parts
    there = {item.manifest.job_id for item in away.backups if has_whole(away, item)}
    candidates = {item.name: item for item in candidates_of(here, home.stored)}
    absent = [
        item for item in here if item.manifest.job_id not in there and candidates[item.name].good is not False
    ]
    if policy is None:
        return absent
    theirs = home.here.among(away)
    wanted: set[str] = set()
    for own in {Group.of(item).policy for item in absent}:
        kept = _as_sound([item for item in theirs if Group.of(item).policy == own])
        more = [candidates[item.name] for item in absent if Group.of(item).policy == own]
        rules = (named or {}).get(own, Policy(forever=True)) if own else policy
        wanted |= _wanted([*kept, *more], rules, now)
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


def copy_missing(whose: Whose, home: Repository, further: Iterable[Repository], job: Job) -> list[Finding]:
    """Bring every further repository up to date; a finding for each backup that was copied or could not be.

    A copy that fails is a warning: the backup is where it was made, and the next run tries again.
    """
    here, further = Home.of(whose, home), tuple(further)
    findings = [_unread(item, home) for item in unread_manifests(here.here.catalogue)] if further else []
    for to in further:
        try:
            require_another(home.store, [to.store])
            findings += sweep(to)
            away = read_catalogue(to.store)
            missing = missing_copies(here, away, to.policy, job.clock(), to.policies)
            refresh_records(here.here.catalogue, away, to.store)
            refresh_sealed(here.here.with_parts, away, to.store, job)
            carry_adoptions(home.store, to.store)
            findings += not_whole(here, away, to)
        except OpsError as error:
            findings.append(_failed(f"store {to.name!r} cannot be brought up to date", error))
            continue
        # What is wrong with the store is said once, not with each backup.
        findings += dict.fromkeys(chain.from_iterable(_copy_one(backup, to, job) for backup in missing))
    return findings


def not_whole(home: Home, away: Catalogue, to: Repository) -> list[Finding]:
    """Return a warning for each backup that another store does not have, and that is not whole where it was made."""
    there = {item.manifest.job_id for item in away.backups if has_whole(away, item)}
    lost = [
        item.name
        for item in home.here.with_parts
        if item.manifest.job_id not in there and item.manifest.lost_from(home.stored)
    ]
    return [
        Finding(
            severity=Severity.WARNING,
            code="copy.failed",
            message=f"{name} is not in store {to.name!r}, and cannot be copied: it is not whole where it was made",
            where=name,
        )
        for name in lost
    ]


def _unread(item: Finding, home: Repository) -> Finding:
    message = (
        f"whether {item.where.removesuffix(MANIFEST_SUFFIX)} in store {home.name!r} is to be copied is not known, because its"
        f" manifest cannot be read: {item.message}"
    )
    return Finding(severity=Severity.WARNING, code="copy.unread", message=message, where=item.where)


def _copy_one(backup: Backup, to: Repository, job: Job) -> list[Finding]:
    try:
        require_below_limit(to.store, to.limit, backup.manifest.size)
        noticed = copy_backup(backup, to, job)
    except OpsError as error:
        return [_failed(f"{backup.name} is not in store {to.name!r} yet", error)]
    message = f"{backup.name} is in store {to.name!r} too"
    return [Finding(severity=Severity.OK, code="copy.made", message=message), *noticed]


def _failed(what: str, error: OpsError) -> Finding:
    then = "the next backup.create or store.push tries again"
    if isinstance(error, SameStoreError | StoreMissingError):
        then = error.hint
    if isinstance(error, StoreConflictError):
        then = (
            f"{error.hint}. Where it is a backup that another machine began in the same second, this one stays where it"
            " was made: let the two begin at different times"
        )
    message = f"{what}: {error.message}; {then}"
    severity = Severity.CRITICAL if isinstance(error, StoreMissingError) else Severity.WARNING
    return Finding(severity=severity, code="copy.failed", message=message, where=error.code)
