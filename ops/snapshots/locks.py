"""One run at a time for each series of snapshots, and each manifest: kernel locks in the folder `.locks` beside them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ops.fsio.locking import source_lock
from ops.joblog import Job
from ops.snapshots.definition import parse_name

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
