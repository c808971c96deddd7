"""Looking at one stored backup without changing it. Raises only when it could not look."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from ops.actions.rehearsal import Rehearsal, check_in_place, judging, room_to_open
from ops.fsio.scratch import scratch_folder
from ops.fsio.space import require_room
from ops.model.complaints import Known, settled
from ops.model.evidence import Evidence, Level
from ops.model.findings import Finding
from ops.ports.source import LoadContext, Source
from ops.repository.backup import Backup
from ops.repository.encrypt import opened_where_possible
from ops.repository.fetch import can_be_opened
from ops.repository.record_evidence import Look, evidence_of, keep_evidence
from ops.repository.second_look import look_beside, look_through, stops
from ops.run.job import Job


@dataclass(frozen=True, slots=True)
class VerifyRequest:
    """How deep to look, where scratch places are made, and whether the result is kept beside the backup.

    `known`: what the operator knows of. `member`: only this one of a backup of several sources is loaded, which says nothing
    of the others and is not kept; empty: all.
    """

    level: Level
    scratch: Path
    keep: bool = True
    known: tuple[Known, ...] = ()
    member: str = ""


def verify_backup(backup: Backup, source: Source, request: VerifyRequest, job: Job) -> Evidence:
    """What a look at `backup` found, kept as evidence beside it.

    What kept us from looking leaves the verdict open. Raises BackupError when the backup was deleted a moment ago.
    """
    started = job.clock()
    backup = opened_where_possible(backup, request.scratch) if can_be_opened(backup) else backup
    full, places = request.level is Level.FULL, list[Path]()
    with judging(backup, f"verify {request.level}", "verify", job) as rehearsal:
        if full:
            rehearsal.member = request.member
            require_room(request.scratch, room_to_open(backup, source, request.member))
            with scratch_folder(request.scratch) as scratch:
                places.append(scratch)
                context = LoadContext(progress=job.progress)
                with rehearsal.copy(scratch, lambda payload: source.load(payload, context)):
                    """It was looked at on its way here."""
        else:
            _look_in_place(rehearsal, source, request)
    look = Look(
        action="verify",
        level=str(request.level),
        started_at=started,
        finished_at=job.clock(),
        isolation="a temporary folder or server of its own" if full else None,
        cleaned_up=not places[0].exists() if places else None,
        limits=() if full else ("nothing was restored", "the data was not compared"),
    )
    findings = settled(rehearsal.found, backup.manifest, request.known, started.date())
    evidence = evidence_of(backup, look, findings, job)
    return _kept(backup, evidence) if request.keep and not request.member else evidence


def _look_in_place(rehearsal: Rehearsal, source: Source, request: VerifyRequest) -> None:
    """Add what is found, step by step, so that what was seen stays when a later step cannot look."""
    backup, progress = rehearsal.backup, rehearsal.job.progress
    rehearsal.found += look_beside(backup, progress)
    if stops(rehearsal.found):
        return
    with scratch_folder(request.scratch) as scratch:
        rehearsal.found += look_through(backup, progress)
        if not stops(rehearsal.found):
            rehearsal.found += check_in_place(backup, source, scratch, progress)


def _kept(backup: Backup, evidence: Evidence) -> Evidence:
    return replace(evidence, findings=(*evidence.findings, *keep_evidence(backup, evidence)))


def verify_opened(
    backup: Backup, source: Source, request: VerifyRequest, job: Job
) -> tuple[Evidence, list[Finding]]:
    """Look at an encrypted backup, inside where a key of this machine fits, else from outside; what kept us out."""
    noticed: list[Finding] = []
    if backup.openers:
        evidence = verify_backup(backup, source, replace(request, keep=False), job)
        noticed = [replace(item, blocking=False) for item in evidence.findings if item.blocking]
        if not noticed:
            return _kept(backup, evidence) if request.keep else evidence, []
    return verify_backup(replace(backup, openers=()), source, request, job), noticed
