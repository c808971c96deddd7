"""A file and its checksum file, published so that a run that is killed between the two leaves something tellable.

A new one: first the checksum file, then the file. Between the two there is a digest without its file, which a verify
names and the next create puts right. One that is replaced: the new checksum file, then the new file. Between the two
the old file does not have the digest that is recorded; the next create sees that the digest is that of the file which
it has just made, and finishes what was begun.
"""

from __future__ import annotations

import contextlib
import enum
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ops.errors import RefusedError, SnapshotError
from ops.formats.names import CHECKSUM_SUFFIX, OTHER_CHECKSUM_SUFFIX
from ops.fsio.atomic import (
    StagedFile,
    publish,
    replace_durably,
    translated_write_errors,
    write_all,
)
from ops.fsio.durable import fsync_descriptor
from ops.fsio.leftovers import staged_beside
from ops.fsio.locks import source_lock
from ops.run.job import Job
from ops.snapshots.checksum_file import checksum_files_of, checksum_text, digest_of, recorded_digest
from ops.snapshots.definition import parse_name


class Status(enum.StrEnum):
    """What became of a snapshot: it is new; the same was there; it took another's place; it or its checksum was put right."""

    CREATED = "created"
    UNCHANGED = "unchanged"
    REPLACED = "replaced"
    REPAIRED = "repaired"


@dataclass(frozen=True, slots=True)
class _There:
    """What has the name already: its digest, and all that are recorded for it ("" for one that cannot be read)."""

    sha256: str
    recorded: set[str]


def publish_pair(staged: StagedFile, final: Path, sha256: str, *, replace: bool) -> Status:
    """Give the staged file, whose digest is `sha256`, its name, and write its checksum file.

    Durable when this returns. The caller holds a lock that keeps others from the name. Raises RefusedError
    (`refused.snapshot_differs`) when the name has other content and `replace` was not asked for, or when something
    that is no file has the name; SpaceError or StoreError when it cannot be written. Then all is as it was.
    """
    there = _look(final)
    if there is None:
        status = Status.REPAIRED if checksum_files_of(final) else Status.CREATED
        _write_checksum(final, sha256)
        publish(staged.path, final)
        return status
    if there.sha256 == sha256:
        if there.recorded == {sha256}:
            return Status.UNCHANGED
        _write_checksum(final, sha256)
        return Status.REPAIRED
    begun = there.recorded == {sha256}
    if not begun and not replace:
        raise _differs(final, there, sha256)
    with translated_write_errors(final):
        fsync_descriptor(staged.descriptor)
    _write_checksum(final, sha256)
    replace_durably(staged.path, final)
    return Status.REPAIRED if begun else Status.REPLACED


def _look(final: Path) -> _There | None:
    try:
        status = final.lstat()
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(status.st_mode):
        message = f"{final} exists and is no regular file"
        raise RefusedError(message, code="refused.name_taken", hint="choose another name with --out")
    return _There(digest_of(final)[0], {_recorded(file, final) for file in checksum_files_of(final)})


def _recorded(checksum_file: Path, final: Path) -> str:
    try:
        return recorded_digest(checksum_file, final)
    except SnapshotError:
        return ""


def _differs(final: Path, there: _There, sha256: str) -> RefusedError:
    state = "" if there.recorded == {there.sha256} else ", and is not what its checksum file says"
    message = (
        f"{final} exists with other content{state}: SHA-256 there {there.sha256}, now {sha256};"
        " the rows have changed since, or somebody changed the file"
    )
    hint = "--replace puts the new one in its place; --out PATH keeps both"
    return RefusedError(message, code="refused.snapshot_differs", hint=hint)


def _write_checksum(final: Path, sha256: str) -> None:
    """Put the checksum file of `final` in place; one that goes by another suffix goes away, since it says something else."""
    path = final.with_name(final.name + CHECKSUM_SUFFIX)
    with staged_beside(path.parent, path.name) as staged:
        write_all(staged, checksum_text(final, sha256))
        with translated_write_errors(path):
            fsync_descriptor(staged.descriptor)
        replace_durably(staged.path, path)
    other = final.with_name(final.name + OTHER_CHECKSUM_SUFFIX)
    with translated_write_errors(other):
        other.unlink(missing_ok=True)


_LOCKS: Final = ".locks"


def lock_of(file: Path) -> Path | None:
    """The lock of the series that the snapshot `file` belongs to; None for a name that no series has."""
    parsed = parse_name(file.name)
    return None if parsed is None else _path(file.parent, parsed[0])


def _path(folder: Path, series: str) -> Path:
    return folder / _LOCKS / f"snapshot-{series}.lock"


@contextlib.contextmanager
def series_lock(folder: Path, series: str, job: Job, wait_s: float = 0) -> Iterator[None]:
    """Hold the lock on one series of snapshots in `folder`; raises LockHeldError when a living run has it."""
    what = f"snapshot {series!r}"
    with source_lock(_path(folder, series), job_id=job.job_id, now=job.clock(), wait_s=wait_s, what=what):
        yield
