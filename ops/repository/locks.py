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
from ops.repository.repository import Repository
from ops.run.job import Job


@contextlib.contextmanager
def being_read(backup: Backup) -> Iterator[None]:
    """Retention leaves `backup` alone while the block runs, in stores whose files are on this machine.

    Raises BackupError (`backup.not_found`) when it was deleted a moment ago.
    """
    if not isinstance(backup.store, LocalFiles):
        yield
        return
    with held_for_reading(backup.store.path_of(manifest_key(backup.name))) as there:
        if not there:
            raise _deleted(backup)
        yield


@contextlib.contextmanager
def being_judged(backup: Backup) -> Iterator[None]:
    """The same for a block that comes to a verdict.

    In other stores nobody can be kept off: what was seen of a backup that is gone afterwards says nothing about it.
    Raises BackupError (`backup.not_found`) then, too.
    """
    with being_read(backup):
        try:
            yield
        finally:
            if not isinstance(backup.store, LocalFiles) and _is_gone(backup):
                raise _deleted(backup)


def _is_gone(backup: Backup) -> bool:
    try:
        backup.store.open(manifest_key(backup.name)).close()
    except BackupError as error:
        return error.code == "backup.not_found"
    except OpsError:
        return False
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
    still held after `wait_s` seconds. Where this machine's state folder cannot be used, that is a warning, and
    StateError for a run that `deletes`.
    """
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
            path, left_s = to.store.lock_path(whose.name), max(0.0, until - time.monotonic())
            stack.enter_context(source_lock(path, job_id=job.job_id, now=job.clock(), wait_s=left_s))
        yield findings


def holder_of(whose: Whose, to: Repository) -> Holder | str | None:
    """Return which run works on the source in that store now, by this machine's lock and by the store's own; or None."""
    paths = [to.store.lock_path(whose.name)] if isinstance(to.store, LocalFiles) else []
    if to.state is not None:
        with contextlib.suppress(StateError):
            paths.append(to.state.lock_path(_about(whose, to.store)))
    held = [path for path in paths if is_held(path)]
    names = [holder for path in held if (holder := read_holder(path)) is not None]
    return next(iter(names), "a run that just started") if held else None


def _about(whose: Whose, store: Store) -> tuple[str, str, str]:
    return whose.name, whose.place, store.location


def _unlocked(error: StateError, store: Store) -> Finding:
    by = "by the store's own lock alone" if isinstance(store, LocalFiles) else "by nothing"
    message = f"{error.message}. Another run of this source was kept off {by}; {error.hint}"
    return Finding(severity=Severity.WARNING, code="state.unusable", message=message, where="state_dir")
