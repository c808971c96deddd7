"""A drill: restore a backup into a scratch place, check everything, ask the operator's questions, time it all.

Phases: fetch (store to scratch, digests compared on the way), load (make it usable), check (the kind's own
checks, counts and digests against the manifest), assert. The recovery time is the first three: from the start
of the restore until the data is known to be usable.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

from ops.actions.assertions import check_expectations
from ops.actions.rehearsal import Rehearsal, judging, room_to_open
from ops.errors import ConfigError
from ops.fsio.scratch import scratch_folder
from ops.fsio.space import require_room
from ops.model.complaints import Known, settled
from ops.model.evidence import ONLY_TABLES, PARTIAL, Evidence, Level, Phase, Timing
from ops.model.findings import Finding, Severity
from ops.model.requests import Advisory, Assertion, Expectations, Objectives
from ops.ports.source import LoadContext, Source
from ops.repository.backup import Backup
from ops.repository.encrypt import opened_where_possible
from ops.repository.record_evidence import Look, evidence_of, keep_evidence
from ops.run.job import Job
from ops.units import age_s, format_duration


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillRequest:
    """What the operator promised and expects, where scratch places are made, and whether this one is kept.

    `assertions` bind; `advisory`, `not_asked`: see `Expectations`. `known`: what the operator knows of. `tables`: only these
    are brought back: a partial drill, which proves nothing.
    """

    scratch: Path
    assertions: Sequence[Assertion] = ()
    advisory: Sequence[Advisory] = ()
    not_asked: Sequence[Finding] = ()
    objectives: Objectives = field(default_factory=Objectives)
    known: Sequence[Known] = ()
    keep_scratch: bool = False
    tables: Sequence[str] = ()

    @property
    def expected(self) -> Expectations:
        """What is asked."""
        return Expectations(self.assertions, self.advisory, self.not_asked)


def run_drill(backup: Backup, source: Source, request: DrillRequest, job: Job) -> Evidence:
    """The evidence of one drill of `backup`, which is also kept beside it.

    Whatever goes wrong on the way is part of the evidence: `failed` when it says something about the backup,
    `inconclusive` when no verdict could be reached (no room for the scratch place, a missing program or secret). Raises
    BackupError when the backup was deleted a moment ago.
    """
    started = job.clock()
    _require_some_tables(source, request.tables)
    backup = opened_where_possible(backup, request.scratch)
    places: list[Path] = []
    with judging(backup, "drill", "drill", job) as rehearsal:
        _rehearse(rehearsal, source, request, places)
    findings = settled(rehearsal.found, backup.manifest, request.known, started.date())
    timing = _timing(backup, request, rehearsal.phases, started)
    findings += _missed("RTO", "drill.rto_missed", timing.rto_ms, timing.rto_objective_ms)
    findings += _missed("RPO", "drill.rpo_missed", timing.rpo_ms, timing.rpo_objective_ms)
    gone = not places[0].exists() if places else None
    look = _look(request, timing, started_at=started, finished_at=job.clock(), gone=gone)
    evidence = evidence_of(backup, look, findings, job)
    return replace(evidence, findings=(*evidence.findings, *keep_evidence(backup, evidence)))


def _require_some_tables(source: Source, tables: Sequence[str]) -> None:
    """Return unless single tables are asked of a kind that always loads all; raises ConfigError."""
    if tables and not source.supports.some_tables:
        message = (
            f"source {source.info.name!r} is of kind {source.info.kind}, of which a drill always takes all"
        )
        raise ConfigError(message, code="usage.bad_value", hint="leave --table away")


def _rehearse(rehearsal: Rehearsal, source: Source, request: DrillRequest, places: list[Path]) -> None:
    """Restore, check and ask; where the copy was made is added to `places`."""
    backup = rehearsal.backup
    require_room(request.scratch, room_to_open(backup, source))
    context = LoadContext(progress=rehearsal.job.progress, tables=tuple(request.tables))
    with scratch_folder(request.scratch, keep=request.keep_scratch) as scratch:
        places.append(scratch)
        if request.keep_scratch:
            message = f"the restored copy stays at {scratch} (remove it yourself)"
            rehearsal.found.append(
                Finding(severity=Severity.OK, code="drill.kept", message=message, where=str(scratch))
            )
        with rehearsal.copy(scratch, lambda payload: source.load(payload, context)) as copy:
            if copy is not None:
                with rehearsal.phase("assert"):
                    rehearsal.found += check_expectations(request.expected, copy, scratch, backup.manifest)


def _timing(backup: Backup, request: DrillRequest, phases: Sequence[Phase], started: datetime) -> Timing:
    rpo_ms = round(age_s(backup.manifest.data_as_of, started) * 1000)
    if request.tables:
        return Timing(phases=tuple(phases), rpo_ms=rpo_ms)
    usable_ms = sum(phase.duration_ms for phase in phases if phase.name != "assert")
    return Timing(
        phases=tuple(phases),
        rto_ms=usable_ms if {phase.name for phase in phases} >= {"fetch", "load", "check"} else None,
        rpo_ms=rpo_ms,
        rto_objective_ms=_milliseconds(request.objectives.rto),
        rpo_objective_ms=_milliseconds(request.objectives.rpo),
    )


def _look(
    request: DrillRequest, timing: Timing, *, started_at: datetime, finished_at: datetime, gone: bool | None
) -> Look:
    limits = () if request.assertions or request.advisory else ("no assertion was configured",)
    if request.tables:
        limits = (f"only the rows of {', '.join(request.tables)}, without their foreign keys",)
    return Look(
        action=PARTIAL if request.tables else "drill",
        level=ONLY_TABLES if request.tables else Level.FULL,
        started_at=started_at,
        finished_at=finished_at,
        procedure=[*map(asdict, request.assertions), *map(asdict, request.advisory)],
        isolation="a temporary folder or server of its own",
        cleaned_up=gone,
        limits=limits,
        timing=timing,
        # How many rows of single tables came back stands in the findings.
        counted=not request.tables,
    )


def _milliseconds(duration: timedelta | None) -> int | None:
    return None if duration is None else round(duration.total_seconds() * 1000)


def _missed(name: str, code: str, taken_ms: int | None, objective_ms: int | None) -> list[Finding]:
    """A warning when more was taken than promised; nothing where nothing was promised or measured."""
    if taken_ms is None or objective_ms is None or taken_ms <= objective_ms:
        return []
    expected, found = format_duration(objective_ms / 1000), format_duration(taken_ms / 1000)
    message = f"{name} missed: {found}, promised {expected}"
    return [Finding(severity=Severity.WARNING, code=code, message=message, expected=expected, found=found)]
