"""Keeping what a verify or drill found, beside the backup: one new file each, never changed afterwards."""

from __future__ import annotations

import hashlib
import json
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from ops import __version__
from ops.driverkit.spoken_names import spoken_findings
from ops.errors import NameTakenError, OpsError
from ops.formats import evidence as evidence_files
from ops.formats.encrypted_manifest import cipher_kind, is_closed, is_hidden, is_sealed, sealed_for
from ops.formats.manifest import payload_sha256
from ops.formats.names import evidence_key, manifest_key
from ops.host.machine import current_user
from ops.model.evidence import Evidence, Timing, member_verdicts
from ops.model.findings import Finding, Severity, verdict_of
from ops.model.manifest import Manifest
from ops.ports.store import Store
from ops.repository.backup import Backup, series_of
from ops.repository.identity import read_identity
from ops.repository.transfer import put_new
from ops.run.job import Job, milliseconds

_SECONDS_TO_TRY: Final = 3
_CLEAR: Final = {"backup", "cipher", "copy", "drill", "evidence", "space", "store", "tool"}
"""Findings that speak of files and programs, not of what is in a backup."""
_NOT_KEPT: Final = "not kept in clear beside an encrypted backup"


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One look at a backup, before it is judged: what was done, when, and how.

    `procedure`: what was asked, beside what every look asks; only its digest is kept. `isolation`: where the copy was
    restored; `cleaned_up`: whether it is gone (None: none was made); `limits`: what was not looked at. `timing`: of a drill;
    `counted`: whether all rows of the backup came back.
    """

    action: str
    level: str
    started_at: datetime
    finished_at: datetime
    procedure: Sequence[object] = ()
    isolation: str | None = None
    cleaned_up: bool | None = None
    limits: tuple[str, ...] = ()
    timing: Timing = field(default_factory=Timing)
    counted: bool = True


def evidence_of(backup: Backup, look: Look, findings: Sequence[Finding], job: Job) -> Evidence:
    """Return the evidence of a look at `backup`, whose verdict follows from what was found."""
    manifest = backup.manifest
    findings = spoken_findings(findings, manifest.payload)
    return Evidence(
        action=look.action,
        level=look.level,
        job_id=job.job_id,
        backup=backup.name,
        source=manifest.source,
        payload_sha256=payload_sha256(manifest),
        started_at=look.started_at,
        finished_at=look.finished_at,
        duration_ms=milliseconds(look.started_at, look.finished_at),
        verdict=verdict_of(list(findings)),
        findings=tuple(findings),
        phases=look.timing.phases,
        rto_ms=look.timing.rto_ms,
        rpo_ms=look.timing.rpo_ms,
        rto_objective_ms=look.timing.rto_objective_ms,
        rpo_objective_ms=look.timing.rpo_objective_ms,
        rows=None if is_closed(manifest) or not look.counted else manifest.rows,
        size=manifest.size,
        tool={"name": "drillbook", "version": __version__},
        host=socket.gethostname(),
        series=series_of(backup),
        store=_store_id(backup.store),
        about=_about(manifest, look),
        members=member_verdicts(manifest, findings),
    )


def _store_id(store: Store) -> str:
    """Which store was read; empty where it does not say so, or not now."""
    try:
        identity = read_identity(store)
    except OpsError:
        return ""
    return identity.id if identity else ""


def _about(manifest: Manifest, look: Look) -> dict[str, object]:
    """What auditors ask for; null or empty is what nobody said."""
    asked = [look.action, look.level, __version__, *look.procedure]
    procedure = hashlib.sha256(json.dumps(asked, sort_keys=True, default=str).encode()).hexdigest()
    sealed = is_sealed(manifest)
    return {
        "executor": current_user(),
        "reviewer": None,
        "isolation": look.isolation,
        "cleaned_up": look.cleaned_up,
        "deviations": [],
        "corrective_action": None,
        "procedure": procedure,
        "key": {"cipher": cipher_kind(manifest), "sealed_for": sealed_for(manifest)} if sealed else None,
        "limits": list(look.limits),
    }


def keep_evidence(backup: Backup, evidence: Evidence) -> list[Finding]:
    """Store `evidence`; a warning when that cannot be done (the verdict stands, but nobody will find it).

    It is not kept where the backup itself has gone meanwhile: a disk that was unmounted leaves an empty folder, in which
    it would be nobody's.
    """
    try:
        backup.store.open(manifest_key(backup.name)).close()
    except OpsError as error:
        return [_not_kept(error, backup.name)]
    if is_hidden(backup.manifest):
        evidence = _without_content(evidence)
    evidence = replace(evidence, order=1 + max((item.order for item in backup.evidence), default=0))
    for later in range(_SECONDS_TO_TRY):
        # One job may look twice in a second, which is all that names tell apart.
        moment = evidence.started_at + timedelta(seconds=later)
        key = evidence_key(backup.name, evidence.action, moment, evidence.job_id)
        try:
            put_new(backup.store, key, evidence_files.to_json(evidence))
        except OpsError as error:
            if isinstance(error, NameTakenError) and later < _SECONDS_TO_TRY - 1:
                continue
            return [_not_kept(error, key)]
        break
    return []


def _without_content(evidence: Evidence) -> Evidence:
    """What may lie in clear beside an encrypted backup: no count, no place, no words of checks that name what is in it."""
    findings = (
        item
        if item.code.partition(".")[0] in _CLEAR
        else replace(item, message=_NOT_KEPT, where="", expected="", found="")
        for item in evidence.findings
    )
    source = replace(evidence.source, location="")
    members = tuple(replace(item, rows=None) for item in evidence.members)
    return replace(evidence, source=source, rows=None, findings=tuple(findings), members=members)


def _not_kept(error: OpsError, where: str) -> Finding:
    message = f"the evidence could not be kept: {error.message}"
    return Finding(severity=Severity.WARNING, code="evidence.not_kept", message=message, where=where)
