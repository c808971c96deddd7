"""Opening SQLite files without changing them, and saying in the operator's words why one can not be opened."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import quote

from ops.errors import SourceError

HEADER_MAGIC: Final = b"SQLite format 3\0"
_HEADER_SIZE: Final = 100
_CACHE_KIB: Final = 16384
_PRIMARY: Final = 0xFF
_ODD_BYTES_OF_CIPHER: Final = 200


def file_uri(path: Path, **parameters: str) -> str:
    """The `file:` URI by which SQLite opens `path`, whatever bytes its name holds.

    Source: https://www.sqlite.org/uri.html (percent escapes stand for raw bytes).
    """
    query = "&".join(f"{name}={value}" for name, value in parameters.items())
    return f"file:{quote(os.fsencode(path.absolute()))}?{query}"


def connect_live(path: Path, *, timeout_s: float, writable: bool = False) -> sqlite3.Connection:
    """A connection to a database that others may be writing; read-only unless `writable`."""
    mode = "rw" if writable else "ro"
    return sqlite3.connect(
        file_uri(path, mode=mode), uri=True, timeout=timeout_s, isolation_level=None, check_same_thread=False
    )


def connect_still(path: Path) -> sqlite3.Connection:
    """A connection to a file that nobody writes: no locks, and no `-wal` or `-shm` appears beside it.

    Source: https://www.sqlite.org/uri.html#uriimmutable
    """
    connection = sqlite3.connect(
        file_uri(path, mode="ro", immutable="1"), uri=True, isolation_level=None, check_same_thread=False
    )
    connection.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
    connection.execute("PRAGMA query_only=ON")
    connection.text_factory = decode_any
    return connection


def decode_any(text: bytes) -> str:
    """Return text as SQLite stores it, also where it is not UTF-8: each such byte stands as a lone surrogate."""
    return text.decode("utf-8", "surrogateescape")


def require_database_file(path: Path) -> bytes:
    """The 100-byte header of the database file at `path`.

    Raises SourceError for everything that is no readable SQLite file, by what it is instead. Opens nothing
    that could block (a pipe) before it has looked.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise _not_a_file(path, status.st_mode)
        with path.open("rb") as file:
            header = file.read(4096)
    except FileNotFoundError as error:
        hint = "check the path in the configuration (DATA_DIR?), and that the volume is mounted"
        raise SourceError(f"database {path} is not there", code="source.missing", hint=hint) from error
    except OSError as error:
        message = f"database {path} can not be read: {error.strerror}"
        raise SourceError(message, hint="run as a user who may read it, or correct the path") from error
    if not header:
        hint = "an application makes the file when it starts; a database that became empty needs a restore"
        raise SourceError(f"{path} is empty (0 bytes)", code="source.not_a_database", hint=hint)
    if not header.startswith(HEADER_MAGIC) or len(header) < _HEADER_SIZE:
        raise _no_header(path, header)
    return header[:_HEADER_SIZE]


def _not_a_file(path: Path, mode: int) -> SourceError:
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
    what = kinds.get(stat.S_IFMT(mode), "a device")
    return SourceError(f"{path} is {what}, not a database file", code="source.not_a_file")


def _no_header(path: Path, header: bytes) -> SourceError:
    # Cipher text uses nearly all byte values at once and fills whole pages; text and most other files do not.
    if len(header) % 512 == 0 and len(set(header)) > _ODD_BYTES_OF_CIPHER:
        message = f"{path} has no SQLite header and looks encrypted (SQLCipher, SEE)"
        hint = (
            "back it up through the application, or decrypt it first: what can not be read can not be proven"
        )
        return SourceError(message, code="source.encrypted", hint=hint)
    return SourceError(f"{path} is not an SQLite database", code="source.not_a_database")


@contextlib.contextmanager
def translated_errors(path: Path, step: str) -> Iterator[None]:
    """Turn SQLite's errors about `path` during `step` into SourceError with the matching code.

    Source of the numbers: https://www.sqlite.org/rescode.html
    """
    try:
        yield
    except sqlite3.Error as error:
        raise translate(error, path, step) from error


def translate(error: sqlite3.Error, path: Path, step: str) -> SourceError:
    """The SourceError that says what `error` means for the operator."""
    extended = getattr(error, "sqlite_errorcode", None) or 0
    about = f"{step} of {path} failed: {error}"
    if extended == sqlite3.SQLITE_READONLY_ROLLBACK or _has_hot_journal(path, extended):
        message = f"{path} has a hot journal: a writer died in the middle of a transaction"
        hint = "let the application (or sqlite3) open the database once, so that SQLite rolls it back; then retry"
        return SourceError(message, code="source.hot_journal", hint=hint)
    match extended & _PRIMARY:
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED | sqlite3.SQLITE_PROTOCOL:
            message = f"{path} stayed locked by another process for the whole time-out ({step})"
            hint = (
                "look who holds it (fuser, lsof); raise busy_timeout in the source's table if it is only busy"
            )
            return SourceError(message, code="source.locked", hint=hint)
        case sqlite3.SQLITE_CANTOPEN:
            hint = "a database in WAL mode needs -shm beside it: run as a user who may write its folder"
            return SourceError(about, code="source.unreadable", hint=hint)
        case sqlite3.SQLITE_CORRUPT:
            hint = "restore the newest proven backup; keep this file for 'sqlite3 FILE .recover'"
            return SourceError(about, code="source.corrupt", hint=hint)
        case sqlite3.SQLITE_NOTADB:
            return SourceError(about, code="source.not_a_database")
        case _:
            return SourceError(about, code="source.unreadable")


def _has_hot_journal(path: Path, extended: int) -> bool:
    if extended & _PRIMARY not in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN}:
        return False
    journal = path.with_name(path.name + "-journal")
    with contextlib.suppress(OSError):
        return journal.stat().st_size > 0
    return False
