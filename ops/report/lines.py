"""What went well as one line, for a mail, a log or a pipe: source, file, size, rows, duration, verdict, job id, SHA-256."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ops.formats.encrypted_manifest import is_closed
from ops.formats.manifest import payload_sha256
from ops.model.evidence import PARTIAL, Evidence
from ops.model.findings import Verdict
from ops.report.printable import printable
from ops.units import format_duration, format_size

if TYPE_CHECKING:
    from ops.actions.backup import Taken
    from ops.repository.backup import Backup


def verdict_text(verdict: Verdict) -> str:
    """Return the verdict; all but the good one in capitals."""
    return str(verdict) if verdict is Verdict.PASSED else str(verdict).upper()


def rows_text(rows: int | None) -> str:
    """Return how many rows; None: encrypted, and no key is here."""
    return "rows unknown" if rows is None else f"{rows} row{'' if rows == 1 else 's'}"


def taken_line(taken: Taken, looked: Evidence | None = None) -> str:
    """Return what `backup.create` did for one source."""
    manifest = taken.backup.manifest
    scope = "" if manifest.scope == "full" else f"scope {manifest.scope}"
    verdict = "not verified" if looked is None else f"{looked.level} verify: {verdict_text(looked.verdict)}"
    return _line(
        manifest.source.name,
        [
            manifest.payload,
            scope,
            format_size(manifest.size),
            rows_text(None if is_closed(manifest) else manifest.rows),
            format_duration((manifest.duration_ms + (looked.duration_ms if looked else 0)) / 1000),
            verdict,
        ],
        manifest.job_id,
        payload_sha256(manifest),
    )


def evidence_line(evidence: Evidence) -> str:
    """Return what a verify of one backup came to."""
    return _looked_line(evidence, [f"{evidence.level} verify: {verdict_text(evidence.verdict)}"])


def drill_line(drill: Evidence) -> str:
    """Return what a drill of one backup came to, with what was measured and promised."""
    verdict = verdict_text(drill.verdict) + (", partial" if drill.action == PARTIAL else "")
    verdict += ", proven" if drill.proves else ""
    measured = [
        f"{name} {against(taken, promised)}"
        for name, taken, promised in (
            ("RTO", drill.rto_ms, drill.rto_objective_ms),
            ("RPO", drill.rpo_ms, drill.rpo_objective_ms),
        )
        if taken is not None
    ]
    return _looked_line(drill, [f"drill: {verdict}", *measured])


def against(taken_ms: int | None, objective_ms: int | None) -> str:
    """Return a duration, and in brackets what was promised."""
    taken = "-" if taken_ms is None else format_duration(taken_ms / 1000)
    return taken if objective_ms is None else f"{taken} ({format_duration(objective_ms / 1000)})"


def restored_line(backup: Backup, rows: int | None, where: str, job_id: str, duration_ms: int) -> str:
    """Return what a restore did."""
    manifest = backup.manifest
    took = format_duration(duration_ms / 1000)
    parts = [backup.name, format_size(manifest.size), rows_text(rows), took, f"restored to {where}"]
    return _line(manifest.source.name, parts, job_id, payload_sha256(manifest))


def _looked_line(evidence: Evidence, verdict: Sequence[str]) -> str:
    took = format_duration(evidence.duration_ms / 1000)
    parts = [evidence.backup, format_size(evidence.size), rows_text(evidence.rows), took, *verdict]
    return _line(evidence.source.name, parts, evidence.job_id, evidence.payload_sha256)


def _line(source: str, parts: Sequence[str], job_id: str, sha256: str) -> str:
    return printable(f"{source}: {', '.join(filter(None, parts))}, job {job_id}, sha256 {sha256}")
