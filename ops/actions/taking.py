"""Taking a backup to where those of its source are made, plain or sealed, and looking at it.

Where the store seals, the plain copy is made in a private scratch place, as if that were the store: captured, measured,
and, where that is asked for, verified. Then it is sealed, and only what is sealed is stored. The machine needs no key
that opens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from ops.actions.ahead import sealed_ahead
from ops.actions.backup import (
    BackupRequest,
    Taken,
    begin_backup,
    held_lock,
    make_backup,
    take_backup_under_lock,
)
from ops.actions.capacity import warn_when_nearly_full
from ops.actions.copying import payload_here
from ops.actions.sealed_copies import publish_sealed
from ops.actions.sealing import Sealing
from ops.actions.verify import VerifyRequest, verify_backup
from ops.fsio.scratch import scratch_folder
from ops.fsio.space import require_room
from ops.joblog import Job
from ops.model import Evidence, Verdict
from ops.ports import Cipher, Source, Store


@dataclass(frozen=True, slots=True)
class Destination:
    """Where the backups of a source are made; in a store that holds sealed ones only, how they get there."""

    store: Store
    sealed: SealedHow | None = None


@dataclass(frozen=True, slots=True)
class SealedHow:
    """By which cipher, where scratch places are made until then, and what makes a store of such a place."""

    cipher: Cipher
    scratch: Path
    plain_store: Callable[[Path], Store]


@dataclass(frozen=True, slots=True)
class Made:
    """A published backup, and how the look at it ended (None: nobody asked for one); a sealed one's at the plain copy."""

    taken: Taken
    looked: Evidence | None


def make(
    source: Source, to: Destination, request: BackupRequest, look: VerifyRequest | None, job: Job
) -> Made:
    """Capture `source` into its store, and look at it.

    Raises LockHeldError, SpaceError, SourceError, StoreError, RefusedError, CipherError, ToolError; then nothing was
    published, and nothing that was there before has changed.
    """
    with held_lock(source.info.name, to.store, request.wait_s, job):
        made = make_under_lock(source, to, request, None if to.sealed is None else look, job)
    if to.sealed is None and look is not None:
        return replace(made, looked=verify_backup(made.taken.backup, source, look, job))
    return made


def make_under_lock(
    source: Source, to: Destination, request: BackupRequest, look: VerifyRequest | None, job: Job
) -> Made:
    """The same for a caller that holds the source's lock already."""
    if to.sealed is not None:
        return _make_sealed(source, to.store, to.sealed, request, look, job)
    taken = take_backup_under_lock(source, to.store, request, job)
    return Made(taken, verify_backup(taken.backup, source, look, job) if look else None)


def _make_sealed(  # noqa: PLR0913, PLR0917 - a backup, and how it is sealed
    source: Source, store: Store, how: SealedHow, request: BackupRequest, look: VerifyRequest | None, job: Job
) -> Made:
    """One that fails the look is stored all the same, with the verdict beside it: it may be all that there is."""
    sealing = Sealing.by(how.cipher, how.scratch)
    begun = begin_backup(source, store, request, job, sealing.suffix)
    require_room(how.scratch, source.estimate())
    name = f"{begun.name}{sealing.suffix}"
    with scratch_folder(how.scratch) as folder, sealed_ahead(store, name, sealing) as ahead:
        taken = make_backup(source, how.plain_store(folder), begun, request.tags, job, ahead.begin)
        looked = None
        if look is not None:
            looked = verify_backup(taken.backup, source, replace(look, keep=False), job)
        known = replace(taken.backup, evidence=(looked,) if looked else ())
        with payload_here(known, how.scratch, job, compared_later=True) as payload:
            sealed = publish_sealed(known, payload, store, sealing, job, ahead)
    findings = (*begun.findings, *taken.findings, *warn_when_nearly_full(store, request.limit))
    return Made(Taken(sealed, taken.captured, findings), looked)


def passed(look: Evidence | None) -> bool:
    """Whether there was a look, and it passed."""
    return look is not None and look.verdict is Verdict.PASSED
