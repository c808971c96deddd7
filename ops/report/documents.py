"""Results as plain JSON values."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ops.formats import manifest as manifest_files
from ops.formats.evidence import finding_document, to_document
from ops.formats.manifest import payload_sha256
from ops.model.evidence import Evidence
from ops.model.findings import Finding
from ops.report.listing import listed_document
from ops.report.next_moves import move_of
from ops.repository.listing_row import listed

if TYPE_CHECKING:
    from ops.actions.backup import Taken
    from ops.actions.restore import Restored
    from ops.repository.backup import Backup


def backup_document(backup: Backup) -> dict[str, object]:
    """One backup as `backup.list` and `backup.create` tell it."""
    return listed_document(backup.store.name, listed(backup))


def taken_document(taken: Taken) -> dict[str, object]:
    """What `backup.create` did."""
    return {
        **backup_document(taken.backup),
        "capture": taken.captured.method,
        "duration_ms": taken.backup.manifest.duration_ms,
        "findings": findings_document(taken.findings),
    }


def shown_document(backup: Backup) -> dict[str, object]:
    """Return one backup whole: what the list says, its manifest as it is stored, its evidence."""
    manifest = json.loads(manifest_files.to_json(backup.manifest))
    evidence = [to_document(item) for item in backup.evidence]
    return {**backup_document(backup), "manifest": manifest, "evidence": evidence}


def evidence_document(evidence: Evidence) -> dict[str, object]:
    """A verify or drill, as it is also kept beside the backup."""
    return {**to_document(evidence), "findings": findings_document(evidence.findings)}


def restored_document(backup: Backup, restored: Restored, job_id: str, duration_ms: int) -> dict[str, object]:
    """What `backup.restore` did."""
    return {
        "job_id": job_id,
        "backup": backup.name,
        "source": backup.manifest.source.name,
        "target": restored.target,
        "size": backup.manifest.size,
        "rows": restored.rows,
        "verdict": None if restored.verdict is None else str(restored.verdict),
        "sha256": payload_sha256(backup.manifest),
        "duration_ms": duration_ms,
        "safety": restored.safety,
        "undo": restored.undo,
        "next_command": restored.next_command,
        "accepted": list(restored.accepted),
        "findings": findings_document(restored.findings),
    }


def findings_document(findings: Sequence[Finding]) -> list[dict[str, object]]:
    """Return findings as plain JSON values; each that is not fine with its next move."""
    return [
        {**finding_document(finding), **({"next": move} if (move := move_of(finding)) else {})}
        for finding in findings
    ]
