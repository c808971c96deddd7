"""Bytes and names that are on the disk itself when a call returns."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


def fsync_descriptor(descriptor: int) -> None:
    """Return when the file's bytes are on the disk itself (macOS needs F_FULLFSYNC for that)."""
    full_sync = getattr(fcntl, "F_FULLFSYNC", None)
    if full_sync is not None:
        fcntl.fcntl(descriptor, full_sync)
    else:
        os.fsync(descriptor)


def fsync_file(path: Path) -> None:
    """Return when the bytes of the file at `path` are on the disk, whoever wrote them."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        fsync_descriptor(descriptor)
    finally:
        os.close(descriptor)


def fsync_folder(folder: Path) -> None:
    """Return when the names in `folder` are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
