"""One run at a time a source and store, and readers that retention leaves alone."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

from ops.errors import BackupError, OpsError, StateError
from ops.formats.names import manifest_key
from ops.fsio.locks import Holder, held_for_reading, is_held, read_holder, source_lock
from ops.model.findings import Finding, Severity
from ops.model.series import Whose
from ops.ports.store import LocalFiles, Store
from ops.repository.backup import Backup
from ops.repository.delete import Deletion
from ops.repository.identity import read_identity
from ops.repository.leases import Observer, all_notes, delete_lease, read_lease
from ops.repository.notes import new_note
from ops.repository.repository import Repository
from ops.repository.store_watch import current_watch
from ops.repository.transfer import is_stored
from ops.run.job import Job


@contextlib.contextmanager
def being_read(backup: Backup, verb: str, job: Job) -> Iterator[list[Finding]]:
    """Retention leaves `backup` alone while the block runs; yields what was noticed.

    On this machine by a lock on its manifest, in other stores by a lease. Raises BackupError (`backup.not_found`) when it
    was deleted a moment ago.
    """
    store, noticed = backup.store, list[Finding]()
    with contextlib.ExitStack() as stack:
        if isinstance(store, LocalFiles):
            path = store.path_of(manifest_key(backup.name))
            if not stack.enter_context(held_for_reading(path)):
                raise _deleted(backup)
        else:
            try:
                stack.enter_context(read_lease(store, backup.name, verb, job))
            except OpsError as error:
                noticed.append(_unleased(backup, error))
            if _is_gone(backup):
                raise _deleted(backup)
        yield noticed


@contextlib.contextmanager
def being_judged(backup: Backup, verb: str, job: Job) -> Iterator[list[Finding]]:
    """Do the same for a block that comes to a verdict: what was seen of a backup that is gone afterwards says nothing.

    Raises BackupError (`backup.not_found`) then, too.
    """
    with being_read(backup, verb, job) as noticed:
        try:
            yield noticed
        finally:
            # In a folder the lock on its manifest has kept it, unless the whole folder is away.
            if not isinstance(backup.store, LocalFiles) and _is_gone(backup):
                raise _deleted(backup)


def _unleased(backup: Backup, error: OpsError) -> Finding:
    message = (
        f"{backup.name} is read without a lease in store {backup.store.name!r}, so that a prune on another machine may delete"
        f" it meanwhile: {error.message}"
    )
    return Finding(severity=Severity.OK, code="lease.not_written", message=message, where=backup.name)


def _is_gone(backup: Backup) -> bool:
    """Whether the store says that its manifest is not there."""
    try:
        return not is_stored(backup.store, manifest_key(backup.name))
    except OpsError:
        return False


def _deleted(backup: Backup) -> BackupError:
    message = f"{backup.name} was deleted from store {backup.store.name!r} a moment ago"
    return BackupError(message, hint="names are as backup.list prints them", command="backup.list")


@contextlib.contextmanager
def held_lock(
    whose: Whose, to: Repository, wait_s: float, job: Job, *, deletes: bool = False
) -> Iterator[list[Finding]]:
    """Keep other runs on the same source in the same store off while the block runs; yield what was noticed.

    First this machine's lock, then the store's own where it has files here. Raises LockHeldError when one of them is
    still held after `wait_s` seconds, and StoreError where the store is not the one that was there. Where this machine's state folder cannot be used, that is a warning, and
    StateError for a run that `deletes`.
    """
    if current_watch() is not None:
        read_identity(to.store)  # before the lock makes a folder where a disk should be mounted
    until, findings = time.monotonic() + wait_s, list[Finding]()
    with contextlib.ExitStack() as stack:
        if to.state is not None:
            try:
                lock = to.state.lock(
                    _about(whose, to.store),
                    source=whose.name,
                    job_id=job.job_id,
                    now=job.clock(),
                    wait_s=wait_s,
                )
                stack.enter_context(lock)
            except StateError as error:
                if deletes:
                    message = f"nothing was deleted: {error.message}"
                    raise StateError(message, hint=error.hint) from error
                findings.append(_unlocked(error, to.store))
        if isinstance(to.store, LocalFiles):
            _hold_in_store(stack, to.store, whose, until, job)
        yield findings


def _hold_in_store(
    stack: contextlib.ExitStack, store: LocalFiles, whose: Whose, until: float, job: Job
) -> None:
    """Hold the lock of the source's place; and that of its name beside others, which older programs hold alone."""
    for name, shared in ((whose.name, True), (f"{whose.name}.{whose.place}", False)):
        path, left_s = store.lock_path(name), max(0.0, until - time.monotonic())
        what = f"source {whose.name!r}"
        stack.enter_context(
            source_lock(path, job_id=job.job_id, now=job.clock(), wait_s=left_s, what=what, shared=shared)
        )


@contextlib.contextmanager
def deleting(whose: Whose, to: Repository, verb: str, wait_s: float, job: Job) -> Iterator[Deletion]:
    """Be the only run that deletes backups of the source in that store while the block runs.

    In a folder the source's lock does that. Raises LockHeldError when another run does, and StoreError.
    """
    if isinstance(to.store, LocalFiles):
        yield Deletion(place=whose.place)
        return
    note = new_note(verb, whose.name, job)
    with delete_lease(to.store, whose.place, note, wait_s) as lease:
        yield Deletion(lease, Observer(to.store), whose.place)


def holder_of(whose: Whose, to: Repository) -> Holder | str | None:
    """Return which run works on the source in that store now, by this machine's lock and by the store's own; or None."""
    names = (whose.name, f"{whose.name}.{whose.place}")
    paths = [to.store.lock_path(name) for name in names] if isinstance(to.store, LocalFiles) else []
    if to.state is not None:
        with contextlib.suppress(StateError):
            paths.append(to.state.lock_path(_about(whose, to.store)))
    held = [path for path in paths if is_held(path)]
    known = [holder for path in held if (holder := read_holder(path)) is not None]
    return next(iter(known), "a run that just started") if held else None


def in_use(store: Store) -> list[Finding]:
    """Return who works in the store now: by the locks of a folder as they are seen here, by the leases of a bucket.

    Raises StoreError.
    """
    if isinstance(store, LocalFiles):
        paths = sorted(store.lock_path("source").parent.glob("*.lock"))
        held = (
            (path.stem, read_holder(path) or "a run that just started") for path in paths if is_held(path)
        )
        return [_used(name.partition(".")[0], str(holder), store) for name, holder in held]
    return [_used(note.subject, str(note), store) for note in all_notes(store)]


def _used(subject: str, who: str, store: Store) -> Finding:
    message = f"{subject} in store {store.name!r} is in use: {who}"
    return Finding(severity=Severity.OK, code="store.in_use", message=message, where=subject)


def _about(whose: Whose, store: Store) -> tuple[str, str, str]:
    return whose.name, whose.place, store.location


def _unlocked(error: StateError, store: Store) -> Finding:
    by = "by the store's own lock alone" if isinstance(store, LocalFiles) else "by nothing"
    message = f"{error.message}. Another run of this source was kept off {by}; {error.hint}"
    return Finding(severity=Severity.WARNING, code="state.unusable", message=message, where="state_dir")
