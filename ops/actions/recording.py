"""Keeping what a verify or drill found, beside the backup: one new file each, never changed afterwards."""

from __future__ import annotations

from ops import evidence as evidence_files
from ops.actions.catalogue import Backup
from ops.errors import OpsError
from ops.fsio.staging import translated_write_errors
from ops.model import Evidence, Finding, Severity
from ops.naming import evidence_key


def keep_evidence(backup: Backup, evidence: Evidence) -> list[Finding]:
    """Store `evidence`; a warning when that can not be done (the verdict stands, but nobody will find it)."""
    key = evidence_key(backup.name, evidence.action, evidence.started_at, evidence.job_id)
    try:
        with backup.store.stage(key) as staged:
            with translated_write_errors(staged):
                staged.write_bytes(evidence_files.to_json(evidence))
            backup.store.put(key, staged)
    except OpsError as error:
        message = f"the evidence could not be kept: {error.message}"
        return [Finding(severity=Severity.WARNING, code="evidence.not_kept", message=message, where=key)]
    return []
