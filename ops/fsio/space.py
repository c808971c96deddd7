"""Free space, asked before the first byte is written."""

from __future__ import annotations

import shutil
from pathlib import Path

from ops.errors import SpaceError
from ops.units import format_size


def free_bytes(folder: Path) -> int:
    """Bytes that this user may still write under `folder`, or under its nearest existing parent."""
    for place in (folder, *folder.absolute().parents):
        if place.is_dir():
            return shutil.disk_usage(place).free
    return 0


def require_room_to_restore(folder: Path, size: int) -> None:
    """Return when `folder` has room for a restored copy of `size` bytes and a tenth more.

    No larger reserve than that: in an emergency a restore that just fits must go ahead. Raises SpaceError.
    """
    require_room(folder, room_to_restore(size))


def require_room(folder: Path, needed: int) -> None:
    """Return when `folder` has `needed` bytes for a restored copy; raises SpaceError."""
    require_space(folder, needed, min_free=needed, purpose="a restored copy")


def room_to_restore(size: int) -> int:
    """Bytes that must be free to restore a backup of `size` bytes."""
    return size + size // 10


def require_space(folder: Path, estimate: int, *, min_free: int | None, purpose: str) -> None:
    """Return when `folder` has room for `estimate` bytes and the reserve on top.

    `min_free` is what must be free in all before the first byte; None means twice the estimate.
    Raises SpaceError that says what is there, what is needed, and for what.
    """
    needed = 2 * estimate if min_free is None else max(min_free, estimate)
    free = free_bytes(folder)
    if free < needed:
        message = (
            f"{format_size(free)} free in {folder}, {format_size(needed)} wanted for {purpose}"
            f" (estimate {format_size(estimate)})"
        )
        hint = "free some space (runbook: Disk full); min_free in a source's table sets the reserve of its backups"
        raise SpaceError(message, hint=hint)
