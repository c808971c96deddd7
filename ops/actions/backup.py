"""Taking one backup. The order of steps here is what makes a published backup trustworthy.

Lock, clean up after the dead, ask for space, copy and hash, measure the copy, stage the manifest, publish the
payload, its checksum, and last the manifest; then look again (`--verify`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Final

from ops import __version__
from ops.actions.verify import VerifyRequest, verify_backup
from ops.errors import RefusedError
from ops.formats import manifest as manifest_files
from ops.formats.encrypted_manifest import is_closed
from ops.formats.names import SAFETY_TAG, manifest_key
from ops.fsio.atomic import translated_write_errors
from ops.fsio.scratch import scratch_folder
from ops.fsio.space import require_room
from ops.model.complaints import Known, settled
from ops.model.evidence import Evidence
from ops.model.findings import Finding, Severity, Verdict
from ops.model.manifest import SEQUENCE_KEY, Captured, FileEntry, Manifest, Origin
from ops.model.moment import microseconds
from ops.model.series import Whose
from ops.ports.cipher import Cipher
from ops.ports.source import Continuing, Dependent, MeasuredLater, SelfExamined, Source
from ops.repository.backup import Backup
from ops.repository.capacity import require_room_for, warn_when_nearly_full
from ops.repository.catalog import read_manifest
from ops.repository.clock import clock_of
from ops.repository.complained import has_complained
from ops.repository.dependencies import base_in
from ops.repository.encrypt import Sealing
from ops.repository.fetch import payload_here
from ops.repository.find import newest_manifest
from ops.repository.identity import give_identity
from ops.repository.locks import held_lock
from ops.repository.newest import Named
from ops.repository.origin import examine_member, settle_origin
from ops.repository.private_memory import known_manifest, remember_private
from ops.repository.publish import free_name, publish_free, require_free, staged_free
from ops.repository.publish_encrypted import publish_sealed
from ops.repository.recovery import sweep
from ops.repository.repository import Repository
from ops.repository.retention_candidates import POLICY_KEY
from ops.repository.rows_dropped import rows_dropped
from ops.repository.upload import sealed_ahead, sent_ahead
from ops.run.job import Job, milliseconds

OnCopied = Callable[[Path, FileEntry], None]
_EARLIER: Final = 8
_TOOL = {"name": "drillbook", "version": __version__}


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupRequest:
    """What to take: `name` for a payload name of one's own, `min_free` bytes that must be free beforehand.

    `policy`: the name of the policy that keeps this backup (empty: that of the source or store). `whose`: which source it
    is of (None: the one that is captured, on this machine); `assertions`: what is expected of it, as the configuration
    has it; `accept`: codes that the operator accepts; `known`: what is known to be wrong with the source.
    """

    name: str | None = None
    tags: tuple[str, ...] = ()
    policy: str = ""
    min_free: int | None = None
    wait_s: float = 0
    whose: Whose | None = None
    assertions: tuple[Mapping[str, object], ...] = ()
    accept: tuple[str, ...] = ()
    known: tuple[Known, ...] = ()

    def about(self, source: Source, to: Repository) -> Whose:
        """Return which source the backup is of."""
        return self.whose or Whose.of(source, to.machine)


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
    with held_lock(request.about(source, to), to, request.wait_s, job) as noticed:
        taken = take_backup_under_lock(source, to, request, job)
    return replace(taken, findings=(*noticed, *taken.findings))


def take_backup_under_lock(source: Source, to: Repository, request: BackupRequest, job: Job) -> Taken:
    """The same for a caller that holds the source's lock already."""
    begun = begin_backup(source, to, request, job)
    taken = make_backup(source, to, begun, request, job)
    findings = (*begun.findings, *taken.findings, *warn_when_nearly_full(to.store, to.limit))
    return replace(taken, findings=findings)


@dataclass(frozen=True, slots=True)
class Begun:
    """What is settled before the first byte is read: its place in the order, the payload's name, what was noticed.

    `former`: the newest backup of the source that no restore made; `base`: the same, where the new one may build on it;
    `earlier`: the names of those before, in `home`.
    """

    home: Repository
    origin: Origin
    started_at: datetime
    sequence: int
    name: str
    findings: tuple[Finding, ...]
    former: Manifest | None = None
    base: Manifest | None = None
    earlier: tuple[str, ...] = ()


