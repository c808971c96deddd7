"""Reading a database that others may write, and leaving nothing beside it that was not there."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from ops.errors import SourceError
from ops.fsio.scratch import scratch_folder
from ops.run.progress import silent
from ops.sources.sqlite.at_rest import Look, Rest, at_rest, copy_at_rest, is_still
from ops.sources.sqlite.connection import connect_live, file_uri, translated_errors
from ops.sources.sqlite.other_names import require_own_log


@contextlib.contextmanager
def reading(path: Path, *, timeout_s: float) -> Iterator[sqlite3.Connection]:
    """Yield a connection that reads the database at `path` and changes nothing in it; temporary tables may be made.

    Raises SourceError as a backup would, and `source.changed` when somebody began to write to what nobody had open.
    """
    path = Path(os.path.realpath(path))
    require_own_log(path, "accept")
    if (rest := at_rest(path)) is not None:
        with _still(path, rest) as connection:
            yield connection
        return
    with leaving_nothing(path), contextlib.closing(connect_live(path, timeout_s=timeout_s)) as connection:
        yield connection


@contextlib.contextmanager
def leaving_nothing(path: Path) -> Iterator[None]:
    """Remove the empty `-wal` and its `-shm` after the block, where reading a database at rest has made them.

    SQLite does that, with an ordinary closing: it knows under locks whether somebody else has come meanwhile.
    """
    log = path.with_name(f"{path.name}-wal")
    had_log = log.exists()
    try:
        yield
    finally:
        if not had_log:
            _remove_empty_log(path, log)


def _remove_empty_log(path: Path, log: Path) -> None:
    with contextlib.suppress(OSError, sqlite3.Error):
        if log.stat().st_size == 0:
            with contextlib.closing(connect_live(path, timeout_s=0, writable=True)) as connection:
                connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()


@contextlib.contextmanager
def _still(path: Path, rest: Rest) -> Iterator[sqlite3.Connection]:
    """A connection to what nobody has open; with a log that was left behind, to a private copy."""
    with contextlib.ExitStack() as opened:
        place = path
        if rest.has_log:
            folder = opened.enter_context(scratch_folder(Path(tempfile.gettempdir())))
            place = folder / path.name
            place.touch(mode=0o600)
            if copy_at_rest(path, rest, place, Look("ignore"), lambda: datetime.now(UTC), silent) is None:
                raise _changed(path)
        with translated_errors(path, "opening"):
            uri = file_uri(place, mode="ro", immutable="1")
            connection = sqlite3.connect(uri, uri=True, isolation_level=None)
        yield opened.enter_context(contextlib.closing(connection))
        if not is_still(path, rest):
            raise _changed(path)


def _changed(path: Path) -> SourceError:
    message = f"an application began to write to {path} while it was read as one that nobody had open"
    return SourceError(message, code="source.changed", hint="run it again")
