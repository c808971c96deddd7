"""Putting a restored log in the place of a live one.

The folder of segments is exchanged in one step where the system can (renameat2(2) with RENAME_EXCHANGE), else by two
renames. The snapshot goes first and comes last: a log without one is whole, one with another's is only slower to open.
What was there stays beside it under a name of its own.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import shlex
import shutil
from pathlib import Path
from typing import Final

from ops.driverkit.path_target import free_path
from ops.errors import RefusedError
from ops.fsio.atomic import translated_write_errors
from ops.fsio.durable import fsync_file, fsync_folder
from ops.model.findings import Finding, Severity
from ops.sources.eventlog.log.layout import FOLDER, LEGACY, SNAPSHOT
from ops.sources.eventlog.log.log import segment_files

_AT_FDCWD: Final = -100
_EXCHANGE: Final = 2
_NOT_OFFERED: Final = {errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EPERM}


def is_there(target: Path) -> bool:
    """Whether there is anything of a log in the data folder."""
    return any((target / name).exists() for name in (FOLDER, SNAPSHOT, LEGACY))


def change_mark(target: Path) -> str | None:
    """A value that differs after any append, rotation or pruning; None when the log cannot be looked at."""
    marks = []
    try:
        for path in (*sorted(segment_files(target).values()), target / SNAPSHOT):
            with contextlib.suppress(FileNotFoundError):
                status = path.lstat()
                marks.append(f"{path.name}:{status.st_ino}:{status.st_size}:{status.st_mtime_ns}")
    except OSError:
        return None
    return "|".join(marks)


def keep_damaged(target: Path, stamp: str) -> tuple[Path, str]:
    """A copy of a log that cannot be backed up, file by file as it is, and the command that goes back to it."""
    kept = free_path(target / f"event-log-damaged-{stamp}")
    with translated_write_errors(kept):
        kept.mkdir(0o700)
        if (target / FOLDER).is_dir():
            shutil.copytree(target / FOLDER, kept / FOLDER, symlinks=True)
        if (target / SNAPSHOT).is_file():
            shutil.copy2(target / SNAPSHOT, kept / SNAPSHOT)
    place, other = shlex.quote(str(target)), shlex.quote(str(kept))
    return kept, f"rm -r {place}/{FOLDER} && cp -a {other}/. {place}/"


def swap_log(built: Path, target: Path, stamp: str, *, unchanged_since: str | None) -> list[Finding]:
    """Put the log in the folder `built` into the data folder `target`, which may not exist; what was kept of the old one.

    Raises RefusedError when the log there has changed since the mark was taken.
    """
    if unchanged_since is not None and change_mark(target) != unchanged_since:
        message = f"somebody writes to the log in {target}"
        hint = "stop the program that writes it, and restore again; nothing was touched"
        raise RefusedError(message, code="refused.target_in_use", hint=hint)
    with translated_write_errors(target):
        _settle_on_disk(built)
        target.mkdir(0o700, exist_ok=True)
        kept = free_path(target / f"event-log-before-{stamp}")
        replaced = is_there(target)
        if replaced:
            kept.mkdir(0o700)
            _move(target / SNAPSHOT, kept / SNAPSHOT)
            _move(target / LEGACY, kept / LEGACY)
        (built / FOLDER).mkdir(0o700, exist_ok=True)
        if (target / FOLDER).exists():
            _exchange(built / FOLDER, target / FOLDER, kept / FOLDER)
        else:
            (built / FOLDER).rename(target / FOLDER)
        _move(built / SNAPSHOT, target / SNAPSHOT)
        for folder in (kept, target) if replaced else (target, target.parent):
            fsync_folder(folder)
    if not replaced:
        return []
    message = f"what was there is kept as it was in {kept}"
    return [Finding(severity=Severity.OK, code="eventlog.old_kept", message=message, where=str(kept))]


def _settle_on_disk(built: Path) -> None:
    """Everything below is on disk before anything has its name."""
    for path in sorted(built.rglob("*"), reverse=True):
        fsync_folder(path) if path.is_dir() else fsync_file(path)
    fsync_folder(built)


def _move(path: Path, to: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        path.rename(to)


def _exchange(new: Path, live: Path, kept: Path) -> None:
    """`live` becomes `new`, and what it was becomes `kept`: at once, so that no clean-up ever meets the old log."""
    new.rename(kept)
    if _exchanged(kept, live):
        return
    aside = kept.with_name(f"{kept.name}-old")
    live.rename(aside)
    try:
        kept.rename(live)
    except BaseException:
        aside.rename(live)
        raise
    aside.rename(kept)


def _exchanged(one: Path, other: Path) -> bool:
    """Exchange two names in one step; False where the system cannot. Source: renameat2(2)."""
    function = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if function is None:
        return False
    if function(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in _NOT_OFFERED:
        return False
    raise OSError(number, os.strerror(number), str(other))
