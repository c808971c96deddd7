"""Drills as an operator reads them."""

from __future__ import annotations

from collections.abc import Sequence

from ops.model.evidence import PARTIAL, Evidence
from ops.model.findings import Severity
from ops.report.lines import against, drill_line, verdict_text
from ops.report.printable import printable
from ops.report.screen import screen
from ops.report.text import count_text, findings_text, table
from ops.units import format_duration, format_size


def drills_text(drills: Sequence[Evidence]) -> str:
    """Return all drills of a run, then what needs a look, then one sentence."""
    brief = screen().is_brief
    parts = [drill_line(drill) for drill in drills] if brief else [_drills_table(drills)]
    if not brief and (screen().verbose or not screen().is_terminal):
        parts += map(_drill_record, drills)
    parts += [
        f"{'' if brief else chr(10)}{drill.source.name}, {printable(drill.backup)}:\n{text}"
        for drill in drills
        if (text := findings_text(drill.findings, source=drill.source.name))
    ]
    whole = [drill for drill in drills if drill.action != PARTIAL]
    passed = sum(drill.proves for drill in whole)
    between = "" if brief else "\n"
    is_told = brief and passed == len(drills) and not any(map(needs_a_look, drills))
    if whole and not is_told:
        parts.append(f"{between}{passed} of {len(whole)} restored, checked and proven.")
    if len(whole) < len(drills):
        parts.append(f"{between}Only single tables were restored: nothing is proven by that.")
    return "\n".join(parts)


def needs_a_look(drill: Evidence) -> bool:
    """Return whether anything was found that is not fine."""
    return any(item.severity is not Severity.OK for item in drill.findings)


def _drills_table(drills: Sequence[Evidence]) -> str:
    rows = [
        [
            drill.source.name,
            drill.backup,
            verdict_text(drill.verdict) + (", partial" if drill.action == PARTIAL else ""),
            count_text(drill.rows),
            format_size(drill.size),
            against(drill.rto_ms, drill.rto_objective_ms),
            against(drill.rpo_ms, drill.rpo_objective_ms),
            " ".join(f"{phase.name} {phase.duration_ms / 1000:.2f}" for phase in drill.phases),
        ]
        for drill in drills
    ]
    columns = ["Source", "Backup", "Verdict", "Rows", "Size", "RTO (promised)", "RPO (promised)", "Seconds"]
    return table(columns, rows, ("Source", "Verdict", "RTO (promised)", "RPO (promised)", "Backup"))


def _drill_record(drill: Evidence) -> str:
    took = format_duration(drill.duration_ms / 1000)
    return f"  {drill.source.name}: job {drill.job_id}, sha256 {drill.payload_sha256}, {took}"
