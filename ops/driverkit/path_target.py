"""A source that lives at a path, and the place that a restore of it writes. What such kinds share."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ops.errors import RefusedError
from ops.fsio.space import require_room_to_restore
from ops.model.series import Identified, Whereabouts


def path_whereabouts(path: Path) -> Whereabouts:
    """Return the path as it is configured, without steps that lead nowhere."""
    return Whereabouts("path", os.path.normpath(path), real=os.path.realpath(path))


def identify_path(path: Path) -> Identified:
    """Return the path as the file system spells it, links followed; of what is not there the part that is."""
    return Identified(os.path.realpath(path))


def real_path(path: str | Path) -> Path:
    """Return the path behind symbolic links: what is swapped must be the thing itself, not a link to it."""
    return Path(os.path.realpath(path))


def is_same_path(path: Path, location: str) -> bool:
    """Return whether both are one file or folder, by device and inode, or by real path where one is not there."""
    try:
        return Path(location).samefile(path)
    except OSError:
        return os.path.realpath(location) == os.path.realpath(path)


def free_path(path: Path) -> Path:
    """Return the path, or the next one that is not taken: two restores may fall into one second."""
    number, free = 1, path
    while os.path.lexists(free):
        number += 1
        free = path.with_name(f"{path.name}-{number}")
    return free


def require_parent(path: Path) -> None:
    """Return when the folder around `path` is there; raises RefusedError."""
    if not path.parent.is_dir():
        hint = "make it first, with the owner it needs"
        raise RefusedError(f"folder {path.parent} is not there", hint=hint)


@dataclass(frozen=True, slots=True)
class PathTarget:
    """What targets at a path have in common; `path` is a real path."""

    path: Path

    @property
    def location(self) -> str:
        """Return the path."""
        return str(self.path)

    def exists(self) -> bool:
        """Return whether anything is there."""
        return self.path.exists()

    def build_folder(self, scratch: Path) -> Path:
        """Return the folder around it: a rename needs one file system. `scratch` may be on another."""
        del scratch
        return self.path.parent

    def require_room(self, size: int) -> None:
        """Return when the new data fits beside the old; raises SpaceError."""
        require_room_to_restore(self.path if self.path.is_dir() else self.path.parent, size)
