"""Staged files that tell who writes them, and what is left of those whose writer is gone.

In a folder where several machines write, a lock may be seen by one of them only, and other programs may have files of
such names. So a staged name carries a mark of the process that writes it:
`.tmp-<name>.drillbook-<system>-<process>-<start>-<number>`. What has none is never removed.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import itertools
import os
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from ops.errors import OpsError
from ops.fsio.atomic import STAGED_PREFIX, StagedFile, claimed_from_dead, staged_at
from ops.fsio.locks import is_held
from ops.fsio.remove import remove_tree
from ops.fsio.writer_marks import FOREIGN_AFTER, Writer

_MARK: Final = ".drillbook-"
_MARKED: Final = re.compile(
    rf"{re.escape(STAGED_PREFIX)}(?P<name>.+){re.escape(_MARK)}(?P<writer>[0-9a-f]{{8}}-\d+-\d+)-\d+",
    re.DOTALL,
)
_NUMBERS: Final = itertools.count(1)
"""No two staged files of one process have one name."""
_LONGEST_NAME: Final = 255
_CONTINUED: Final = bytes(range(0x80, 0xC0))
"""Bytes with which no character begins in UTF-8."""


def marked_staged(folder: Path, name: str, *, as_folder: bool = False) -> AbstractContextManager[StagedFile]:
    """Return a context with a new empty staged file (or folder) for `name` in `folder` that carries our mark.

    See `ops.fsio.atomic.staged_file`. Several may stage the same name: the first that publishes it has it.
    """
    return staged_at(folder / marked_name(name), folder=as_folder)


@contextlib.contextmanager
def staged_beside(folder: Path, name: str) -> Iterator[StagedFile]:
    """Yield a staged file for `name` in a folder of other people, after what dead runs left of that name is removed.

    Nothing else that begins with `.tmp-` is touched. Raises as `ops.fsio.atomic.staged_file` does.
    """
    _remove_dead(folder, name)
    with marked_staged(folder, name) as staged:
        yield staged


def _remove_dead(folder: Path, name: str) -> None:
    clock = FolderClock(folder)
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        left = [Path(entry.path) for entry in entries if name_in_mark(entry.name) == name]
        for path in left:
            with claimed_leftover(path, clock) as claimed:
                if claimed:
                    remove_tree(path)


def marked_name(name: str) -> str:
    """Return what a file to be called `name` is called while this process writes it; of a long name the end stays."""
    mark = f"{_MARK}{Writer.here()}-{next(_NUMBERS)}"
    room = _LONGEST_NAME - len(STAGED_PREFIX) - len(mark)
    raw = os.fsencode(name)
    if len(raw) > room:
        digest = hashlib.sha256(raw).hexdigest()[:8]
        name = f"{digest}~{os.fsdecode(raw[len(digest) + 1 - room :].lstrip(_CONTINUED))}"
    return f"{STAGED_PREFIX}{name}{mark}"


def is_marked_by_us(name: str) -> bool:
    """Return whether this very process stages the file of that name."""
    found = _MARKED.fullmatch(name)
    return found is not None and Writer.parse(found["writer"]) == Writer.here()


def name_in_mark(name: str) -> str | None:
    """Return what a staged file is to be called (of a long name the end); None for one without a mark."""
    found = _MARKED.fullmatch(name)
    return found["name"] if found is not None and Writer.parse(found["writer"]) else None


@dataclass(frozen=True, slots=True)
class Leftover:
    """A staged file or folder that nobody is known to write: its name, its bytes, whether it carries a mark of ours."""

    name: str
    size: int
    ours: bool


class FolderClock:
    """How long something in a folder has not changed, by the clock of the file system that it lies on."""

    def __init__(self, folder: Path) -> None:
        self._now = functools.cache(lambda: _time_in(folder))

    def unchanged_for(self, path: Path) -> timedelta:
        """Return the time since the last change of `path`, of a folder the last of all in it; nothing where it is not told."""
        try:
            last = max((one.lstat().st_mtime for one in (path, *path.rglob("*"))), default=None)
        except OSError:
            return timedelta()
        now = self._now()
        return timedelta() if last is None or now is None else timedelta(seconds=now - last)


def _time_in(folder: Path) -> float | None:
    # Of a file that is made now: on a network the server's clock sets that time, not ours.
    try:
        with marked_staged(folder, "clock") as probe:
            return os.fstat(probe.descriptor).st_mtime
    except OpsError:
        return None


@contextlib.contextmanager
def claimed_leftover(path: Path, clock: FolderClock) -> Iterator[bool]:
    """Yield whether the staged file at `path` is ours and its writer gone; while the block runs it is locked.

    Of this boot and machine: when the process is gone. Of any other: after seven unchanged days, because it may write at
    this moment where its lock is not seen. What carries no mark is not ours.
    """
    found = _MARKED.fullmatch(path.name)
    writer = Writer.parse(found["writer"]) if found else None
    gone = None if writer is None else writer.is_gone
    if writer is None or gone is False or (gone is None and clock.unchanged_for(path) < FOREIGN_AFTER):
        yield False
        return
    with claimed_from_dead(path) as claimed:
        yield claimed


def leftover_at(path: Path, clock: FolderClock) -> Leftover | None:
    """Return what a staged file at `path` is when nobody here writes it; None while somebody does, and when it is gone."""
    marked = _MARKED.fullmatch(path.name)
    writer = Writer.parse(marked["writer"]) if marked else None
    if writer is not None and (writer.is_gone is False or clock.unchanged_for(path) >= FOREIGN_AFTER):
        return None  # at work, or removed by the next run
    if is_held(path):
        return None
    try:
        size = sum(one.lstat().st_size for one in (path, *path.rglob("*")) if not one.is_dir())
    except OSError:
        size = 0
    return Leftover(path.name, size, ours=writer is not None)
