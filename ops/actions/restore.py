"""Restoring a backup so that it can not hurt.

Into a scratch place unless told otherwise. Into a place of its own with `--to`. Over something that is there
only with `--yes`, and then in this order: nobody has the target open; the new data is built beside it and
verified; what is there now is kept (a verified safety backup, or the damaged files themselves); nobody has
written meanwhile; one atomic swap. At every moment the target is the old data or the new, whole.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ops.actions.backup import BackupRequest, held_lock, take_backup_under_lock
from ops.actions.catalogue import Backup
from ops.actions.inspection import (
    check_checksum_file,
    check_restored,
    check_sizes,
    critical,
    fetch_payload,
)
from ops.actions.verify import VerifyRequest, verify_backup
from ops.errors import BackupError, RefusedError, SourceError
from ops.fsio.scratch import scratch_folder
from ops.fsio.space import require_room_to_restore
from ops.joblog import Job
from ops.model import Finding, Level, Severity, Verdict, worst
from ops.naming import SAFETY_TAG
from ops.ports import Restorable, Source, Store
from ops.units import format_stamp


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreRequest:
    """Where to restore to. `target` None means the source's own place (with `yes`) or a scratch place.

    `command` is how this program is called, and `flags` what to add, for the undo command; `safety_store` is where the safety backup
    of what is overwritten goes; `sources` are all configured sources, which a restore without `yes` may
    never touch.
    """

    scratch: Path
    safety_store: Store
    sources: Sequence[Source] = ()
    target: Path | None = None
    table: str | None = None
    yes: bool = False
    command: str = "invoke"
    flags: str = ""
    wait_s: float = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What a restore did: where the data is now (None: it was a rehearsal), what was found, how to go back."""

    target: Path | None
    findings: tuple[Finding, ...]
    safety: str | None = None
    undo: str | None = None
    next_command: str | None = None


def plan_restore(backup: Backup, source: Source, request: RestoreRequest) -> list[str]:
    """What `restore_backup` would do, step by step, in words. Touches nothing."""
    name = backup.name
    target = _chosen_target(source, request)
    if target is None:
        return [
            f"restore {name} into a scratch place under {request.scratch}, verify it there, and remove it"
        ]
    steps = [f"build {name} beside {target} and verify it: checksum, integrity, counts and digests"]
    if not target.exists():
        return [*steps, f"publish it as {target}"]
    steps = ["refuse if another process has it open", *steps]
    steps.append(f"keep what is there as a safety backup in {request.safety_store.location}")
    if request.table:
        return [*steps[1:], f"replace table {request.table} in one transaction"]
    return [*steps, f"swap {target} in one step", "print the command that undoes it"]


def restore_backup(backup: Backup, source: Source, request: RestoreRequest, job: Job) -> Restored:
    """Do it; see the module's text for the order.

    Raises RefusedError when it could hurt something, BackupError when the backup can not be restored as it
    was recorded; then the target is as it was before.
    """
    target = _chosen_target(source, request)
    with job.step("restore") as facts:
        facts.rows, facts.bytes = backup.manifest.measures.rows, backup.manifest.size
        facts.checksum = backup.manifest.files[0].sha256
        if target is None:
            return _rehearse(backup, source, request, job)
        if not isinstance(source, Restorable):
            raise RefusedError(
                f"kind {backup.manifest.source.kind!r} has no data that a restore could replace"
            )
        _guard(target, request)
        with held_lock(source, request.safety_store, request.wait_s, job):
            return _restore_over(backup, source, target, request, job)


def _chosen_target(source: Source, request: RestoreRequest) -> Path | None:
    if request.target is not None:
        # Behind symbolic links: what is swapped must be the file, not a link to it.
        return Path(os.path.realpath(request.target))
    return source.live_target() if request.yes and isinstance(source, Restorable) else None


def _guard(target: Path, request: RestoreRequest) -> None:
    """Raise RefusedError unless `target` may be written: only `--yes` may touch what exists or is a source."""
    if target.is_dir():
        message = f"{target} is a folder; name the file to restore to"
        raise RefusedError(message, code="refused.target_occupied")
    if request.yes:
        return
    for source in request.sources:
        if isinstance(source, Restorable) and source.same_place(target):
            message = f"{target} is the live data of source {source.info.name!r}"
            hint = "add --yes if it is really to be replaced; what is there is kept as a safety backup"
            raise RefusedError(message, code="refused.target_is_source", hint=hint)
    if target.exists():
        hint = "name a new place, or add --yes to replace it (what is there is kept as a safety backup)"
        raise RefusedError(f"{target} exists", hint=hint)


