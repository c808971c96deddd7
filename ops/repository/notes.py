"""Notes: small files in a store by which a run says what it is doing there, and how others see that it has ended."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from ops.errors import BackupError
from ops.formats.lease import Note, from_json
from ops.fsio.writer_marks import Writer
from ops.ports.store import Store
from ops.run.job import Job
from ops.units import format_time

LENGTH: Final = timedelta(minutes=1)
"""How long a note that is renewed holds."""
_MOST_BYTES: Final = 64 << 10
_ACTIVE: Final[set[str]] = set()
"""What this process has said in stores and not taken back: of its own word it knows whether it still holds."""


@contextlib.contextmanager
def active(word: str) -> Iterator[None]:
    """Count the `word` of this process, an id or a key, as living while the block runs."""
    _ACTIVE.add(word)
    try:
        yield
    finally:
        _ACTIVE.discard(word)


def is_active(word: str) -> bool:
    """Return whether such a block runs in this process."""
    return word in _ACTIVE


def is_gone(note: Note | None, word: str) -> bool | None:
    """Return whether the owner of a note is gone; None where that cannot be known here."""
    writer = None if note is None else Writer.parse(note.writer)
    if writer is not None and writer == Writer.here():
        return word not in _ACTIVE
    return None if writer is None else writer.is_gone


def new_note(verb: str, subject: str, job: Job, *, resumable: bool = False) -> Note:
    """Return a note of this process."""
    return Note(
        verb=verb,
        subject=subject,
        host=socket.gethostname(),
        writer=str(Writer.here()),
        job_id=job.job_id,
        started_at=format_time(job.clock()),
        length_s=LENGTH.total_seconds(),
        resumable=resumable,
    )


def read_note(store: Store, key: str) -> Note | None:
    """Return what the note at `key` says; None when it is gone, or says nothing sensible."""
    try:
        with store.open(key) as file:
            return from_json(file.read(_MOST_BYTES))
    except BackupError:
        return None
