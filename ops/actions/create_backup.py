"""Making a backup as `backup.create` does: captured, encrypted where its store says so, and looked at."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

from ops.actions.backup import Taken, make_backup, take_backup_under_lock
from ops.actions.begin_backup import BackupRequest, begin_backup
from ops.actions.member_locks import held_locks
from ops.actions.verify import VerifyRequest, verify_backup
from ops.driverkit.spoken_names import spoken_names
from ops.fsio.scratch import scratch_folder
from ops.fsio.space import require_room
from ops.model.evidence import Evidence
from ops.model.findings import Verdict
from ops.model.manifest import Manifest
from ops.ports.cipher import Cipher
from ops.ports.source import Source
from ops.repository.backup import Backup
from ops.repository.capacity import warn_when_nearly_full
from ops.repository.encrypt import Sealing
from ops.repository.fetch import payload_here
from ops.repository.private_memory import remember_private
from ops.repository.publish import announced_free, free_name, under_free_name
from ops.repository.publish_encrypted import publish_sealed
from ops.repository.repository import Repository
from ops.repository.upload import uploading
from ops.run.job import Job


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
    with held_locks(source, request.about(source, to), to, request.wait_s, job) as noticed:
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
    # A look at one that needs others must open those.
    whole = look is not None and not any(item.can_open and item.kind == cipher.kind for item in to.decryptors)
    begun = begin_backup(source, to, replace(request, whole=whole), job, how.suffix)
    require_room(to.scratch, source.estimate())
    form, at = source.form, begun.started_at
    another = None if request.name else partial(free_name, store, form.base, form.suffix, at, how.suffix)
    with (
        spoken_names(begun.name),
        scratch_folder(to.scratch) as folder,
        announced_free(store, begun.name, another, job, how.suffix) as name,
        uploading(store, f"{name}{how.suffix}", how, is_folder=form.is_folder) as upload,
    ):
        begun = replace(begun, name=name)
        plain = Repository(store=to.plain_store(folder), scratch=to.scratch)
        taken = make_backup(source, plain, begun, request, job, upload.file_done)
        looked = None
        if look is not None:
            plain_one = replace(taken.backup, needs_in=store, openers=to.decryptors)
            looked = verify_backup(plain_one, source, replace(look, keep=False), job)
        known = replace(taken.backup, evidence=(looked,) if looked else ())
        with payload_here(known, to.scratch, job, compared_later=True) as payload:

            def publish_as(named: Manifest) -> Backup:
                backup = replace(known, manifest=named)
                # Encrypted ahead was what has the first name.
                begun_as = upload if named.payload == known.name else None
                return publish_sealed(backup, payload, store, how, job, begun_as)

            sealed = under_free_name(known.manifest, another, publish_as)
    remember_private(to.state, sealed.manifest)
    findings = (*begun.findings, *taken.findings, *warn_when_nearly_full(store, to.limit))
    return Made(Taken(sealed, taken.captured, findings), looked)


def passed(look: Evidence | None) -> bool:
    """Whether there was a look, and it passed."""
    return look is not None and look.verdict is Verdict.PASSED
