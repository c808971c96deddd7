"""Keeping what a verify or drill found, beside the backup: one new file each, never changed afterwards."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Final

from ops.errors import OpsError
from ops.formats import evidence as evidence_files
from ops.formats.names import evidence_key, manifest_key
from ops.fsio.atomic import translated_write_errors
from ops.model.evidence import Evidence
from ops.model.findings import Finding, Severity
from ops.ports.store import Store
from ops.repository.backup import Backup

_SECONDS_TO_TRY: Final = 3


def keep_evidence(backup: Backup, evidence: Evidence) -> list[Finding]:
    """Store `evidence`; a warning when that can not be done (the verdict stands, but nobody will find it).

    It is not kept where the backup itself has gone meanwhile: a disk that was unmounted leaves an empty folder, in which
    it would be nobody's.
    """
    try:
        backup.store.open(manifest_key(backup.name)).close()
    except OpsError as error:
        return [_not_kept(error, backup.name)]
    evidence = replace(evidence, order=1 + max((item.order for item in backup.evidence), default=0))
    for later in range(_SECONDS_TO_TRY):
        # One job may look twice in a second, which is all that names tell apart.
        moment = evidence.started_at + timedelta(seconds=later)
        key = evidence_key(backup.name, evidence.action, moment, evidence.job_id)
        try:
            _put(backup.store, key, evidence)
        except OpsError as error:
            if error.code == "refused.name_taken" and later < _SECONDS_TO_TRY - 1:
                continue
            return [_not_kept(error, key)]
        break
    return []


def _not_kept(error: OpsError, where: str) -> Finding:
    message = f"the evidence could not be kept: {error.message}"
    return Finding(severity=Severity.WARNING, code="evidence.not_kept", message=message, where=where)


def _put(store: Store, key: str, evidence: Evidence) -> None:
    with store.stage(key) as staged:
        with translated_write_errors(staged):
            staged.write_bytes(evidence_files.to_json(evidence))
        store.put(key, staged)
