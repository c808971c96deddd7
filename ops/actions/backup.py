"""Taking one backup. The order of steps here is what makes a published backup trustworthy.

Lock, clean up after the dead, ask for space, copy and hash, measure the copy, stage the manifest, publish the
payload, its checksum, and last the manifest; then look again (`--verify`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from ops import __version__
from ops.actions.begin_backup import BackupRequest, Begun, begin_backup
from ops.actions.member_locks import held_locks
from ops.driverkit.spoken_names import spoken_names
from ops.formats import manifest as manifest_files
from ops.formats.encrypted_manifest import is_closed
from ops.formats.names import manifest_key
from ops.fsio.atomic import translated_write_errors
from ops.model.complaints import settled
from ops.model.findings import Finding, Severity
from ops.model.manifest import SEQUENCE_KEY, Captured, FileEntry, Manifest
from ops.ports.source import CaptureContext, Source
from ops.repository.backup import Backup
from ops.repository.capacity import warn_when_nearly_full
from ops.repository.catalog import read_manifest
from ops.repository.clock import clock_of
from ops.repository.complained import has_complained
from ops.repository.own_manifest import new_beside
from ops.repository.private_memory import known_manifest
from ops.repository.publish import announced_free, free_name, publish, under_free_name
from ops.repository.repository import Repository
from ops.repository.retention_candidates import POLICY_KEY
from ops.repository.rows_dropped import rows_dropped
from ops.repository.upload import uploading
from ops.run.job import Job, milliseconds

FileDone = Callable[[Path, FileEntry], None]
_TOOL = {"name": "drillbook", "version": __version__}


@dataclass(frozen=True, slots=True)
class Taken:
    """A published backup, and what was noticed on the way."""

    backup: Backup
    captured: Captured
    findings: tuple[Finding, ...]


def take_backup(source: Source, to: Repository, request: BackupRequest, job: Job) -> Taken:
    """Capture `source`, plain; the published backup.

    Raises LockHeldError, SpaceError, SourceError, StoreError, RefusedError; then nothing was published, and
    nothing that was there before has changed.
    """
    with held_locks(source, request.about(source, to), to, request.wait_s, job) as noticed:
        taken = take_backup_under_lock(source, to, request, job)
    return replace(taken, findings=(*noticed, *taken.findings))


def take_backup_under_lock(source: Source, to: Repository, request: BackupRequest, job: Job) -> Taken:
    """The same for a caller that holds the source's lock already."""
    begun = begin_backup(source, to, request, job)
    taken = make_backup(source, to, begun, request, job)
    findings = (*begun.findings, *taken.findings, *warn_when_nearly_full(to.store, to.limit))
    return replace(taken, findings=findings)


def make_backup(  # noqa: PLR0913, PLR0917 - a backup, and who takes its payload before it is measured
    source: Source,
    to: Repository,
    begun: Begun,
    request: BackupRequest,
    job: Job,
    file_done: FileDone | None = None,
) -> Taken:
    """Capture `source` under the name that was found, and publish it.

    `file_done`: called with each file of the payload as soon as its bytes are final; None: it is sent as it is.
    """
    store, form = to.store, source.form
    another = None if request.name else partial(free_name, store, form.base, form.suffix, begun.started_at)
    with (
        spoken_names(begun.name),
        announced_free(store, begun.name, another, job) as name,
        store.stage(name, folder=form.is_folder) as staged,
        uploading(store, name, None, is_folder=form.is_folder) as upload,
    ):
        captured = _capture(
            source,
            staged,
            _context(begun, request, file_done or upload.file_done, job),
            job,
        )
        finished = job.clock()
        manifest = Manifest(
            version=manifest_files.VERSION,
            job_id=job.job_id,
            created_at=begun.started_at,
            source=source.info,
            payload=name,
            files=_stored_files(captured, name, folder=form.is_folder),
            measures=captured.measures,
            tool=_TOOL,
            scope=source.scope,
            tags=request.tags,
            data_as_of=captured.data_as_of,
            started_at=begun.started_at,
            finished_at=finished,
            duration_ms=milliseconds(begun.started_at, finished),
            origin=begun.origin,
            selection=source.selection,
            assertions=request.assertions,
            members=captured.members,
            extra={
                SEQUENCE_KEY: begun.sequence,
                **_own_policy(request),
                "capture": captured.method,
                **captured.extra,
            },
        )
        with job.step("publish"):

            def publish_as(named: Manifest) -> Manifest:
                # What is on its way already has the first name.
                other = uploading(store, named.payload, None, is_folder=form.is_folder)
                with contextlib.nullcontext(upload) if named.payload == name else other as mine:
                    stored, place = mine.finish(named, staged, job)
                    publish(store, place, stored, job, new_beside(stored))
                return stored

            manifest = under_free_name(manifest, another, publish_as)
    home = begun.home
    dropped = rows_dropped(partial(_known, home), begun.earlier, begun.restored or begun.former, manifest)
    known = settled(captured.findings, manifest, request.known, begun.started_at.date())
    # Damage is recorded in this very manifest: that makes it the source's own later, and no smaller now.
    said = [
        was if was.severity is Severity.CRITICAL and not item.known else item
        for was, item in zip(captured.findings, known, strict=True)
    ]
    findings = (*said, *dropped, *clock_of(home.store))
    return Taken(Backup(store=store, manifest=manifest), captured, findings)


def _known(home: Repository, name: str) -> Manifest:
    """The manifest of a backup there, with what this machine knows of its content."""
    return known_manifest(read_manifest(home.store, manifest_key(name)), home)


def _context(begun: Begun, request: BackupRequest, done: FileDone, job: Job) -> CaptureContext:
    """What the capture is told of what came before."""
    former = begun.former
    return CaptureContext(
        progress=job.progress,
        previous=None if former is None or is_closed(former) else former,
        restored=begun.restored,
        base=begun.base,
        file_done=done,
        suspected=lambda: bool(request.known) or has_complained(begun.home.store, former, begun.earlier),
    )


def _own_policy(request: BackupRequest) -> dict[str, str]:
    return {POLICY_KEY: request.policy} if request.policy else {}


def _capture(source: Source, staged: Path, context: CaptureContext, job: Job) -> Captured:
    with job.step("capture") as facts, translated_write_errors(staged):
        captured = source.capture(staged, context)
        facts.bytes = sum(entry.size for entry in captured.files)
        facts.rows = captured.rows
        if len(captured.files) == 1:
            facts.checksum = captured.files[0].sha256
    return captured


def _stored_files(captured: Captured, name: str, *, folder: bool) -> tuple[FileEntry, ...]:
    """The files under the names that they have in the store."""
    if not folder:
        return (replace(captured.files[0], path=name),)
    return tuple(replace(entry, path=f"{name}/{entry.path}") for entry in captured.files)
