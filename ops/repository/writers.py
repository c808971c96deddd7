"""Who writes which payload, said in stores that have no files here: its name is taken, and what a dead run left is found.

In a folder a staged file says the same.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Final

from ops.errors import (
    NameTakenError,
    OpsError,
    RefusedError,
    StoreConflictError,
    StoreError,
    StoreRefusedError,
)
from ops.formats.lease import WRITING, Note, to_json
from ops.formats.names import checksum_key, manifest_key, own_manifest_key, payload_of_record, tombstone_key
from ops.fsio.writer_marks import FOREIGN_AFTER
from ops.model.findings import Finding, Severity
from ops.ports.store import OWN_PREFIX, LocalFiles, Store
from ops.repository.notes import active, is_active, is_gone, new_note, read_note
from ops.repository.transfer import is_stored, put_new
from ops.run.job import Job

_PREFIX: Final = f"{OWN_PREFIX}{WRITING}"
_MOST: Final = 50
"""So many names are looked at in one run: where keys may not delete, word of every backup stays."""


@contextlib.contextmanager
def announced(store: Store, payload: str, job: Job, *, resumable: bool = False) -> Iterator[None]:
    """Take the name `payload` while the block runs, which writes it; when the block fails, what it left is removed.

    `resumable`: what is left is finished by a later run, and the name is nobody's. Inside a block of the same job nothing
    more happens. Raises RefusedError (`refused.name_taken`) when another run writes it.
    """
    key, word = f"{_PREFIX}{payload}/{job.job_id}.json", f"{store.location} {payload} {job.job_id}"
    if isinstance(store, LocalFiles) or is_active(word):
        yield
        return
    with active(word):
        if not _put(store, key, new_note("backup.create", payload, job, resumable=resumable)):
            yield
            return
        try:
            if not resumable:
                _require_alone(store, payload, key)
            yield
        except BaseException as error:
            if not resumable:
                _take_back(store, payload, key, error)
            raise
        with contextlib.suppress(OpsError):
            store.delete(key)


def _take_back(store: Store, payload: str, key: str, error: BaseException) -> None:
    """Remove what was written, unless it is another run's. What cannot be removed now is found later, by the word that stays."""
    taken = isinstance(error, NameTakenError | StoreConflictError)
    with contextlib.suppress(OpsError):
        if not taken:
            _remove(store, payload)
        store.delete(key)


def _require_alone(store: Store, payload: str, own: str) -> None:
    if any(key != own and not _is_dead(store, payload, key) for key in _notes(store, f"{_PREFIX}{payload}/")):
        message = f"{payload} is being written to store {store.name!r} by another run"
        raise RefusedError(message, code="refused.name_taken", hint="run it again when that has ended")


def is_announced(store: Store, payload: str) -> bool:
    """Return whether a run says that it writes `payload`, in a store that has no files here."""
    return not isinstance(store, LocalFiles) and any(_notes(store, f"{_PREFIX}{payload}/"))


def _put(store: Store, key: str, note: Note) -> bool:
    """Whether the word is in the store now; not where it may not be written."""
    try:
        put_new(store, key, to_json(note))
    except StoreRefusedError:
        return False
    return True


def _notes(store: Store, prefix: str) -> list[str]:
    return [stored.key for stored in store.list(prefix)]


def _is_ended(store: Store, payload: str, note: Note | None) -> bool | None:
    """Whether the run that wrote the note has ended; None where that cannot be known here."""
    return is_gone(note, "" if note is None else f"{store.location} {payload} {note.job_id}")


def _is_dead(store: Store, payload: str, key: str) -> bool:
    """Whether what the run that wrote the note has left may go: it has ended, and no later run will go on with it.

    Where that cannot be known it has seven days, and as long what a later run may go on with.
    """
    note = read_note(store, key)
    ended = _is_ended(store, payload, note)
    if ended and not (note and note.resumable):
        return True
    return ended is not False and (store.age(key) or timedelta()) >= FOREIGN_AFTER


def remove_left(store: Store, most: int = _MOST) -> list[Finding]:
    """Remove what runs that were killed left of payloads they wrote; a finding for each name, newest first, at most so many.

    Only names that were announced are looked at, and none that a living run may write. Raises StoreError.
    """
    announcements = defaultdict[str, list[str]](list)
    for key in _notes(store, _PREFIX):
        announcements[key.removeprefix(_PREFIX).rpartition("/")[0]].append(key)
    findings = []
    for payload in sorted(announcements, reverse=True)[:most]:
        settled = _is_settled(store, payload)
        try:
            if settled:
                _forget_ended(store, payload, announcements[payload])
            elif all(_is_dead(store, payload, key) for key in announcements[payload]):
                findings += [_swept(payload)] if _remove(store, payload) else []
                _forget(store, announcements[payload])
        except StoreError as error:
            # That the word of a backup stays says nothing of it.
            findings += [] if settled else [_stays(payload, error)]
            if isinstance(error, StoreRefusedError):
                break  # keys that may not delete: no other name can be cleared either
    return findings


def _is_settled(store: Store, payload: str) -> bool:
    """Whether it is a backup, or is being deleted by a run that will go on with that.

    The store is asked for the files themselves: a listing may be older than they are. Raises StoreError.
    """
    return any(is_stored(store, key) for key in (manifest_key(payload), tombstone_key(payload)))


def _forget_ended(store: Store, payload: str, keys: Sequence[str]) -> None:
    """Take back the word of runs that have ended; when nobody writes any more, no upload of that name is of use."""
    ended = [key for key in keys if _is_ended(store, payload, read_note(store, key))]
    if len(ended) == len(keys):
        store.abort_uploads(payload)
    _forget(store, ended)


def _forget(store: Store, keys: Sequence[str]) -> None:
    for key in keys:
        store.delete(key)


def _remove(store: Store, payload: str) -> bool:
    """Whether something was there that was no backup; it is gone now, unfinished uploads as well. Raises StoreError."""
    if _is_settled(store, payload):
        return False
    keys = {stored.key for stored in store.list(payload)}
    own = own_manifest_key(payload)
    if own is not None and is_stored(store, own):
        keys.add(own)
    uploads: Sequence[str] = store.abort_uploads(payload)
    beside = sorted(key for key in keys if key == checksum_key(payload) or payload_of_record(key) == payload)
    for key in [*beside, payload]:
        store.delete(key)
    return bool(keys or uploads)


def _swept(payload: str) -> Finding:
    message = f"removed {payload}, left by a run that was killed"
    return Finding(severity=Severity.OK, code="store.swept", message=message, where=payload)


def _stays(payload: str, error: StoreError) -> Finding:
    message = f"{payload}, left by a run that was killed, stays: {error.message}"
    return Finding(severity=Severity.OK, code="store.swept", message=message, where=payload)
