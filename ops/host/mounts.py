"""On which file system a folder lies, in words that stay the same over reboots.

Source of the format: https://man7.org/linux/man-pages/man5/proc_pid_mountinfo.5.html
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_TABLE: Final = Path("/proc/self/mountinfo")
_OCTAL: Final = re.compile(r"\\([0-7]{3})")
_FIELDS_BEFORE: Final = 6


@dataclass(frozen=True, slots=True)
class Mount:
    """A mounted file system: where, its type, what is mounted and which part of it; and the number that it says of itself.

    Without a table of mounts `device` is all that is known, and the rest empty: a number that may change with a reboot.
    """

    point: str = ""
    type: str = ""
    source: str = ""
    root: str = ""
    number: int = 0
    device: int = 0

    def __str__(self) -> str:
        """Say it to people."""
        return f"{self.type} of {self.source} at {self.point}" if self.point else f"device {self.device}"

    def is_same(self, other: Mount) -> bool:
        """Return whether both are one file system, at one place."""
        if not (self.point and other.point):
            return self.device == other.device
        mine = (self.point, self.type, self.source, self.root, self.number)
        return mine == (other.point, other.type, other.source, other.root, other.number)


def mount_of(folder: Path) -> Mount | None:
    """Return the file system on which `folder` lies, or would lie; None where the system does not say."""
    place = _nearest(folder)
    try:
        device, number = place.stat().st_dev, os.statvfs(place).f_fsid
    except OSError:
        return None
    best = Mount(device=device)
    for mount in _mounts():
        inside = place == Path(mount[0]) or Path(mount[0]) in place.parents
        # Of two on one place the later one lies above.
        if inside and len(mount[0]) >= len(best.point):
            best = Mount(*mount, number, device)
    return best


def device_of(folder: Path) -> int | None:
    """Return the number of the device on which `folder` lies, or would lie; None where it cannot be told."""
    try:
        return _nearest(folder).stat().st_dev
    except OSError:
        return None


def _nearest(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there, without links."""
    real = Path(os.path.realpath(folder))
    return next((place for place in (real, *real.parents) if place.exists()), real)


def _mounts() -> list[tuple[str, str, str, str]]:
    """Mount point, type, source and root of each line."""
    try:
        lines = _TABLE.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        before, _, after = line.partition(" - ")
        fields, rest = before.split(" "), after.split(" ")
        if len(fields) >= _FIELDS_BEFORE and len(rest) > 1:
            root, point = _plain(fields[3]), _plain(fields[4])
            found.append((point, rest[0], _plain(rest[1]), root))
    return found


def _plain(text: str) -> str:
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), text)
