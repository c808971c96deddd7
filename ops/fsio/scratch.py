"""Private folders that are gone afterwards, even after a crash: the next run removes what a dead one left."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ops.fsio.atomic import PRIVATE_FILE, make_private_folder, translated_write_errors
from ops.fsio.process_marks import end_marked_processes

SCRATCH_PREFIX: Final = "drillbook-scratch-"
_KEEP: Final = ".keep"
_PATIENCE_S: Final = (0.05, 0.1, 0.2, 0.4, 0.8)


@contextlib.contextmanager
def scratch_folder(parent: Path, *, keep: bool = False) -> Iterator[Path]:
    """A new private folder (0700) under `parent`; removed afterwards with all in it unless `keep`.

    What dead runs of the same user left under `parent` is removed first; a living run's folder is known by
    the lock on it. Processes that are marked in a folder (`ops.fsio.process_marks`) are ended before it is removed.
    Raises StoreError or SpaceError when the folder cannot be made.
    """
    make_private_folder(parent)
    remove_stale_scratch(parent)
    with translated_write_errors(parent):
        folder, descriptor = _make_locked(parent)
        if keep:
            (folder / _KEEP).touch(PRIVATE_FILE)
    try:
        yield folder
    finally:
        if not keep:
            _remove(folder)
        os.close(descriptor)


def _make_locked(parent: Path) -> tuple[Path, int]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=SCRATCH_PREFIX, dir=parent))
        with contextlib.suppress(FileNotFoundError):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            # Another run's clean-up may have taken the folder between its creation and its lock.
            if folder.exists():
                return folder, descriptor
            os.close(descriptor)


def remove_stale_scratch(parent: Path) -> list[Path]:
    """The scratch folders of dead runs of this user under `parent`, which are gone now.

    One that was kept on purpose (`--keep`) holds a file `.keep` and stays.
    """
    removed = []
    for folder in parent.glob(f"{SCRATCH_PREFIX}*"):
        with _claimed(folder) as stale:
            if stale:
                _remove(folder)
                removed += [] if folder.exists() else [folder]
    return removed


def _remove(folder: Path) -> None:
    end_marked_processes(folder)
    # What the children of a killed run still write while they end can make a removal fail; soon nobody writes.
    for patience_s in _PATIENCE_S:
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(patience_s)
    shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _claimed(folder: Path) -> Iterator[bool]:
    """Whether `folder` is a dead run's; its lock is ours while the block runs.

    Who has just made a folder and not locked it yet waits for that, sees that it is gone, and makes another.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        yield False
        return
    try:
        yield _is_stale(folder, descriptor)
    finally:
        os.close(descriptor)


def _is_stale(folder: Path, descriptor: int) -> bool:
    try:
        if os.fstat(descriptor).st_uid != os.geteuid() or (folder / _KEEP).exists():
            return False
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
