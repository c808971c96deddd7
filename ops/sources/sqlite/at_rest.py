"""A copy of a database in WAL mode that nobody has open, without a file beside it.

To read such a database SQLite makes `-wal` and `-shm` beside it, or cannot read it at all where it may not (a read-only
mount). What another user's backup leaves there the application cannot write, and so not its database. So the file is read as
one that does not change, and afterwards it must not have changed.
"""

from __future__ import annotations

import contextlib
import os
import random
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from ops.errors import SourceError
from ops.model.findings import Finding
from ops.model.manifest import FileEntry
from ops.run.progress import Progress
from ops.sources.sqlite.complain import ForeignKeys
from ops.sources.sqlite.connection import (
    Extensions,
    connect_still,
    require_database_file,
    translated_errors,
)
from ops.sources.sqlite.copied import Copied
from ops.sources.sqlite.look import look_at_source
from ops.sources.sqlite.own_view import OwnView, own_view, require_seen
from ops.sources.sqlite.raw_copy import RawPlan, copy_planned, open_to_read, require_same_file
from ops.sources.sqlite.schema import is_wal
from ops.sources.sqlite.wal import UnstableLogError, recovered_overlay

_SETTLED_AFTER_S: Final = 2.0
"""The coarsest clock of a file system (FAT): whatever was written earlier than that has another time than what comes."""


@dataclass(frozen=True, slots=True)
class Rest:
    """The state of the files of a database that nobody has open; equal later where nobody came meanwhile."""

    marks: tuple[tuple[str, int, int, int, int] | None, ...]
    has_log: bool


@dataclass(frozen=True, slots=True)
class Look:
    """How the source is looked at while it is copied, see `look_at_source`; `extensions`: what SQLite loads for that."""

    foreign_keys: ForeignKeys
    extensions: Extensions = ()
    asked: bool = False


def at_rest(path: Path) -> Rest | None:
    """Return the state of the database at `path`, a real path, when it is in WAL mode, nobody has it open, and it is to be read so.

    That is where SQLite would leave files that the application cannot write, or cannot make any. None otherwise. Waits until
    what was written last is old enough that a change would show, two seconds at most. Raises SourceError.
    """
    if not is_wal(require_database_file(path)) or _leaves_usable_files(path):
        return None
    if (found := _rest(path)) is None:
        return None
    young = _SETTLED_AFTER_S - (time.time() - path.stat().st_mtime)
    if young > 0:
        time.sleep(min(young, _SETTLED_AFTER_S))
        found = _rest(path)
    return found


def is_still(path: Path, rest: Rest) -> bool:
    """Return whether the database at `path` is as it was."""
    return _rest(path) == rest


def _leaves_usable_files(path: Path) -> bool:
    """Whether what SQLite makes beside the file belongs to its owner: ours, or root's, who gives them away."""
    if not os.access(path.parent, os.W_OK):
        return False
    # Root's are given to the owner of the file by SQLite itself.
    return os.geteuid() in {0, path.stat().st_uid}


def _rest(path: Path) -> Rest | None:
    names = [path, *(path.with_name(path.name + suffix) for suffix in ("-wal", "-journal"))]
    if path.with_name(path.name + "-shm").exists():
        return None  # somebody has it open, or had when the machine stopped: SQLite knows
    marks = tuple(map(_mark, names))
    if marks[2] is not None and marks[2][2]:
        return None
    return Rest(marks, has_log=marks[1] is not None and marks[1][2] > 0)


def _mark(path: Path) -> tuple[str, int, int, int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return path.name, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def copy_at_rest(  # noqa: PLR0913, PLR0917 - a source, a copy, and how the source is looked at
    path: Path,
    rest: Rest,
    into: Path,
    look: Look,
    clock: Callable[[], datetime],
    progress: Progress,
) -> Copied | None:
    """Fill `into` with the database at `path`; None, and `into` empty, when it changed meanwhile or only SQLite can tell.

    Raises SourceError.
    """
    try:
        copied = _copy(path, rest, into, look, clock, progress)
    except SourceError:
        # What was read while somebody wrote says nothing.
        if is_still(path, rest):
            raise
        copied = None
    except UnstableLogError:
        # A log that is not of this file, or too large to be mapped: SQLite decides what it says.
        copied = None
    if copied is None or not is_still(path, rest):
        os.truncate(into, 0)
        return None
    return copied


def _copy(  # noqa: PLR0913, PLR0917 - as above
    path: Path,
    rest: Rest,
    into: Path,
    look: Look,
    clock: Callable[[], datetime],
    progress: Progress,
) -> Copied:
    complaints, view = list[Finding](), None
    with contextlib.ExitStack() as descriptors:
        source = open_to_read(descriptors, path)
        require_same_file(source, path)
        moment = clock()
        with translated_errors(path, "opening"):
            connection = descriptors.enter_context(contextlib.closing(connect_still(path, look.extensions)))
        plan = _plan(connection, descriptors, path, rest, moment)
        if plan.overlay is None:
            progress.step("looking at the source")
            complaints = look_at_source(connection, path, look.foreign_keys, asked=look.asked)
            view = _seen(connection, path)
        digest = copy_planned(plan, source, into, connection.close, progress)
    if view is not None:
        require_seen(into, view, look.extensions)
    return Copied(FileEntry(into.name, plan.size, digest), plan.moment, plan.method, tuple(complaints))


def _seen(connection: sqlite3.Connection, path: Path) -> OwnView:
    with translated_errors(path, "reading"):
        return own_view(connection, random.SystemRandom())


def _plan(
    connection: sqlite3.Connection,
    descriptors: contextlib.ExitStack,
    path: Path,
    rest: Rest,
    moment: datetime,
) -> RawPlan:
    """The file as it is, or with what a log holds that the last application left: SQLite would read it so."""
    with translated_errors(path, "reading the header"):
        (page_size,) = connection.execute("PRAGMA page_size").fetchone()
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
    if rest.has_log:
        log = open_to_read(descriptors, path.with_name(path.name + "-wal"))
        overlay = recovered_overlay(log, page_size=page_size)
        if overlay is not None:
            return RawPlan(moment, overlay.pages * page_size, overlay, log)
    return RawPlan(moment, pages * page_size)


def probe_at_rest(path: Path) -> None:
    """Return when the database at `path` can be read as it is; raises SourceError."""
    with translated_errors(path, "opening"), contextlib.closing(connect_still(path)) as connection:
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
