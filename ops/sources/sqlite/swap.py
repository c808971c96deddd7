"""Putting a verified database file in the place of a live one, without a moment in which neither is whole.

The order is what makes it safe:

1. nobody else has the target open (/proc), and SQLite gives us the exclusive lock, which it only does when no
   other connection is inside or, in WAL mode, exists at all;
2. under that lock the target's log is folded into it and removed by SQLite itself (journal_mode=DELETE), a
   hot journal was played back when it was opened: from here on the old file alone is the old database;
3. one rename puts the new file there. Killed before it: the old database, whole. Killed after it: the new one,
   and no `-wal`, `-shm` or `-journal` of the old one is left that could be replayed into it.

A target that SQLite cannot open any more is kept with all its files under another name first
(`keep_damaged`), and then replaced without asking SQLite.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

from ops.errors import RefusedError
from ops.fsio.atomic import publish, replace_durably, translated_write_errors
from ops.fsio.durable import fsync_file, fsync_folder
from ops.host.mounts import mount_of
from ops.model.findings import Finding, Severity
from ops.sources.sqlite.connection import connect_live, primary_code
from ops.sources.sqlite.open_by import Occupant, database_files, find_holders, find_occupants

_NOT_OURS = "refused.target_in_use"


def change_mark(path: Path) -> str | None:
    """A value that changes with every committed transaction on the database at `path`; None if it is unreadable.

    It is the state of the files themselves: every commit, in either journal mode, writes to one of them.
    """
    marks = []
    for file in database_files(path):
        # The shared index is rewritten by mere readers; it holds nothing that the log does not.
        if file.name.endswith("-shm"):
            continue
        try:
            status = file.stat()
        except FileNotFoundError:
            continue
        except OSError:
            return None
        # An empty log appears and disappears with readers.
        if status.st_size:
            marks.append(f"{file.name}:{status.st_ino}:{status.st_size}:{status.st_mtime_ns}")
    return "|".join(marks) or None


def settle(target: Path) -> None:
    """Let SQLite roll back what a dead writer left in a journal beside `target`; nothing where there is none.

    Any program that opens the database would do the same. What cannot be rolled back stays as it is.
    """
    with contextlib.suppress(OSError, sqlite3.Error):
        if target.with_name(target.name + "-journal").stat().st_size:
            with contextlib.closing(connect_live(target, timeout_s=0, writable=True)) as connection:
                connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()


def require_replaceable(path: Path) -> None:
    """Return when a rename can put another file in the place of `path`; raises RefusedError for a mount point."""
    mount = mount_of(path)
    if mount is not None and mount.point == str(path):
        message = f"{path} is mounted by itself, so that no other file can be put in its place"
        hint = "restore where the file really lies (its folder on the host), or to another file with --to"
        raise RefusedError(message, code="refused.target_mounted", hint=hint)


def require_idle(path: Path) -> None:
    """Return when no other process has the database at `path` open; raises RefusedError that names them."""
    if occupants := find_occupants(path):
        raise _in_use(path, occupants)


def _in_use(path: Path, occupants: list[Occupant]) -> RefusedError:
    who = ", ".join(map(str, occupants)) or "another process"
    hint = "stop the application first; it would go on writing into the old file, and that data would be lost"
    return RefusedError(f"{path} is open in {who}", code=_NOT_OURS, hint=hint)


def swap_file(built: Path, target: Path, *, unchanged_since: str | None, damaged: bool) -> list[Finding]:
    """Put `built` (same file system, verified, complete) in the place of `target` in one step.

    `unchanged_since` is the `change_mark` that the safety backup was made at. Raises RefusedError when the
    target is open elsewhere or has changed; then nothing was touched.
    """
    require_idle(target)
    if not target.exists():
        _move_strays_aside(target)
        findings = _take_over_owner(built, target.parent.stat(), mode=stat.S_IMODE(built.stat().st_mode))
        publish(built, target)
        return findings
    status = target.stat()
    findings = _take_over_owner(built, status, mode=stat.S_IMODE(status.st_mode))
    # Open until all is over, so that no new file gets its inode number. Closing it would drop SQLite's locks.
    with target.open("rb") as old:
        status = os.fstat(old.fileno())
        with _unlocked_damage(target) if damaged else _alone_with(target, unchanged_since):
            _swap(built, target)
        late = find_holders({(status.st_dev, status.st_ino)})
    if late:
        message = f"{', '.join(map(str, late))} opened the old file during the swap and must be restarted"
        findings.append(Finding(severity=Severity.WARNING, code="restore.late_opener", message=message))
    return findings


def _swap(built: Path, target: Path) -> None:
    with translated_write_errors(target):
        fsync_file(built)
    replace_durably(built, target)


@contextlib.contextmanager
def _alone_with(target: Path, unchanged_since: str | None) -> Iterator[None]:
    """Hold the old database exclusively, as a single file without log or journal, while the block runs.

    In exclusive locking mode the lock survives the end of a transaction, so nobody can come in between the
    look at the change mark, the folding in of the log, and the swap.
    Source: https://www.sqlite.org/pragma.html#pragma_locking_mode
    """
    connection = connect_live(target, timeout_s=0, writable=True)
    try:
        connection.execute("PRAGMA locking_mode=EXCLUSIVE").fetchone()
        connection.execute("BEGIN EXCLUSIVE")
        _require_unchanged(target, unchanged_since)
        connection.execute("COMMIT")
        (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
        connection.execute("PRAGMA journal_mode=DELETE").fetchone()
        try:
            connection.execute("BEGIN EXCLUSIVE")
            # Under the exclusive lock a journal that is still there is not hot (PERSIST and TRUNCATE keep it).
            target.with_name(target.name + "-journal").unlink(missing_ok=True)
            yield
        except BaseException:
            _back_to(connection, mode)
            raise
    except sqlite3.Error as error:
        if primary_code(error) in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
            raise _in_use(target, find_occupants(target)) from error
        raise RefusedError(f"{target} cannot be taken over: {error}", code=_NOT_OURS) from error
    finally:
        connection.close()


def _back_to(connection: sqlite3.Connection, mode: str) -> None:
    """Give the database that stays the journal mode that its application chose."""
    with contextlib.suppress(sqlite3.Error):
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        if mode == "wal":
            connection.execute("PRAGMA locking_mode=NORMAL").fetchone()
            connection.execute("PRAGMA journal_mode=WAL").fetchone()


def _require_unchanged(target: Path, unchanged_since: str | None) -> None:
    if unchanged_since is not None and change_mark(target) != unchanged_since:
        message = f"{target} was written to after its safety backup"
        raise RefusedError(
            message, code=_NOT_OURS, hint="stop the application that writes it, then run it again"
        )


@contextlib.contextmanager
def _unlocked_damage(target: Path) -> Iterator[None]:
    """Take the log and journal of a damaged database away; they were kept with it under another name."""
    for stray in database_files(target)[1:]:
        stray.unlink(missing_ok=True)
    fsync_folder(target.parent)
    yield


def _take_over_owner(built: Path, old: os.stat_result, *, mode: int) -> list[Finding]:
    """Make the new file belong to the owner of the old one (or of the folder): the application must open it.

    A warning where this user may not give it away; then everybody else has the rights that the owner gave.
    """
    new, findings = built.stat(), list[Finding]()
    with translated_write_errors(built):
        if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid):
            try:
                os.chown(built, old.st_uid, old.st_gid)
            except PermissionError:
                message = (
                    f"the restored file belongs to user {new.st_uid}, group {new.st_gid}; before it was user {old.st_uid},"
                    f" group {old.st_gid}, which this user may not give it: chown it, or restore as root"
                )
                findings.append(
                    Finding(severity=Severity.WARNING, code="restore.owner_not_kept", message=message)
                )
        built.chmod(mode)
    return findings


def keep_damaged(target: Path, stamp: str) -> tuple[Path, str]:
    """Give an unusable database with its log and journal second names `<name>.damaged-<stamp>…`.

    Where it is kept, and the shell command that puts it back. Raises RefusedError when somebody has it open.
    """
    require_idle(target)
    kept = target.with_name(f"{target.name}.damaged-{stamp}")
    undo = ["rm -f -- " + " ".join(shlex.quote(str(file)) for file in database_files(target)[1:])]
    for old, new in zip(database_files(target), database_files(kept), strict=True):
        if old.exists():
            with translated_write_errors(new):
                os.link(old, new)
            undo.append(f"mv -- {shlex.quote(str(new))} {shlex.quote(str(old))}")
    fsync_folder(target.parent)
    return kept, " && ".join(undo)


def _move_strays_aside(target: Path) -> None:
    """A log or journal without its database must not meet the new file; it is kept under another name."""
    for stray in database_files(target)[1:]:
        number = 0
        while stray.exists():
            kept = stray.with_name(f"{stray.name}.stray-{number}")
            number += 1
            if not kept.exists():
                with translated_write_errors(kept):
                    stray.rename(kept)
    fsync_folder(target.parent)
