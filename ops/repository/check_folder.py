"""What the file system of a store that is a folder can do: backups are published by it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Final

from ops.errors import OpsError
from ops.fsio.atomic import FULL
from ops.fsio.durable import fsync_file, fsync_folder
from ops.fsio.space import free_bytes
from ops.host.mounts import mount_of
from ops.model.findings import Finding, Severity
from ops.ports.store import LocalFiles, Store
from ops.repository.store_trial import PREFIX
from ops.repository.store_watch import folder_of
from ops.units import format_size

_BROKEN: Final = "promise.broken"


def examine_file_system(store: Store) -> list[Finding]:
    """Return how much is free, where the folder lies, and whether what publishes and locks backups works there.

    Everything is tried in a staged folder, which is gone afterwards. Nothing for a store without files here.
    """
    if not isinstance(store, LocalFiles):
        return []
    folder = folder_of(store)
    try:
        with store.stage(f"{PREFIX}{secrets.token_hex(8)}", folder=True) as place:
            return [
                _place(folder),
                *_links_in(folder),
                *(_tried(*item, place, str(folder)) for item in _TRIALS),
            ]
    except OpsError as error:
        return [
            Finding(severity=Severity.CRITICAL, code=error.code, message=error.message, where=str(folder))
        ]


def _place(folder: Path) -> Finding:
    mount = mount_of(folder)
    on = f" on {mount}" if mount else ""
    message = f"{format_size(free_bytes(folder))} free in {folder}{on}"
    return Finding(severity=Severity.OK, code="store.place", message=message)


def _links_in(folder: Path) -> list[Finding]:
    real = os.path.realpath(folder)
    if real == os.path.abspath(folder):  # noqa: PTH100 - pathlib's absolute() keeps the dots
        return []
    message = f"the path leads over a link: {folder} is {real}"
    return [Finding(severity=Severity.OK, code="store.place", message=message)]


def _tried(words: str, attempt: Callable[[Path], None], follows: str, place: Path, where: str) -> Finding:
    try:
        attempt(place)
    except OSError as error:
        if error.errno in FULL:
            message = f"could not be tried, because the disk is full: {words}"
            return Finding(severity=Severity.WARNING, code="space.disk_full", message=message, where=where)
        severity = Severity.WARNING if attempt is _locks else Severity.CRITICAL
        message = f"not kept: {words} ({error.strerror or error}); {follows}"
        return Finding(
            severity=severity, code=_BROKEN, message=message, where=where, expected=words, found=str(error)
        )
    return Finding(severity=Severity.OK, code="promise.kept", message=words, where=where)


def _syncs(place: Path) -> None:
    (place / "synced").write_bytes(b"x")
    fsync_file(place / "synced")
    fsync_folder(place)


def _links(place: Path) -> None:
    (place / "one").write_bytes(b"x")
    os.link(place / "one", place / "two")
    with contextlib.suppress(FileExistsError):
        os.link(place / "one", place / "two")
        raise OSError("a second link replaced the first")


def _renames(place: Path) -> None:
    (place / "old").mkdir()
    (place / "old").rename(place / "new")
    if (place / "old").exists() or not (place / "new").is_dir():
        raise OSError("the folder has its old name")


def _locks(place: Path) -> None:
    (place / "lock").write_bytes(b"")
    with (place / "lock").open("rb") as one, (place / "lock").open("rb") as other:
        fcntl.flock(one, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
            raise OSError("two had the lock at once")


_TRIALS: Final = (
    (
        "what is written can be brought to the disk (fsync)",
        _syncs,
        "after a power cut a backup that was reported may be gone: take another file system",
    ),
    (
        "a file can get its name without replacing another (link)",
        _links,
        "backups cannot be published there: take a file system with hard links (not FAT or exFAT)",
    ),
    (
        "a folder can be renamed",
        _renames,
        "backups of folders cannot be published there: take another file system",
    ),
    (
        "locks hold (flock)",
        _locks,
        "runs of several machines on this folder are not kept apart; those of this machine are, by its state folder",
    ),
)
