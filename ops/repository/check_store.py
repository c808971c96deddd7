"""Whether a store keeps its promises: each one tried on the operator's own store, with names that nobody uses.

A server that speaks S3 may ignore a condition that another one honours; then backups could be overwritten, and nothing
but trying it shows that.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from ops.driverkit.spoken_names import spoken
from ops.errors import ObjectLockedError, OpsError, StoreRefusedError
from ops.fsio.atomic import translated_write_errors
from ops.fsio.scratch import scratch_folder
from ops.model.findings import Finding, Severity
from ops.ports.store import LocalFiles, Store, Tried
from ops.repository.check_folder import examine_file_system
from ops.repository.store_promises import IN_PIECES, PROMISES, Promise
from ops.repository.store_trial import BrokenError, Trial
from ops.run.job import Job


def check_store(store: Store, job: Job) -> list[Finding]:
    """Return one finding for each promise of the port, what the driver says of itself, and what could not be removed again.

    Uses names of its own below `drillbook-check-`, and touches nothing else.
    """
    promises = [*PROMISES, *([IN_PIECES] if isinstance(store, Tried) and store.in_pieces else [])]
    with scratch_folder(Path(tempfile.gettempdir())) as folder:
        trial = Trial(store, folder, job)
        findings = [_tried(trial, promise) for promise in promises]
        if isinstance(store, LocalFiles):
            findings += examine_file_system(store)
        if isinstance(store, Tried):
            findings += store.examine()
        return [*findings, *_clean_up(trial)]


def _tried(trial: Trial, promise: Promise) -> Finding:
    where, words = trial.store.location, promise.words
    try:
        with trial.job.step("check promise"), translated_write_errors(trial.folder):
            promise.attempt(trial)
    except BrokenError as broken:
        return Finding(
            severity=Severity.WARNING if promise.follows else Severity.CRITICAL,
            code="promise.broken",
            message=f"not kept: {words}{f'; {promise.follows}' if promise.follows else ''}",
            where=where,
            expected=broken.expected,
            found=broken.found,
        )
    except OpsError as error:
        said = spoken(error.message, error.code, "the trial")
        if isinstance(error, ObjectLockedError) or (promise.removes and isinstance(error, StoreRefusedError)):
            message = f"not tried, because what was put may not be removed: {words} ({said})"
            return Finding(severity=Severity.OK, code=error.code, message=message, where=where)
        message = f"could not be tried: {words}: {said}{f'; {promise.follows}' if promise.follows else ''}"
        severity = Severity.WARNING if promise.follows else Severity.CRITICAL
        return Finding(severity=severity, code=error.code, message=message, where=where)
    return Finding(severity=Severity.OK, code="promise.kept", message=words, where=where)


def _clean_up(trial: Trial) -> list[Finding]:
    """Whether the names that were used are gone again; where they may not be removed, which stay."""
    left, why, removed = [], "", 0
    for key in trial.used:
        try:
            if trial.listed(key):
                trial.store.delete(key)
                trial.store.delete(key)
                removed += 1
        except OpsError as error:
            left.append(key)
            why = f"{error.code}: {error.message}"
    where = trial.store.location
    if left:
        message = f"{len(left)} names of this check stay: {', '.join(left)} ({why})"
        return [Finding(severity=Severity.WARNING, code="promise.left_behind", message=message, where=where)]
    still = [key for key in trial.used if trial.listed(key)]
    promise = "what is removed is gone, and removing it again is fine"
    if still:
        message = f"not kept: {promise}"
        found = ", ".join(still)
        return [
            Finding(
                severity=Severity.CRITICAL,
                code="promise.broken",
                message=message,
                where=where,
                expected="none of the names",
                found=found,
            )
        ]
    if not removed:
        return []
    kept = Finding(severity=Severity.OK, code="promise.kept", message=promise, where=where)
    return [kept] if isinstance(trial.store, LocalFiles) else [kept, _can_delete(where)]


def _can_delete(where: str) -> Finding:
    """What follows from it for a store on another machine; a folder here can be emptied by whoever takes this one anyway."""
    message = (
        "these keys can delete: whoever takes this machine can delete the backups there, unless the store keeps old versions"
        " or locks objects; see docs: s3"
    )
    return Finding(severity=Severity.OK, code="store.can_delete", message=message, where=where)
