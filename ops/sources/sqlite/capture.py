"""A consistent copy of a live SQLite database at the speed of the disk, with the source untouched.

The plan: hold a read transaction through SQLite, so that its locks protect the snapshot; have SQLite look at the
source in it, so that its complaints about the copy can be told from the source's own, and remember what it sees; copy the
raw file beside it; put the log's pages on top (WAL mode only); let the source go while the rest is still hashed; compare
the copy with what SQLite saw.
Whatever does not fit that plan (no access to `-shm`, a giant log, a file system without POSIX locks) goes
through SQLite's own backup API. Both ways give a plain database file. Why: docs/adr/0004.

A trap that shapes this file: POSIX locks belong to the process, and closing *any* descriptor of a file drops
all of its locks on it (https://www.sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_).
So every raw descriptor of the source stays open until SQLite's connection is closed.
"""

from __future__ import annotations

import contextlib
import os
import random
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from ops.errors import SourceError
from ops.fsio.copy import sha256_of
from ops.model.manifest import FileEntry, Measures
from ops.run.progress import Progress
from ops.sources.sqlite.at_rest import Look, at_rest, copy_at_rest, probe_at_rest
from ops.sources.sqlite.complain import ForeignKeys
from ops.sources.sqlite.connection import (
    Extensions,
    connect_live,
    decode_any,
    translated_errors,
)
from ops.sources.sqlite.copied import Copied
from ops.sources.sqlite.look import look_at_source
from ops.sources.sqlite.measures import measure_database
from ops.sources.sqlite.other_names import OtherNames, require_own_log
from ops.sources.sqlite.own_view import own_view, require_seen
from ops.sources.sqlite.raw_copy import RawPlan, copy_planned, open_to_read, require_same_file
from ops.sources.sqlite.read_live import leaving_nothing
from ops.sources.sqlite.wal import Commit, UnstableLogError, newest_commit, read_overlay

_TRIES: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureOptions:
    """How to capture: seconds to wait for a lock, and whether the raw copy may be used.

    `foreign_keys`, `asked`: how the source itself is looked at, see `look_at_source`; `other_names`: see `require_own_log`; `extensions`:
    what SQLite loads for that.
    """

    busy_timeout_s: float
    raw_copy: bool = True
    foreign_keys: ForeignKeys = "check"
    asked: bool = False
    other_names: OtherNames = "refuse"
    extensions: Extensions = ()


def capture_database(
    path: Path, into: Path, options: CaptureOptions, clock: Callable[[], datetime], progress: Progress
) -> Copied:
    """Fill the empty file `into` with the database at `path` as it was at one moment.

    Raises SourceError with a code for each way in which a source can be unusable; OSError when `into` can
    not be written (the caller knows what a full disk means).
    """
    path = Path(os.path.realpath(path))
    require_own_log(path, options.other_names)
    if (rest := at_rest(path)) is not None:
        look = Look(options.foreign_keys, options.extensions, asked=options.asked)
        if captured := copy_at_rest(path, rest, into, look, clock, progress):
            return captured
    if options.raw_copy and (captured := _capture_raw(path, into, options, clock, progress)):
        return captured
    return _capture_through_api(path, into, options, clock, progress)


