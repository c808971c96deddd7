"""The archive of a log, unpacked into a private folder of its own: all of it as recorded, or nothing."""

from __future__ import annotations

import os
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Final

from ops.driverkit.tar_header import MANIFEST
from ops.errors import BackupError
from ops.fsio.atomic import PRIVATE_FILE, PRIVATE_FOLDER, translated_write_errors
from ops.fsio.remove import remove_tree
from ops.model.manifest import FileEntry
from ops.run.progress import Progress, silent
from ops.sources.eventlog.archive.read import Member, differences, opened_archive, read_members
from ops.sources.eventlog.log.layout import FOLDER

_PART: Final = ".part"
_HINT: Final = "nothing was unpacked; take another backup, or a copy of this one from another store"


def unpack_archive(
    payload: Path, into: Path, expected: Mapping[str, FileEntry] | None = None, progress: Progress = silent
) -> tuple[FileEntry, ...]:
    """The files of the archive `payload`, which are in the new folder `into` afterwards; the manifest stays out.

    Files are 0600, folders 0700; a file has its name only when it is whole and, with `expected` (by path, without the
    manifest), what was recorded. Nothing is fsynced. Raises BackupError (`backup.archive_invalid`,
    `backup.size_mismatch`, `backup.checksum_mismatch`, `backup.payload_missing`), StoreError, SpaceError; then `into` is gone
    again. Raises StoreError when `into` is there already, and leaves it alone.
    """
    progress.step("unpacking", sum(entry.size for entry in expected.values()) if expected else None)
    with translated_write_errors(into):
        into.mkdir(PRIVATE_FOLDER)
    try:
        return _unpack_into(payload, into, expected, progress)
    except BaseException:
        remove_tree(into)
        raise


def unpack_more(
    payload: Path,
    into: Path,
    expected: Mapping[str, FileEntry],
    wanted: Mapping[str, FileEntry],
    progress: Progress = silent,
) -> None:
    """Put the files `wanted` of another archive, which holds those `expected`, beside what was unpacked in `into`.

    Raises as `unpack_archive` does, and then leaves what it had written.
    """
    _require_equal(wanted, _extract(payload, into, expected, wanted, progress))


def _unpack_into(
    payload: Path, into: Path, expected: Mapping[str, FileEntry] | None, progress: Progress
) -> tuple[FileEntry, ...]:
    (into / FOLDER).mkdir(PRIVATE_FOLDER)
    files = _extract(payload, into, expected, expected, progress)
    _require_equal(expected or {}, files)
    return tuple(files)


def _extract(
    payload: Path,
    into: Path,
    expected: Mapping[str, FileEntry] | None,
    wanted: Mapping[str, FileEntry] | None,
    progress: Progress,
) -> list[FileEntry]:
    """What was written, of the files `wanted` (None: all) of an archive that holds those `expected`."""
    files: list[FileEntry] = []
    with opened_archive(payload) as file:
        for member in read_members(file, expected):
            if member.path == MANIFEST or (wanted is not None and member.path not in wanted):
                continue
            entry = _write(member, into / _PART, progress)
            if wanted is not None:
                _require_equal({member.path: wanted[member.path]}, [entry])
            with translated_write_errors(into):
                (into / _PART).rename(into / member.path)
            files.append(entry)
    return files


def _write(member: Member, path: Path, progress: Progress) -> FileEntry:
    """What was written to the new file `path`."""
    digest = sha256()
    with translated_write_errors(path):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE_FILE)
    with os.fdopen(descriptor, "wb", buffering=0) as file:
        for chunk in member.chunks():
            digest.update(chunk)
            with translated_write_errors(path):
                rest = memoryview(chunk)
                while rest:
                    rest = rest[file.write(rest) :]
            progress.advance(len(chunk))
    return FileEntry(member.path, member.size, digest.hexdigest())


def _require_equal(expected: Mapping[str, FileEntry], found: list[FileEntry]) -> None:
    for finding in differences(expected, found):
        raise BackupError(finding.message, code=finding.code, hint=_HINT)
