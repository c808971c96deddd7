"""Evidence <-> JSON. Pure. Readers accept every version ever released."""

from __future__ import annotations

import json
from typing import Any, Final

from ops.driverkit.row_digest import SEAL, document_seal, require_sealed
from ops.errors import BackupError
from ops.model.evidence import Evidence, Phase
from ops.model.findings import Finding, Severity, Verdict
from ops.model.manifest import SourceInfo
from ops.units import format_time, parse_time

VERSION: Final = 1


def to_document(evidence: Evidence) -> dict[str, object]:
    """The evidence as plain JSON values, in the order in which people read."""
    return {
        "version": VERSION,
        "action": evidence.action,
        "verdict": str(evidence.verdict),
        "backup": evidence.backup,
        "source": {
            "name": evidence.source.name,
            "kind": evidence.source.kind,
            "location": evidence.source.location,
        },
        "level": evidence.level,
        "job_id": evidence.job_id,
        "payload_sha256": evidence.payload_sha256,
        "started_at": format_time(evidence.started_at),
        "finished_at": format_time(evidence.finished_at),
        "duration_ms": evidence.duration_ms,
        "size": evidence.size,
        "rows": evidence.rows,
        "rto_ms": evidence.rto_ms,
        "rto_objective_ms": evidence.rto_objective_ms,
        "rpo_ms": evidence.rpo_ms,
        "rpo_objective_ms": evidence.rpo_objective_ms,
        "phases": [{"name": phase.name, "duration_ms": phase.duration_ms} for phase in evidence.phases],
        "findings": [finding_document(finding) for finding in evidence.findings],
        "tool": dict(evidence.tool),
        "host": evidence.host,
        **({"order": evidence.order} if evidence.order else {}),
    }


def finding_document(finding: Finding) -> dict[str, object]:
    """A finding as plain JSON values."""
    return {
        "severity": str(finding.severity),
        "code": finding.code,
        "message": finding.message,
        "where": finding.where,
        "expected": finding.expected,
        "found": finding.found,
        "blocking": finding.blocking,
        "inherited": finding.inherited,
    }


def to_json(evidence: Evidence) -> bytes:
    """The evidence as it is stored."""
    document = to_document(evidence)
    return json.dumps({**document, SEAL: document_seal(document)}, indent=2).encode("ascii") + b"\n"


def from_json(content: bytes, name: str) -> Evidence:
    """The evidence that `content` holds; raises BackupError when it is not readable as such."""
    try:
        document = json.loads(content)
        require_sealed(document, VERSION)
        return _from_document(document)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        message = f"evidence {name} can not be read: {error!r}"
        raise BackupError(message, code="backup.evidence_invalid") from error


def _from_document(document: dict[str, Any]) -> Evidence:
    return Evidence(
        action=document["action"],
        level=document["level"],
        job_id=document["job_id"],
        backup=document["backup"],
        source=SourceInfo(**document["source"]),
        payload_sha256=document["payload_sha256"],
        started_at=parse_time(document["started_at"]),
        finished_at=parse_time(document["finished_at"]),
        duration_ms=document["duration_ms"],
        verdict=Verdict(document["verdict"]),
        findings=tuple(
            Finding(**{**finding, "severity": Severity(finding["severity"])})
            for finding in document["findings"]
        ),
        phases=tuple(Phase(**phase) for phase in document["phases"]),
        rto_ms=document["rto_ms"],
        rpo_ms=document["rpo_ms"],
        rto_objective_ms=document["rto_objective_ms"],
        rpo_objective_ms=document["rpo_objective_ms"],
        rows=document["rows"],
        size=document["size"],
        tool=document["tool"],
        host=document["host"],
        order=_order(document.get("order", 0)),
    )


def _order(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        message = f"{value!r} is no place in an order"
        raise ValueError(message)
    return value