def probe_database(path: Path, options: CaptureOptions) -> str:
    """The journal mode of the database at `path`, after a snapshot of it could be taken.

    Raises SourceError for all that would stop a capture at its beginning.
    """
    path = Path(os.path.realpath(path))
    require_own_log(path, options.other_names)
    if at_rest(path) is not None:
        probe_at_rest(path)
        return "journal mode wal, at rest"
    with leaving_nothing(path), _snapshot_connection(path, options) as connection:
        (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    return f"journal mode {mode}"


def _capture_raw(
    path: Path, into: Path, options: CaptureOptions, clock: Callable[[], datetime], progress: Progress
) -> Copied | None:
    plan, measured = None, list[Measures]()

    def measure() -> None:
        # Whoever measures the copy later says what is wrong with it.
        with contextlib.suppress(SourceError):
            measured.append(measure_database(into, options.extensions))

    with leaving_nothing(path), contextlib.ExitStack() as descriptors:
        source = open_to_read(descriptors, path)
        with _snapshot_connection(path, options) as connection:
            require_same_file(source, path)
            with contextlib.suppress(UnstableLogError):
                plan = _plan_raw_copy(connection, descriptors, path, clock)
            if plan is not None:
                progress.step("looking at the source")
                complaints = look_at_source(connection, path, options.foreign_keys, asked=options.asked)
                with translated_errors(path, "reading"):
                    view = own_view(connection, random.SystemRandom())
                digest = copy_planned(plan, source, into, connection.close, progress, measure)
    if plan is None:
        return None
    require_seen(into, view, options.extensions)
    return Copied(
        FileEntry(into.name, plan.size, digest),
        plan.moment,
        plan.method,
        tuple(complaints),
        next(iter(measured), None),
    )


@contextlib.contextmanager
def _snapshot_connection(path: Path, options: CaptureOptions) -> Iterator[sqlite3.Connection]:
    """A read-only connection inside the read transaction whose locks protect the copy."""
    with translated_errors(path, "opening"):
        connection = connect_live(path, timeout_s=options.busy_timeout_s, extensions=options.extensions)
    connection.text_factory = decode_any
    try:
        with translated_errors(path, "starting to read"):
            begin_to_read(connection)
        yield connection
    finally:
        connection.close()


def begin_to_read(connection: sqlite3.Connection) -> None:
    """Begin a read transaction: what `connection` reads from now on is of one moment. Raises sqlite3.Error."""
    connection.execute("BEGIN")
    connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()


def _plan_raw_copy(
    connection: sqlite3.Connection,
    descriptors: contextlib.ExitStack,
    path: Path,
    clock: Callable[[], datetime],
) -> RawPlan | None:
    """How to copy the snapshot that `connection` holds from the raw files; None when that cannot be done.

    In WAL mode it begins its transaction anew. Raises UnstableLogError when no snapshot of the log could be named.
    """
    moment = clock()
    with translated_errors(path, "reading the header"):
        (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
        (page_size,) = connection.execute("PRAGMA page_size").fetchone()
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
    if mode != "wal":
        return RawPlan(moment, pages * page_size)
    shm, wal = _beside(path, "-shm"), _beside(path, "-wal")
    if not os.access(shm, os.R_OK | os.W_OK):
        # SQLite may then keep a private index in memory, and the shared one says nothing about our snapshot.
        return None
    index, log = open_to_read(descriptors, shm), open_to_read(descriptors, wal)
    with translated_errors(path, "starting to read"):
        moment, commit = _begin_at_known_commit(connection, index, clock)
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
    overlay = read_overlay(log, commit, page_size=page_size)
    require_same_file(index, shm)
    require_same_file(log, wal)
    return RawPlan(moment, pages * page_size, overlay, log)


def _begin_at_known_commit(
    connection: sqlite3.Connection, index: int, clock: Callable[[], datetime]
) -> tuple[datetime, Commit]:
    """Begin the read transaction anew, so that the commit that it sees is known; a moment before that, and the commit.

    Raises UnstableLogError when others commit again and again just then, or the index is of a form that is not known.
    """
    for _ in range(_TRIES):
        connection.execute("COMMIT")
        moment, before = clock(), newest_commit(index)
        begin_to_read(connection)
        after = newest_commit(index)
        if before is not None and after is not None and before.is_same(after):
            return moment, after
    raise UnstableLogError


def _capture_through_api(
    path: Path, into: Path, options: CaptureOptions, clock: Callable[[], datetime], progress: Progress
) -> Copied:
    """The same through SQLite's online backup, all pages in one step: slower, and right wherever SQLite is.

    Source: https://www.sqlite.org/c3ref/backup_finish.html (one step holds one read transaction).
    """
    with (
        _snapshot_connection(path, options) as connection,
        contextlib.closing(_scratch_target(into)) as target,
    ):
        moment = clock()
        complaints = look_at_source(connection, path, options.foreign_keys, asked=options.asked)
        progress.step("copying (SQLite backup API)", path.stat().st_size)
        with translated_errors(path, "copying"):
            connection.backup(target, pages=-1)
    descriptor = os.open(into, os.O_RDONLY | os.O_CLOEXEC)
    try:
        progress.step("hashing", os.fstat(descriptor).st_size)
        digest, size = sha256_of(descriptor, progress=progress)
    finally:
        os.close(descriptor)
    return Copied(FileEntry(into.name, size, digest), moment, "backup-api", tuple(complaints))


def _scratch_target(into: Path) -> sqlite3.Connection:
    target = connect_live(into, timeout_s=0, writable=True)
    # The file is thrown away when anything fails, and fsynced by the store when nothing does.
    target.execute("PRAGMA journal_mode=OFF")
    target.execute("PRAGMA synchronous=OFF")
    return target


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)