def begin_backup(source: Source, to: Repository, request: BackupRequest, job: Job, suffix: str = "") -> Begun:
    """Clean up after the dead, ask for space, and find the name, which is free also with `suffix` behind it.

    Raises SpaceError, SourceError, StoreError, RefusedError.
    """
    started, store = job.clock(), to.store
    findings = [*sweep(to), *give_identity(store)]
    with job.step("check space"):
        require_room_for(to, source.estimate(), request.min_free, f"a backup of {source.info.name!r}")
    aside = SAFETY_TAG in request.tags
    settled = settle_origin(request.about(source, to), source.identify(), to, job, aside=aside)
    newest = settled.newest
    last = next(newest.backups, None)
    sequence, warning = _next_in_order(last, started)
    name = request.name or free_name(store, *source.base_and_suffix, started, suffix)
    require_free(store, f"{name}{suffix}")
    mine = (item.name for item in chain(filter(None, [last]), newest.backups) if not item.is_safety)
    former, problems = newest_manifest(store, mine)
    former = known_manifest(former, to) if former else None
    findings += [replace(item, severity=Severity.WARNING) for item in (*newest.findings, *problems)]
    restored = aside or (last is not None and last.is_safety)
    findings += examine_member(settled.origin, former, to, restored=restored, accepted=request.accept)
    findings += [*settled.findings, *_closed(former)]
    base = None
    if former is not None and not suffix and not aside:
        base = _base(source, to, former, started)
    earlier = tuple(islice(mine, _EARLIER))
    return Begun(to, settled.origin, started, sequence, name, (*findings, *warning), former, base, earlier)


def _closed(former: Manifest | None) -> list[Finding]:
    """A warning where nothing can be compared with the former backup."""
    if former is None or not is_closed(former):
        return []
    message = (
        f"what {former.payload} holds is encrypted, and this machine has no key and no memory of it: whether this backup"
        " continues it, and whether tables lost their rows, was not looked at; the next one is compared again"
    )
    return [
        Finding(severity=Severity.WARNING, code="backup.former_closed", message=message, where=former.payload)
    ]


def _base(source: Source, to: Repository, former: Manifest, now: datetime) -> Manifest | None:
    """What the new backup may build on, where the source has that: never in a store that seals, which nobody here reads."""
    if not isinstance(source, Dependent) or source.full_every is None:
        return None
    return base_in(to.store, former, source.full_every, now)


def make_backup(  # noqa: PLR0913, PLR0917 - a backup, and who takes its payload before it is measured
    source: Source,
    to: Repository,
    begun: Begun,
    request: BackupRequest,
    job: Job,
    on_copied: OnCopied | None = None,
) -> Taken:
    """Capture `source` under the name that was found, and publish it.

    `on_copied`: called with a payload of one file as soon as its bytes are final, before it is measured.
    """
    store, folder = to.store, source.payload_is_folder
    another = (
        None if request.name else partial(free_name, store, *source.base_and_suffix, begun.started_at, "")
    )
    if isinstance(source, Continuing) and begun.former is not None and not is_closed(begun.former):
        source = source.after(begun.former)
    if isinstance(source, Dependent) and begun.base is not None:
        source = source.building_on(begun.base)
    source = _examined(source, begun, request)
    with (
        staged_free(store, begun.name, another, folder=folder) as (name, staged),
        sent_ahead(store, name) as ahead,
    ):
        captured = _capture(source, staged, on_copied or ahead.begin, job)
        finished = job.clock()
        manifest = Manifest(
            version=manifest_files.VERSION,
            job_id=job.job_id,
            created_at=begun.started_at,
            source=source.info,
            payload=name,
            files=_stored_files(captured, name, folder=folder),
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
            extra={
                SEQUENCE_KEY: begun.sequence,
                **_own_policy(request),
                "capture": captured.method,
                **captured.extra,
            },
        )
        with job.step("publish"):
            sent = partial(ahead.finish, manifest.files[0])
            manifest = publish_free(store, staged, manifest, sent, another)
    home = begun.home
    dropped = rows_dropped(partial(_known, home), begun.earlier, begun.former, manifest)
    said = settled(captured.findings, manifest, request.known, begun.started_at.date())
    findings = (*said, *dropped, *clock_of(home.store))
    return Taken(Backup(store=store, manifest=manifest), captured, findings)


def _known(home: Repository, name: str) -> Manifest:
    """The manifest of a backup there, with what this machine knows of its content."""
    return known_manifest(read_manifest(home.store, manifest_key(name)), home)


def _examined(source: Source, begun: Begun, request: BackupRequest) -> Source:
    """The source, which looks at all of itself where something was found wrong with it, or is known to be."""
    if not isinstance(source, SelfExamined) or not source.is_dear_to_look_at:
        return source
    if request.known or has_complained(begun.home.store, begun.former, begun.earlier):
        return source.looked_at()
    return source


def _own_policy(request: BackupRequest) -> dict[str, str]:
    return {POLICY_KEY: request.policy} if request.policy else {}


