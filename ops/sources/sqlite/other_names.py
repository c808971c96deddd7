"""Whether the application keeps the log of a database where we look for it: beside the name that is configured.

SQLite looks for `-wal` beside the name by which a file was opened. A hard link, or a file that is mounted by itself into a
container, has two names and so two logs, and what was committed into the other one is in no copy.
Source: https://www.sqlite.org/howtocorrupt.html#_multiple_links_to_the_same_file
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

from ops.errors import SourceError
from ops.host.mounts import mount_of
from ops.sources.sqlite.connection import require_database_file
from ops.sources.sqlite.open_by import Occupant, name_of
from ops.sources.sqlite.schema import is_wal

OtherNames = Literal["refuse", "accept"]
_PROC: Final = Path("/proc")
_LOG: Final = "-wal"


def require_own_log(path: Path, other_names: OtherNames) -> None:
    """Return when the log of the database at `path`, a real path, lies beside it, as far as can be seen.

    Raises SourceError (`source.log_elsewhere`): for a process that has another log of this very file open, always; for a
    second name that somebody may use, unless it is accepted. Only WAL mode has logs that matter here.
    """
    if not is_wal(require_database_file(path)):
        return
    status, beside = path.stat(), path.with_name(path.name + _LOG)
    at_home = False
    for process, name, log in _opened((status.st_dev, status.st_ino)):
        # After its process was seen: an application that has just come makes the log only then.
        if log != _identity(beside):
            raise _elsewhere(path, process, name)
        at_home = True
    if at_home or other_names == "accept" or _has_content(beside):
        return
    why = ""
    if status.st_nlink > 1:
        why = f"it has {status.st_nlink} names (hard links)"
    elif (mount := mount_of(path)) is not None and mount.point == str(path):
        why = "it is mounted by itself, without the folder that it lies in"
    if why:
        raise _doubtful(path, why)


def _elsewhere(path: Path, process: Occupant, name: str) -> SourceError:
    message = (
        f"{process} has {path} open as {name}, and its log {name}{_LOG} is not the one beside {path}: what was committed"
        " there would be missing"
    )
    hint = "name the file as the application does, or give both the whole folder (mount the folder, not the file)"
    return SourceError(message, code="source.log_elsewhere", hint=hint)


def _doubtful(path: Path, why: str) -> SourceError:
    message = (
        f"{path} is in WAL mode, and {why}: an application that uses it by another name keeps its log there, where it"
        " cannot be seen, and what was committed would be missing"
    )
    hint = (
        "name the file as the application does, or mount its whole folder; where nobody writes it by another name:"
        ' other_names = "accept" in the table of the source'
    )
    return SourceError(message, code="source.log_elsewhere", hint=hint)


def _opened(identity: tuple[int, int]) -> Iterator[tuple[Occupant, str, tuple[int, int]]]:
    """Other processes that have this file and a log of it open: which, by what name, and the log's device and inode.

    As far as this user may see them (Linux: /proc).
    """
    for process in _PROC.glob("[0-9]*"):
        pid = int(process.name)
        with contextlib.suppress(OSError):
            if pid != os.getpid():
                for name, log in _logs(process / "fd", identity):
                    yield Occupant(pid, name_of(process), writing=True), name, log


def _logs(descriptors: Path, identity: tuple[int, int]) -> Iterator[tuple[str, tuple[int, int]]]:
    names, logs = set[str](), dict[str, tuple[int, int]]()
    for descriptor in descriptors.iterdir():
        with contextlib.suppress(OSError):
            status = descriptor.stat()
            if (status.st_dev, status.st_ino) == identity:
                names.add(str(descriptor.readlink()))
                continue
            # A log that was removed below its application is named so, and is not the one beside the file.
            link = str(descriptor.readlink()).removesuffix(" (deleted)")
            if link.endswith(_LOG):
                logs[link] = (status.st_dev, status.st_ino)
    return iter([(name, logs[name + _LOG]) for name in sorted(names) if name + _LOG in logs])


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _has_content(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except OSError:
        return False
