"""What is recorded of a snapshot: its checksum file, in every form that is in use. And the digest of what is there."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Final

from ops.errors import SnapshotError, StoreError
from ops.formats.names import (
    CHECKSUM_SUFFIX,
    OTHER_CHECKSUM_SUFFIX,
    checksum_line,
    checksum_lines,
    decode_checksum_file,
    parse_checksum_line,
)
from ops.fsio.copy import sha256_of
from ops.fsio.output import opened_file
from ops.run.progress import Progress, silent

SUFFIXES: Final = (CHECKSUM_SUFFIX, OTHER_CHECKSUM_SUFFIX)
_LARGEST: Final = 1 << 16
_BLOCK: Final = 1 << 20


def digest_of(path: Path, progress: Progress = silent) -> tuple[str, int]:
    """The hex SHA-256 and the size in bytes of a regular file; raises SnapshotError when it cannot be read."""
    try:
        with opened_file(path) as descriptor:
            return sha256_of(descriptor, progress=progress)
    except (OSError, StoreError) as error:
        why = error.strerror if isinstance(error, OSError) else error.message
        raise SnapshotError(f"{path} cannot be read: {why}", code="snapshot.unreadable") from error


def digests_with_other_ends(path: Path) -> frozenset[str]:
    """Return the hex SHA-256 of the file with LF at the ends of all lines, and with CRLF; none where it cannot be read."""
    unix, windows, held = sha256(), sha256(), b""
    try:
        with opened_file(path) as descriptor, open(descriptor, "rb", closefd=False) as file:
            while block := file.read(_BLOCK):
                block = held + block
                # A CR at the end of a block may be half of a line end.
                held = b"\r" if block.endswith(b"\r") else b""
                lines = block.removesuffix(held).replace(b"\r\n", b"\n")
                unix.update(lines)
                windows.update(lines.replace(b"\n", b"\r\n"))
    except (OSError, StoreError):
        return frozenset()
    unix.update(held)
    windows.update(held)
    return frozenset((unix.hexdigest(), windows.hexdigest()))


def checksum_files_of(path: Path) -> list[Path]:
    """The checksum files that lie beside `path`: `.checksum`, `.sha256`, both or none."""
    candidates = (path.with_name(path.name + suffix) for suffix in SUFFIXES)
    return [file for file in candidates if os.path.lexists(file)]


def checksum_text(path: Path, digest: str) -> bytes:
    """The content of the checksum file of `path`, as `sha256sum` writes it."""
    return os.fsencode(checksum_line(digest, path.name))


def recorded_digest(checksum_file: Path, path: Path) -> str:
    """The digest that a checksum file records for `path`, in small letters.

    Taken are a bare digest, with or without line end, in any case, and the lines of `sha256sum` (also with `--tag`),
    `shasum` and `openssl`, in UTF-8 or UTF-16; where it has several, the one that names the file. Raises SnapshotError when there is no SHA-256 of
    that file in it; a digest of another algorithm is named.
    """
    text = _content(checksum_file)
    found = [_parsed(line, checksum_file) for line in checksum_lines(text)]
    named = {digest for digest, name in found if name is None or _names(name, path)}
    if len(named) == 1 and (len(found) == 1 or all(name is not None for _, name in found)):
        return named.pop()
    what = "names other files only" if not named and found else "holds no digest, or several"
    raise _invalid(checksum_file, what)


def _names(name: str, path: Path) -> bool:
    """Whether a name in a checksum file, with folders of whatever machine in front, is that of the file."""
    return path.name in {PurePosixPath(name).name, PureWindowsPath(name).name}


def _content(checksum_file: Path) -> str:
    try:
        with opened_file(checksum_file) as descriptor:
            content = os.read(descriptor, _LARGEST + 1)
    except (OSError, StoreError) as error:
        why = error.strerror if isinstance(error, OSError) else error.message
        raise SnapshotError(f"{checksum_file} cannot be read: {why}", code="snapshot.unreadable") from error
    if len(content) > _LARGEST:
        raise _invalid(checksum_file, "is too large for a checksum file")
    return decode_checksum_file(content)


def _parsed(line: str, checksum_file: Path) -> tuple[str, str | None]:
    try:
        return parse_checksum_line(line)
    except ValueError as error:
        raise _invalid(checksum_file, f"{error}") from error


def _invalid(checksum_file: Path, what: str) -> SnapshotError:
    hint = "write it anew with: sha256sum FILE > FILE.checksum, once you know that the file is right"
    return SnapshotError(f"{checksum_file} {what}", code="snapshot.checksum_invalid", hint=hint)
