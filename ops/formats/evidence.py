"""Evidence <-> JSON. Pure. Readers accept every version ever released."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any, Final

from ops.driverkit.row_digest import SEAL, document_seal, require_sealed
from ops.errors import BackupError
from ops.formats.wrong import in_words
from ops.model.evidence import Evidence, MemberVerdict, Phase
from ops.model.findings import Finding, Severity, Verdict
from ops.model.manifest import SourceInfo
from ops.units import format_time, parse_time

VERSION: Final = 2
_FIRST_VERSION: Final = 1


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
        "series": evidence.series or None,
        "store": evidence.store or None,
        **({"order": evidence.order} if evidence.order else {}),
        **({"about": dict(evidence.about)} if evidence.about else {}),
        **({"members": [_member_document(item) for item in evidence.members]} if evidence.members else {}),
    }


def _member_document(member: MemberVerdict) -> dict[str, object]:
    return {
        "name": member.name,
        "kind": member.kind,
        "verdict": str(member.verdict),
        "rows": member.rows,
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
        **({"known": True} if finding.known else {}),
        **({"member": finding.member} if finding.member else {}),
        **({"hint": finding.hint} if finding.hint else {}),
    }


def to_json(evidence: Evidence) -> bytes:
    """The evidence as it is stored."""
    document = to_document(evidence)
    return json.dumps({**document, SEAL: document_seal(document)}, indent=2).encode("ascii") + b"\n"


def from_json(content: bytes, name: str) -> Evidence:
    """The evidence that `content` holds; raises BackupError when it is not readable as such."""
    try:
        document = json.loads(content)
        require_sealed(document, _FIRST_VERSION, VERSION)
        return _from_document(document)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        message = f"evidence {name} cannot be read: {in_words(error)}"
        raise BackupError(message, code="backup.evidence_invalid") from error


def _from_document(document: dict[str, Any]) -> Evidence:
    return Evidence(
        action=document["action"],
        level=document["level"],
        job_id=document["job_id"],
        backup=document["backup"],
        source=_source(document["source"]),
        payload_sha256=document["payload_sha256"],
        started_at=parse_time(document["started_at"]),
        finished_at=parse_time(document["finished_at"]),
        duration_ms=document["duration_ms"],
        verdict=Verdict(document["verdict"]),
        findings=tuple(
            Finding(**{**_known(finding, Finding), "severity": Severity(finding["severity"])})
            for finding in document["findings"]
        ),
        phases=tuple(Phase(**_known(phase, Phase)) for phase in document["phases"]),
        rto_ms=document["rto_ms"],
        rpo_ms=document["rpo_ms"],
        rto_objective_ms=document["rto_objective_ms"],
        rpo_objective_ms=document["rpo_objective_ms"],
        rows=document["rows"],
        size=document["size"],
        tool=document["tool"],
        host=document["host"],
        order=_order(document.get("order", 0)),
        series=str(document.get("series") or ""),
        store=str(document.get("store") or ""),
        about=dict(document.get("about", {})),
        members=tuple(_member(item) for item in document.get("members", [])),
    )


def _member(document: dict[str, Any]) -> MemberVerdict:
    return MemberVerdict(
        str(document["name"]), str(document["kind"]), Verdict(document["verdict"]), document["rows"]
    )


def _source(document: dict[str, Any]) -> SourceInfo:
    return SourceInfo(document["name"], document["kind"], document["location"])


def _known(document: dict[str, Any], cls: type) -> dict[str, Any]:
    """The keys that this program knows: later versions may add some."""
    names = {item.name for item in fields(cls)}
    return {key: value for key, value in document.items() if key in names}


def _order(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        message = f"{value!r} is no place in an order"
        raise ValueError(message)
    return value
