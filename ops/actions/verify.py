"""Looking at one stored backup without changing it. Raises only when it could not look."""

from __future__ import annotations

import socket
from dataclasses import dataclass, replace
from pathlib import Path

from ops import __version__
from ops.actions.rehearsal import check_in_place, check_restored, room_to_open, with_needed
from ops.errors import SourceError, ToolError
from ops.formats.manifest import payload_sha256
from ops.fsio.scratch import scratch_folder
from ops.fsio.space import require_room
from ops.model.evidence import Evidence, Level
from ops.model.findings import Finding, Severity, verdict_of, worst
from ops.ports.source import Source
from ops.repository.backup import Backup
from ops.repository.fetch import can_be_opened, fetch_needed, fetch_whole
from ops.repository.integrity import check_checksum_file, check_sizes, check_stored_files, critical, undecided
from ops.repository.locks import being_judged
from ops.repository.record_evidence import keep_evidence
from ops.run.job import Job, milliseconds


@dataclass(frozen=True, slots=True)
class VerifyRequest:
    """How deep to look, where scratch places are made, and whether the result is kept beside the backup."""

    level: Level
    scratch: Path
    keep: bool = True


def verify_backup(backup: Backup, source: Source, request: VerifyRequest, job: Job) -> Evidence:
    """What a look at `backup` found, kept as evidence beside it.

    Raises SpaceError when a full restore would not fit the scratch place, StoreError when the store can not
    be read, BackupError when the backup was deleted a moment ago.
    """
    started = job.clock()
    with job.step(f"verify {request.level}") as facts, being_judged(backup):
        findings = [check_checksum_file(backup)]
        findings += _look(backup, source, request, job)
        facts.rows = backup.manifest.measures.rows
        facts.bytes = backup.manifest.size
        facts.checksum = payload_sha256(backup.manifest)
    finished = job.clock()
    evidence = Evidence(
        action="verify",
        level=str(request.level),
        job_id=job.job_id,
        backup=backup.name,
        source=backup.manifest.source,
        payload_sha256=payload_sha256(backup.manifest),
        started_at=started,
        finished_at=finished,
        duration_ms=milliseconds(started, finished),
        verdict=verdict_of(findings),
        findings=tuple(findings),
        rows=backup.manifest.measures.rows,
        size=backup.manifest.size,
        tool={"name": "drillbook", "version": __version__},
        host=socket.gethostname(),
    )
    if not request.keep:
        return evidence
    return replace(evidence, findings=(*evidence.findings, *keep_evidence(backup, evidence)))


def _look(backup: Backup, source: Source, request: VerifyRequest, job: Job) -> list[Finding]:
    if request.level is Level.QUICK:
        findings = check_sizes(backup) or check_stored_files(backup, job.progress)
        if worst(findings) is Severity.CRITICAL:
            return findings
        with scratch_folder(request.scratch) as scratch:
            return findings + _look_in_place(backup, source, scratch, job)
    require_room(request.scratch, room_to_open(backup, source))
    with scratch_folder(request.scratch) as scratch:
        return _restore_and_check(backup, source, scratch, job)


def _look_in_place(backup: Backup, source: Source, scratch: Path, job: Job) -> list[Finding]:
    needed, findings = fetch_needed(backup, scratch, job.progress) if can_be_opened(backup) else ([], [])
    if worst(findings) is Severity.CRITICAL:
        return findings
    return findings + check_in_place(backup, with_needed(source, needed), scratch, job.progress)


def _restore_and_check(backup: Backup, source: Source, scratch: Path, job: Job) -> list[Finding]:
    findings = check_sizes(backup)
    if findings:
        return findings
    fetched, findings = fetch_whole(backup, scratch, job.progress)
    if worst(findings) is Severity.CRITICAL:
        return findings
    payload, *needed = fetched
    try:
        with with_needed(source, needed).load(payload, job.progress) as copy:
            findings += check_restored(copy, backup.manifest.measures, job.progress)
    except SourceError as error:
        findings.append(critical(error, "load"))
    except ToolError as error:
        findings.append(undecided(error))
    return findings