def _rehearse(backup: Backup, source: Source, request: RestoreRequest, job: Job) -> Restored:
    look = VerifyRequest(Level.FULL, request.scratch)
    evidence = verify_backup(backup, source, look, job)
    command = f"{request.command} backup.restore --from {shlex.quote(backup.name)} --yes{request.flags}"
    passed = evidence.verdict is Verdict.PASSED
    return Restored(target=None, findings=evidence.findings, next_command=command if passed else None)


def _restore_over(
    backup: Backup, source: Source, target: Path, request: RestoreRequest, job: Job
) -> Restored:
    if not isinstance(source, Restorable):
        raise TypeError(source)
    if not request.table:
        source.require_idle(target)
    if not target.parent.is_dir():
        raise RefusedError(
            f"folder {target.parent} is not there", hint="make it first, with the owner it needs"
        )
    require_room_to_restore(target.parent, backup.manifest.size)
    with scratch_folder(target.parent) as beside:
        built, findings = _build(backup, source, beside, job)
        if request.table and not target.exists():
            raise RefusedError(f"{target} is not there: one table needs a database to go into")
        kept = _keep_old(source, target, request, job) if target.exists() else _Kept()
        if request.table:
            findings += source.replace_table(built, target, request.table)
        else:
            findings += source.promote(
                built, target, unchanged_since=kept.mark, damaged=kept.damaged is not None
            )
    return Restored(target=target, findings=(*findings, *kept.findings), safety=kept.name, undo=kept.undo)


def _build(backup: Backup, source: Source, folder: Path, job: Job) -> tuple[Path, list[Finding]]:
    """The restored copy in `folder`, verified, and what was found; raises BackupError when it is not right."""
    findings = [check_checksum_file(backup), *check_sizes(backup)]
    if worst(findings) is not Severity.CRITICAL:
        payload, arrived = fetch_payload(backup, folder, job.progress)
        findings += arrived
    if worst(findings) is not Severity.CRITICAL:
        try:
            loaded = source.load(payload, folder)
            findings += check_restored(source, loaded, backup.manifest.measures, job.progress)
        except SourceError as error:
            findings.append(critical(error, "load"))
    bad = [item for item in findings if item.severity is Severity.CRITICAL and not item.inherited]
    if bad:
        message = f"{backup.name} can not be restored as it was recorded: {bad[0].message}"
        hint = "nothing was touched; choose another backup (backup.list), newest proven first"
        raise BackupError(message, code="backup.not_restorable", hint=hint)
    return loaded.target, findings


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """What is kept of the old data: a safety backup's name, or where the damaged files are; how to go back."""

    name: str | None = None
    damaged: Path | None = None
    undo: str | None = None
    mark: str | None = None
    findings: tuple[Finding, ...] = ()


def _keep_old(source: Restorable, target: Path, request: RestoreRequest, job: Job) -> _Kept:
    source.settle(target)
    mark = source.change_mark(target)
    live = source.at(target)
    try:
        taken = take_backup_under_lock(live, request.safety_store, BackupRequest(tags=(SAFETY_TAG,)), job)
    except SourceError as error:
        if error.code == "source.locked":
            raise
        return _keep_damaged(source, target, error.message, job.clock())
    evidence = verify_backup(taken.backup, live, VerifyRequest(Level.QUICK, request.scratch), job)
    if evidence.verdict is not Verdict.PASSED:
        return _keep_damaged(source, target, "its safety backup does not verify", job.clock())
    name = taken.backup.name
    place = shlex.quote(str(target))
    undo = f"{request.command} backup.restore --from {shlex.quote(name)} --to {place} --yes{request.flags}"
    message = f"what was there is kept as safety backup {name}"
    finding = Finding(severity=Severity.OK, code="restore.safety", message=message, where=name)
    return _Kept(name=name, undo=undo, mark=mark, findings=(finding,))


def _keep_damaged(source: Restorable, target: Path, why: str, now: datetime) -> _Kept:
    kept, undo = source.keep_damaged(target, format_stamp(now))
    message = f"what was there could not be backed up ({why}); its files are kept as {kept}"
    finding = Finding(
        severity=Severity.WARNING, code="restore.damaged_kept", message=message, where=str(kept)
    )
    return _Kept(name=str(kept), damaged=kept, undo=undo, findings=(finding,))