def _next_in_order(newest: Named | None, now: datetime) -> tuple[int, list[Finding]]:
    """The place of a new backup behind the newest one of the source, whatever the clock says; a warning where it is behind.

    Everything orders backups by this: a clock that was set back must not make an older one the latest.
    """
    if newest is None:
        return microseconds(now), []
    sequence = max(newest.sequence + 1, microseconds(now))
    if newest.created_at < now:
        return sequence, []
    message = (
        f"this machine's clock ({now:%Y-%m-%d %H:%M:%S}Z) is behind the newest backup"
        f" ({newest.created_at:%Y-%m-%d %H:%M:%S}Z)"
    )
    warning = Finding(severity=Severity.WARNING, code="clock.behind", message=message, where="clock")
    return sequence, [warning]


def _capture(source: Source, staged: Path, on_copied: OnCopied, job: Job) -> Captured:
    with job.step("capture") as facts, translated_write_errors(staged):
        if isinstance(source, MeasuredLater):
            copied = source.copy(staged, job.progress)
            on_copied(staged, copied.file)
            captured = source.measure(copied, staged, job.progress)
        else:
            captured = source.capture(staged, job.progress)
        facts.bytes = sum(entry.size for entry in captured.files)
        facts.rows = captured.measures.rows
        if len(captured.files) == 1:
            facts.checksum = captured.files[0].sha256
    return captured


def _stored_files(captured: Captured, name: str, *, folder: bool) -> tuple[FileEntry, ...]:
    """The files under the names that they have in the store."""
    if not folder:
        return (replace(captured.files[0], path=name),)
    return tuple(replace(entry, path=f"{name}/{entry.path}") for entry in captured.files)


@dataclass(frozen=True, slots=True)
class Made:
    """A published backup, and how the look at it ended (None: nobody asked for one); a sealed one's at the plain copy."""

    taken: Taken
    looked: Evidence | None


def make(
    source: Source, to: Repository, request: BackupRequest, look: VerifyRequest | None, job: Job
) -> Made:
    """Capture `source` into its store, and look at it.

    Raises LockHeldError, SpaceError, SourceError, StoreError, RefusedError, CipherError, ToolError; then nothing was
    published, and nothing that was there before has changed.
    """
    with held_lock(request.about(source, to), to, request.wait_s, job) as noticed:
        made = make_under_lock(source, to, request, None if to.encryption is None else look, job)
    made = replace(made, taken=replace(made.taken, findings=(*noticed, *made.taken.findings)))
    if to.encryption is None and look is not None:
        return replace(made, looked=verify_backup(made.taken.backup, source, look, job))
    return made


def make_under_lock(
    source: Source, to: Repository, request: BackupRequest, look: VerifyRequest | None, job: Job
) -> Made:
    """The same for a caller that holds the source's lock already."""
    if to.encryption is not None:
        return _make_encrypted(source, to, to.encryption, request, look, job)
    taken = take_backup_under_lock(source, to, request, job)
    return Made(taken, verify_backup(taken.backup, source, look, job) if look else None)


def _make_encrypted(  # noqa: PLR0913, PLR0917 - a backup, and how it is encrypted
    source: Source,
    to: Repository,
    cipher: Cipher,
    request: BackupRequest,
    look: VerifyRequest | None,
    job: Job,
) -> Made:
    """One that fails the look is stored all the same, with the verdict beside it: it may be all that there is."""
    if to.plain_store is None:
        raise TypeError(to)
    how, store = Sealing.by(cipher, to.scratch, plain_measures=to.plain_measures), to.store
    begun = begin_backup(source, to, request, job, how.suffix)
    require_room(to.scratch, source.estimate())
    name = f"{begun.name}{how.suffix}"
    with scratch_folder(to.scratch) as folder, sealed_ahead(store, name, how) as ahead:
        plain = Repository(store=to.plain_store(folder), scratch=to.scratch)
        taken = make_backup(source, plain, begun, request, job, ahead.begin)
        looked = None
        if look is not None:
            looked = verify_backup(taken.backup, source, replace(look, keep=False), job)
        known = replace(taken.backup, evidence=(looked,) if looked else ())
        with payload_here(known, to.scratch, job, compared_later=True) as payload:
            try:
                sealed = publish_sealed(known, payload, store, how, job, ahead)
            except RefusedError as error:
                if error.code != "refused.name_taken" or request.name:
                    raise
                # Another machine took the name in the same second: sealed again, under the next free one.
                other = free_name(store, *source.base_and_suffix, begun.started_at, how.suffix)
                known = replace(known, manifest=known.manifest.renamed(other))
                sealed = publish_sealed(known, payload, store, how, job)
    remember_private(to.state, sealed.manifest)
    findings = (*begun.findings, *taken.findings, *warn_when_nearly_full(store, to.limit))
    return Made(Taken(sealed, taken.captured, findings), looked)


def passed(look: Evidence | None) -> bool:
    """Whether there was a look, and it passed."""
    return look is not None and look.verdict is Verdict.PASSED
