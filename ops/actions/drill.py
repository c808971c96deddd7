"""A drill: restore a backup into a scratch place, check everything, ask the operator's questions, time it all.

Phases: fetch (store to scratch, digests compared on the way), load (make it usable), check (the kind's own
checks, counts and digests against the manifest), assert. The recovery time is the first three: from the start
of the restore until the data is known to be usable.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

from ops.actions.assertions import check_expectations
from ops.actions.rehearsal import check_restored, room_to_open, with_needed
from ops.errors import ConfigError, OpsError
from ops.formats.manifest import payload_sha256
from ops.fsio.scratch import scratch_folder
from ops.fsio.space import require_room
from ops.model.complaints import Known, settled
from ops.model.evidence import ONLY_TABLES, PARTIAL, Evidence, Level, Phase
from ops.model.findings import Finding, Severity
from ops.model.requests import Advisory, Assertion, Expectations, Objectives
from ops.ports.source import PartlyLoadable, Source
from ops.repository.backup import Backup
from ops.repository.encrypt import opened_where_possible
from ops.repository.fetch import fetch_whole
from ops.repository.locks import being_judged
from ops.repository.record_evidence import Look, evidence_of, keep_evidence
from ops.repository.second_look import judged, look_beside, stops
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


@dataclass(slots=True)
class _Run:
    """What a drill has found and timed so far."""

    findings: list[Finding] = field(default_factory=list)
    phases: list[Phase] = field(default_factory=list)
    scratch: Path | None = None

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        started = time.monotonic()
        try:
            yield
        finally:
            self.phases.append(Phase(name=name, duration_ms=round((time.monotonic() - started) * 1000)))

    @property
    def stopped(self) -> bool:
        return stops(self.findings)


def run_drill(backup: Backup, source: Source, request: DrillRequest, job: Job) -> Evidence:
    """The evidence of one drill of `backup`, which is also kept beside it.

    Whatever goes wrong on the way is part of the evidence: `failed` when it says something about the backup,
    `inconclusive` when no verdict could be reached (no room for the scratch place, a missing program or secret). Raises
    BackupError when the backup was deleted a moment ago.
    """
    started = job.clock()
    run = _Run()
    source = _only(source, request.tables) if request.tables else source
    backup = opened_where_possible(backup, request.scratch)
    with job.step("drill") as facts, being_judged(backup, "drill", job) as unleased:
        run.findings += unleased
        try:
            _rehearse(backup, source, request, job, run)
        except OpsError as error:
            run.findings.append(judged(error))
        facts.rows, facts.bytes = backup.manifest.measures.rows, backup.manifest.size
        facts.checksum = payload_sha256(backup.manifest)
    run.findings = settled(run.findings, backup.manifest, request.known, started.date())
    evidence = _evidence(backup, request, job, run, started=started)
    return replace(evidence, findings=(*evidence.findings, *keep_evidence(backup, evidence)))


def _only(source: Source, tables: Sequence[str]) -> Source:
    """The source, of whose backups only these tables are loaded; raises ConfigError where its kind cannot do that."""
    if not isinstance(source, PartlyLoadable):
        message = (
            f"source {source.info.name!r} is of kind {source.info.kind}, of which a drill always takes all"
        )
        raise ConfigError(message, code="usage.bad_value", hint="leave --table away")
    return source.loading_only(tables)


def _rehearse(backup: Backup, source: Source, request: DrillRequest, job: Job, run: _Run) -> None:
    require_room(request.scratch, room_to_open(backup, source))
    with scratch_folder(request.scratch, keep=request.keep_scratch) as scratch:
        run.scratch = scratch
        if request.keep_scratch:
            message = f"the restored copy stays at {scratch} (remove it yourself)"
            run.findings.append(
                Finding(severity=Severity.OK, code="drill.kept", message=message, where=str(scratch))
            )
        with run.phase("fetch"):
            run.findings += look_beside(backup, job.progress)
            if run.stopped:
                return
            fetched, arrived = fetch_whole(backup, scratch, job.progress)
            run.findings += arrived
        if run.stopped:
            return
        payload, *needed = fetched
        with contextlib.ExitStack() as stack:
            with run.phase("load"):
                try:
                    loading = with_needed(source, needed).load(payload, job.progress)
                    copy = stack.enter_context(loading)
                except OpsError as error:
                    run.findings.append(judged(error, "load"))
                    return
            with run.phase("check"):
                run.findings += check_restored(copy, backup.manifest.measures, job.progress)
            with run.phase("assert"):
                run.findings += check_expectations(request.expected, copy, scratch, backup.manifest)


def _evidence(backup: Backup, request: DrillRequest, job: Job, run: _Run, *, started: datetime) -> Evidence:
    manifest, objectives = backup.manifest, request.objectives
    usable_ms = sum(phase.duration_ms for phase in run.phases if phase.name != "assert")
    rto_ms = usable_ms if {phase.name for phase in run.phases} >= {"fetch", "load", "check"} else None
    rpo_ms = round(age_s(manifest.data_as_of, started) * 1000)
    rto_objective_ms, rpo_objective_ms = _milliseconds(objectives.rto), _milliseconds(objectives.rpo)
    limits = () if request.assertions or request.advisory else ("no assertion was configured",)
    if request.tables:
        rto_ms = rto_objective_ms = rpo_objective_ms = None
        limits = (f"only the rows of {', '.join(request.tables)}, without their foreign keys",)
    run.findings += _missed("RTO", "drill.rto_missed", rto_ms, rto_objective_ms)
    run.findings += _missed("RPO", "drill.rpo_missed", rpo_ms, rpo_objective_ms)
    look = Look(
        action=PARTIAL if request.tables else "drill",
        level=ONLY_TABLES if request.tables else Level.FULL,
        started_at=started,
        finished_at=job.clock(),
        procedure=[*map(asdict, request.assertions), *map(asdict, request.advisory)],
        isolation="a temporary folder or server of its own",
        cleaned_up=None if run.scratch is None else not run.scratch.exists(),
        limits=limits,
    )
    evidence = evidence_of(backup, look, run.findings, job)
    if request.tables:
        # How many of them came back stands in the findings.
        evidence = replace(evidence, rows=None)
    return replace(
        evidence,
        phases=tuple(run.phases),
        rto_ms=rto_ms,
        rpo_ms=rpo_ms,
        rto_objective_ms=rto_objective_ms,
        rpo_objective_ms=rpo_objective_ms,
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
