"""A consistent copy of a live SQLite database at the speed of the disk, with the source untouched.

The plan: hold a read transaction through SQLite, so that its locks protect the snapshot; have SQLite look at the
source in it, so that its complaints about the copy can be told from the source's own; copy the raw file beside it; put the log's pages on top (WAL mode only); let the source go while the rest is still hashed.
Whatever does not fit that plan (no access to `-shm`, a giant log, a file system without POSIX locks) goes
through SQLite's own backup API. Both ways give a plain database file. Why: docs/adr/0004.

A trap that shapes this file: POSIX locks belong to the process, and closing *any* descriptor of a file drops
all of its locks on it (https://www.sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_).
So every raw descriptor of the source stays open until SQLite's connection is closed.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ops.errors import SourceError
from ops.fsio.copy import ShortSourceError, copy_with_sha256, sha256_of
from ops.fsio.durable import fsync_descriptor
from ops.model.manifest import Copied, FileEntry
from ops.run.progress import Progress
from ops.sources.sqlite.complain import ForeignKeys
from ops.sources.sqlite.connection import connect_live, require_database_file, translated_errors
from ops.sources.sqlite.look import look_at_source
from ops.sources.sqlite.wal import Overlay, UnstableLogError, read_overlay


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureOptions:
    """How to capture: seconds to wait for a lock, and whether the raw copy may be used.

    `foreign_keys`, `asked`: how the source itself is looked at, see `look_at_source`.
    """

    busy_timeout_s: float
    raw_copy: bool = True
    foreign_keys: ForeignKeys = "check"
    asked: bool = False


def capture_database(
    path: Path, into: Path, options: CaptureOptions, clock: Callable[[], datetime], progress: Progress
) -> Copied:
    """Fill the empty file `into` with the database at `path` as it was at one moment.

    Raises SourceError with a code for each way in which a source can be unusable; OSError when `into` can
    not be written (the caller knows what a full disk means).
    """
    path = Path(os.path.realpath(path))
    require_database_file(path)
    if options.raw_copy and (captured := _capture_raw(path, into, options, clock, progress)):
        return captured
    return _capture_through_api(path, into, options, clock, progress)


def probe_database(path: Path, *, timeout_s: float) -> str:
    """The journal mode of the database at `path`, after a snapshot of it could be taken.

    Raises SourceError for all that would stop a capture at its beginning.
    """
    path = Path(os.path.realpath(path))
    require_database_file(path)
    had_log = _beside(path, "-wal").exists()
    with _snapshot_connection(path, CaptureOptions(busy_timeout_s=timeout_s)) as connection:
        (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    if not had_log:
        remove_empty_log(path)
    return f"journal mode {mode}"


def _capture_raw(
    path: Path, into: Path, options: CaptureOptions, clock: Callable[[], datetime], progress: Progress
) -> Copied | None:
    had_log = _beside(path, "-wal").exists()
    with contextlib.ExitStack() as descriptors:
        source = _open(descriptors, path)
        with _snapshot_connection(path, options) as connection:
            moment = clock()
            _require_same_file(source, path)
            plan = _plan_raw_copy(connection, descriptors, path)
            if plan is not None:
                progress.step("looking at the source")
                complaints = look_at_source(connection, path, options.foreign_keys, asked=options.asked)
                digest = _copy_planned(plan, source, into, connection.close, progress)
    if not had_log:
        remove_empty_log(path)
    if plan is None:
        return None
    method = "raw" if plan.overlay is None else "raw+wal"
    return Copied(FileEntry(into.name, plan.size, digest), moment, method, tuple(complaints))


@contextlib.contextmanager
def _snapshot_connection(path: Path, options: CaptureOptions) -> Iterator[sqlite3.Connection]:
    """A read-only connection inside the read transaction whose locks protect the copy."""
    with translated_errors(path, "opening"):
        connection = connect_live(path, timeout_s=options.busy_timeout_s)
    try:
        with translated_errors(path, "starting to read"):
            connection.execute("BEGIN")
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        yield connection
    finally:
        connection.close()


@dataclass(frozen=True, slots=True)
class _RawPlan:
    size: int
    overlay: Overlay | None
    log: int


def _plan_raw_copy(
    connection: sqlite3.Connection, descriptors: contextlib.ExitStack, path: Path
) -> _RawPlan | None:
    """How to copy the snapshot that `connection` holds from the raw files; None when that can not be done."""
    with translated_errors(path, "reading the header"):
        (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
        (page_size,) = connection.execute("PRAGMA page_size").fetchone()
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
    if mode != "wal":
        return _RawPlan(pages * page_size, None, -1)
    shm, wal = _beside(path, "-shm"), _beside(path, "-wal")
    if not os.access(shm, os.R_OK | os.W_OK):
        # SQLite may then keep a private index in memory, and the shared one says nothing about our snapshot.
        return None
    index, log = _open(descriptors, shm), _open(descriptors, wal)
    try:
        overlay = read_overlay(index, log, page_size=page_size)
    except UnstableLogError:
        return None
    _require_same_file(index, shm)
    _require_same_file(log, wal)
    if overlay is None:
        return _RawPlan(pages * page_size, None, log)
    return _RawPlan(overlay.pages * page_size, overlay, log)


def _copy_planned(
    plan: _RawPlan, source: int, into: Path, release: Callable[[], None], progress: Progress
) -> str:
    """Copy by the plan; the SHA-256 of the result. `release` is called when the source is needed no more."""
    progress.step("copying", plan.size)
    target = os.open(into, os.O_RDWR | os.O_CLOEXEC)

    def let_go() -> None:
        release()
        # The disk writes while the other thread still hashes: both end at nearly the same time.
        fsync_descriptor(target)

    try:
        return copy_with_sha256(
            source,
            target,
            plan.size,
            amend=None if plan.overlay is None else _amend_from_log(plan.overlay, plan.log, target),
            copied=let_go,
            progress=progress,
        )
    except ShortSourceError as error:
        message = "the database file became shorter while it was read"
        hint = "something other than SQLite writes this file; find out what, then retry"
        raise SourceError(message, code="source.changed", hint=hint) from error
    finally:
        os.close(target)


def _amend_from_log(overlay: Overlay, log: int, target: int) -> Callable[[int, int], None]:
    """A function that puts the log's pages of one part of the target over what the file had there."""
    size, frames = overlay.page_size, overlay.frames
    waiting = sorted((page for page in frames if page <= overlay.pages), reverse=True)

    def amend(offset: int, length: int) -> None:
        while waiting and (waiting[-1] - 1) * size < offset + length:
            page = waiting.pop()
            content = os.pread(log, size, frames[page])
            os.pwrite(target, content, (page - 1) * size)

    return amend


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


def remove_empty_log(path: Path) -> None:
    """Let SQLite remove the empty `-wal` and its `-shm` that reading a database at rest leaves behind.

    Only an ordinary closing may do that: it knows under locks whether somebody else has come meanwhile.
    """
    log = _beside(path, "-wal")
    with contextlib.suppress(OSError, sqlite3.Error):
        if log.exists() and log.stat().st_size == 0:
            with contextlib.closing(connect_live(path, timeout_s=0, writable=True)) as connection:
                connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()


def _open(descriptors: contextlib.ExitStack, path: Path) -> int:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        message = f"{path} can not be read: {error.strerror}"
        raise SourceError(message, hint="run as a user who may read it") from error
    descriptors.callback(os.close, descriptor)
    return descriptor


def _require_same_file(descriptor: int, path: Path) -> None:
    """Raise SourceError when `path` is another file than the one that was opened."""
    if not _is_same_file(descriptor, path):
        message = f"{path} was replaced while it was being opened"
        raise SourceError(message, code="source.changed", hint="run it again when the replacement is done")


def _is_same_file(descriptor: int, path: Path) -> bool:
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    return os.path.samestat(os.fstat(descriptor), there)


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)
