"""Files that another program writes into a folder, told as soon as it has closed them.

Source: inotify(7). Where the system has no such thing, nothing is told, and whoever asked looks when all is done.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

_CLOSE_WRITE: Final = 0x8
_HEADER: Final = struct.Struct("iIII")
_BUFFER: Final = 1 << 16


@contextlib.contextmanager
def telling_closed(folder: Path, done: Callable[[Path], None]) -> Iterator[None]:
    """Call `done` in a thread of its own with each file of `folder` that was written and closed while the block runs.

    One that is written again is told again. An error of `done` is raised when the block ends without one of its own.
    """
    descriptor = _watch(folder)
    if descriptor is None:
        yield
        return
    ended_read, ended_write = os.pipe2(os.O_CLOEXEC)
    failed: list[BaseException] = []

    def listen() -> None:
        try:
            while True:
                ready, _, _ = select.select([descriptor, ended_read], [], [])
                if descriptor in ready:
                    for name in _names(os.read(descriptor, _BUFFER)):
                        done(folder / name)
                elif ended_read in ready:
                    return
        except BaseException as error:  # noqa: BLE001 - raised where the block ends
            failed.append(error)

    thread = threading.Thread(target=listen, name="closed files", daemon=True)
    thread.start()
    try:
        yield
    finally:
        os.close(ended_write)
        thread.join()
        os.close(descriptor)
        os.close(ended_read)
    if failed:
        raise failed[0]


def _watch(folder: Path) -> int | None:
    """A descriptor that tells of closed files; None where there is no such thing."""
    library = ctypes.CDLL(None, use_errno=True)
    begin, add = getattr(library, "inotify_init1", None), getattr(library, "inotify_add_watch", None)
    if begin is None or add is None:
        return None
    descriptor = int(begin(os.O_CLOEXEC | os.O_NONBLOCK))
    if descriptor < 0:
        return None
    if add(descriptor, os.fsencode(folder), _CLOSE_WRITE) < 0:
        os.close(descriptor)
        return None
    return descriptor


def _names(events: bytes) -> Iterator[str]:
    place = 0
    while place < len(events):
        _, _, _, length = _HEADER.unpack_from(events, place)
        place += _HEADER.size
        name = events[place : place + length].rstrip(b"\0")
        place += length
        if name:
            yield os.fsdecode(name)
