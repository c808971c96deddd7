"""Looking at one stored backup without changing it. Raises only when it could not look."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from ops.actions.rehearsal import check_in_place, check_restored, room_to_open, with_needed
from ops.errors import OpsError
from ops.formats.manifest import payload_sha256
from ops.fsio.scratch import scratch_folder
from ops.fsio.space import require_room
from ops.model.complaints import Known, settled
from ops.model.evidence import Evidence, Level
from ops.model.findings import Finding
from ops.ports.source import Source
from ops.repository.backup import Backup
from ops.repository.encrypt import opened_where_possible
from ops.repository.fetch import can_be_opened, fetch_needed, fetch_whole
from ops.repository.locks import being_judged
from ops.repository.record_evidence import Look, evidence_of, keep_evidence
from ops.repository.second_look import judged, look_beside, look_through, stops
from ops.run.job import Job


@dataclass(frozen=True, slots=True)
class VerifyRequest:
    """How deep to look, where scratch places are made, and whether the result is kept beside the backup.

    `known`: what the operator knows of.
    """

    level: Level
    scratch: Path
    keep: bool = True
    known: tuple[Known, ...] = ()


def verify_backup(backup: Backup, source: Source, request: VerifyRequest, job: Job) -> Evidence:
    """What a look at `backup` found, kept as evidence beside it.

    What kept us from looking leaves the verdict open. Raises BackupError when the backup was deleted a moment ago.
    """
    started = job.clock()
    backup = opened_where_possible(backup, request.scratch) if can_be_opened(backup) else backup
    with job.step(f"verify {request.level}") as facts, being_judged(backup, "verify", job) as unleased:
        findings = [*unleased]
        places: list[Path] = []
        try:
            _look(backup, source, request, job, findings, places)
        except OpsError as error:
            findings.append(judged(error))
        facts.rows = backup.manifest.measures.rows
        facts.bytes = backup.manifest.size
        facts.checksum = payload_sha256(backup.manifest)
    full = request.level is Level.FULL
    look = Look(
        action="verify",
        level=str(request.level),
        started_at=started,
        finished_at=job.clock(),
        isolation="a temporary folder or server of its own" if full else None,
        cleaned_up=not places[0].exists() if full and places else None,
        limits=() if full else ("nothing was restored", "the data was not compared"),
    )
    findings = settled(findings, backup.manifest, request.known, started.date())
    evidence = evidence_of(backup, look, findings, job)
    return _kept(backup, evidence) if request.keep else evidence


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


def _look(  # noqa: PLR0913, PLR0917 - a look, what it finds, and where it was
    backup: Backup,
    source: Source,
    request: VerifyRequest,
    job: Job,
    findings: list[Finding],
    places: list[Path],
) -> None:
    """Add what is found, step by step, so that what was seen stays when a later step cannot look."""
    if request.level is Level.FULL:
        require_room(request.scratch, room_to_open(backup, source))
    findings += look_beside(backup, job.progress)
    if stops(findings):
        return
    with scratch_folder(request.scratch) as scratch:
        places.append(scratch)
        if request.level is Level.FULL:
            _restore_and_check(backup, source, scratch, job, findings)
            return
        findings += look_through(backup, job.progress)
        if not stops(findings):
            findings += _look_in_place(backup, source, scratch, job)


def _look_in_place(backup: Backup, source: Source, scratch: Path, job: Job) -> list[Finding]:
    needed, findings = fetch_needed(backup, scratch, job.progress) if can_be_opened(backup) else ([], [])
    if stops(findings):
        return findings
    return findings + check_in_place(backup, with_needed(source, needed), scratch, job.progress)


def _restore_and_check(
    backup: Backup, source: Source, scratch: Path, job: Job, findings: list[Finding]
) -> None:
    fetched, arrived = fetch_whole(backup, scratch, job.progress)
    findings += arrived
    if stops(arrived):
        return
    payload, *needed = fetched
    try:
        with with_needed(source, needed).load(payload, job.progress) as copy:
            findings += check_restored(copy, backup.manifest.measures, job.progress)
    except OpsError as error:
        findings.append(judged(error, "load"))
