"""Who has a database open, asked of the operating system and of SQLite's locks. Asks only, changes nothing."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_ACCESS_MODE: Final = 0o3


@dataclass(frozen=True, slots=True)
class Occupant:
    """A process that has one of a database's files open."""

    pid: int
    name: str
    writing: bool

    def __str__(self) -> str:
        """One phrase for a message."""
        return f"{self.name} (pid {self.pid})"


def database_files(path: Path) -> list[Path]:
    """The files that make up the database at `path`: the file itself and what SQLite keeps beside it."""
    return [path, *(path.with_name(path.name + suffix) for suffix in ("-wal", "-shm", "-journal"))]


def find_occupants(path: Path) -> list[Occupant]:
    """Other processes that have the database at `path` open, as far as this user may see them (Linux: /proc).

    Where there is no /proc the answer is empty, and SQLite's locks are the only witness.
    """
    identities = set()
    for file in database_files(path):
        with contextlib.suppress(OSError):
            status = file.stat()
            identities.add((status.st_dev, status.st_ino))
    return find_holders(identities)


def find_holders(identities: set[tuple[int, int]]) -> list[Occupant]:
    """Other processes that have one of the files with these (device, inode) pairs open."""
    occupants = []
    for process in _PROC.glob("[0-9]*"):
        pid = int(process.name)
        if pid != os.getpid() and (writing := _has_open(process, identities)) is not None:
            occupants.append(Occupant(pid, name_of(process), writing))
    return occupants


def _has_open(process: Path, identities: set[tuple[int, int]]) -> bool | None:
    """Whether the process has one of the files open, and then for writing; None when it has not."""
    found: bool | None = None
    with contextlib.suppress(OSError):
        for descriptor in (process / "fd").iterdir():
            with contextlib.suppress(OSError):
                status = descriptor.stat()
                if (status.st_dev, status.st_ino) in identities:
                    found = bool(found) or _for_writing(process, descriptor.name)
    return found


def _for_writing(process: Path, descriptor: str) -> bool:
    for line in (process / "fdinfo" / descriptor).read_text().splitlines():
        if line.startswith("flags:"):
            return int(line.split()[1], 8) & _ACCESS_MODE != os.O_RDONLY
    return True


def name_of(process: Path) -> str:
    """Return the name of the process whose folder in /proc is given."""
    try:
        return (process / "comm").read_text(errors="replace").strip()
    except OSError:
        return "?"
