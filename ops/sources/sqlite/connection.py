"""Opening SQLite files without changing them, and saying in the operator's words why one cannot be opened."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import quote

from ops.errors import SourceError

Extensions = Sequence[Path]
"""Shared libraries that give a connection modules, functions and collations."""
HEADER_MAGIC: Final = b"SQLite format 3\0"
_HEADER_SIZE: Final = 100
_CACHE_KIB: Final = 16384
_PRIMARY: Final = 0xFF
_SCHEMA_UNREAD: Final = "malformed database schema"
_ODD_BYTES_OF_CIPHER: Final = 200
_TREE_PAGES: Final = frozenset((0x02, 0x05, 0x0A, 0x0D))
"""What may stand behind the header: the type of the first page, which is that of a tree."""


def file_uri(path: Path, **parameters: str) -> str:
    """The `file:` URI by which SQLite opens `path`, whatever bytes its name holds.

    Source: https://www.sqlite.org/uri.html (percent escapes stand for raw bytes).
    """
    query = "&".join(f"{name}={value}" for name, value in parameters.items())
    return f"file:{quote(os.fsencode(path.absolute()))}?{query}"


def connect_live(
    path: Path, *, timeout_s: float, writable: bool = False, extensions: Extensions = ()
) -> sqlite3.Connection:
    """A connection to a database that others may be writing; read-only unless `writable`."""
    mode = "rw" if writable else "ro"
    connection = sqlite3.connect(
        file_uri(path, mode=mode), uri=True, timeout=timeout_s, isolation_level=None, check_same_thread=False
    )
    _load(connection, extensions)
    return connection


def connect_still(path: Path, extensions: Extensions = ()) -> sqlite3.Connection:
    """A connection to a file that nobody writes: no locks, and no `-wal` or `-shm` appears beside it.

    Source: https://www.sqlite.org/uri.html#uriimmutable
    """
    connection = sqlite3.connect(
        file_uri(path, mode="ro", immutable="1"), uri=True, isolation_level=None, check_same_thread=False
    )
    connection.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
    connection.execute("PRAGMA query_only=ON")
    connection.text_factory = decode_any
    _load(connection, extensions)
    return connection


def _load(connection: sqlite3.Connection, extensions: Extensions) -> None:
    """Load what can be loaded; see `unloadable` for the rest."""
    for extension in extensions:
        with contextlib.suppress(sqlite3.Error, AttributeError):
            _load_one(connection, extension)


def _load_one(connection: sqlite3.Connection, extension: Path) -> None:
    connection.enable_load_extension(True)  # noqa: FBT003 - its only parameter
    try:
        connection.load_extension(str(extension))
    finally:
        # No statement of a database or an assertion may load another one.
        connection.enable_load_extension(False)  # noqa: FBT003


def unloadable(extensions: Extensions) -> dict[Path, str]:
    """Return the extensions that SQLite cannot load here, and why."""
    refused = {}
    for extension in extensions:
        with contextlib.closing(sqlite3.connect(":memory:")) as connection:
            try:
                _load_one(connection, extension)
            except sqlite3.Error as error:
                refused[extension] = str(error)
            except AttributeError:
                refused[extension] = "this Python was built without extensions of SQLite"
    return refused


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
        message = f"database {path} cannot be read: {error.strerror}"
        raise SourceError(message, hint="run as a user who may read it, or correct the path") from error
    if not header:
        hint = "an application makes the file when it starts; a database that became empty needs a restore"
        raise SourceError(f"{path} is empty (0 bytes)", code="source.not_a_database", hint=hint)
    if not header.startswith(HEADER_MAGIC) or len(header) < _HEADER_SIZE:
        raise _no_header(path, header)
    if _is_cipher_text(header[_HEADER_SIZE:]) and header[_HEADER_SIZE] not in _TREE_PAGES:
        raise _encrypted(
            f"{path} has an SQLite header, and behind it looks encrypted (SQLCipher with a plain header)"
        )
    return header[:_HEADER_SIZE]


def _not_a_file(path: Path, mode: int) -> SourceError:
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
    what = kinds.get(stat.S_IFMT(mode), "a device")
    return SourceError(f"{path} is {what}, not a database file", code="source.not_a_file")


def _no_header(path: Path, header: bytes) -> SourceError:
    if len(header) % 512 == 0 and _is_cipher_text(header):
        return _encrypted(f"{path} has no SQLite header and looks encrypted (SQLCipher, SEE)")
    return SourceError(f"{path} is not an SQLite database", code="source.not_a_database")


def _is_cipher_text(content: bytes) -> bool:
    """Whether nearly all byte values occur at once, and fill whole pages; in text and most other files they do not."""
    return len(set(content)) > _ODD_BYTES_OF_CIPHER


def _encrypted(message: str) -> SourceError:
    hint = "back it up through the application, or decrypt it first: what cannot be read cannot be proven"
    return SourceError(message, code="source.encrypted", hint=hint)


@contextlib.contextmanager
def translated_errors(path: Path, step: str) -> Iterator[None]:
    """Turn SQLite's errors about `path` during `step` into SourceError with the matching code.

    Source of the numbers: https://www.sqlite.org/rescode.html
    """
    try:
        yield
    except sqlite3.Error as error:
        raise translate(error, path, step) from error


def primary_code(error: sqlite3.Error) -> int:
    """Return SQLite's primary result code; 0 for what Python itself raised, such as for text that is not UTF-8."""
    return (getattr(error, "sqlite_errorcode", None) or 0) & _PRIMARY


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
            return _malformed(error, path, about)
        case sqlite3.SQLITE_NOTADB:
            return SourceError(about, code="source.not_a_database")
        case _:
            return SourceError(about, code="source.unreadable")


def _malformed(error: sqlite3.Error, path: Path, about: str) -> SourceError:
    newer = _written_by_newer(path)
    if not newer or not str(error).startswith(_SCHEMA_UNREAD):
        hint = "restore the newest proven backup; keep this file for 'sqlite3 FILE .recover'"
        return SourceError(about, code="source.corrupt", hint=hint)
    here = sqlite3.sqlite_version
    message = f"{path} was written by SQLite {newer}; {here}, which is here, cannot read its schema: {error}. That is no damage"
    hint = (
        "run Drillbook with a Python whose SQLite is as new as the application's (doctor shows which it has)"
    )
    return SourceError(message, code="source.engine_older", hint=hint)


def _written_by_newer(path: Path) -> str:
    """The version of SQLite that wrote the file last, where it is newer than the one that is here; else empty.

    Source: https://www.sqlite.org/fileformat2.html#validfor (bytes 96 to 99 of the header).
    """
    try:
        with path.open("rb") as file:
            number = int.from_bytes(file.read(_HEADER_SIZE)[96:100], "big")
    except OSError:
        return ""
    version = (number // 1_000_000, number // 1000 % 1000, number % 1000)
    return ".".join(map(str, version)) if version > sqlite3.sqlite_version_info else ""


def _has_hot_journal(path: Path, extended: int) -> bool:
    if extended & _PRIMARY not in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN}:
        return False
    journal = path.with_name(path.name + "-journal")
    with contextlib.suppress(OSError):
        return journal.stat().st_size > 0
    return False
