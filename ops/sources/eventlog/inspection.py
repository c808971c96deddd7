"""A stored archive against its manifest: read through once without unpacking, or unpacked as recorded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from ops.errors import BackupError, SourceError
from ops.manifest import compare_measures
from ops.model import FileEntry, Finding, Manifest, Severity
from ops.sources.eventlog.archive import ArchivedLog, check_archive, differences, read_segments
from ops.sources.eventlog.chain import Chain, explained, positions_of, walk
from ops.sources.eventlog.copy import measures_of
from ops.sources.eventlog.segment import hashes_of
from ops.sources.eventlog.unpacking import unpack_archive


def members_of(manifest: Manifest) -> dict[str, FileEntry]:
    """The files of the archive as the manifest has them, by path; raises BackupError when it has none."""
    rows = manifest.extra.get("members")
    if not isinstance(rows, list):
        raise _says_nothing(manifest)
    try:
        entries = [FileEntry(str(row["path"]), int(row["size"]), str(row["sha256"])) for row in rows]
    except (KeyError, TypeError, ValueError) as error:
        raise _says_nothing(manifest) from error
    return {entry.path: entry for entry in entries}


def _says_nothing(manifest: Manifest) -> BackupError:
    message = f"the manifest of {manifest.payload} does not say what is in its archive"
    return BackupError(message, code="backup.manifest_invalid", hint="use another backup")


def inspect_archive(payload: Path, manifest: Manifest) -> list[Finding]:
    """Every member as recorded, the chain walked, and the same found as at the backup; empty never."""
    try:
        expected = members_of(manifest)
        found = check_archive(payload, expected)
        wrong = differences(expected, found.files)
        if wrong:
            return wrong
        chain = _chain_of(payload, found)
    except BackupError as error:
        return [Finding(severity=Severity.CRITICAL, code=error.code, message=error.message)]
    message = f"{len(found.files)} files in the archive as recorded; {chain.verified} events verified"
    read = Finding(severity=Severity.OK, code="eventlog.archive", message=message)
    return [read, *compare_measures(manifest.measures, measures_of(chain))]


def _chain_of(payload: Path, found: ArchivedLog) -> Chain:
    chain = walk(found.segments)
    if chain.broken is None:
        return chain
    hashes = dict(sorted((number, hashes_of(text)) for number, text in read_segments(payload)))
    position = explained(chain.broken, lambda text: positions_of(text, hashes.values()))
    return replace(chain, broken=position)


def unpack(payload: Path, into: Path, manifest: Manifest) -> Mapping[str, FileEntry]:
    """The files of the archive in the new folder `into`, each as recorded; raises SourceError when they are not."""
    try:
        expected = members_of(manifest)
        unpack_archive(payload, into, expected)
    except BackupError as error:
        raise SourceError(error.message, code=error.code, hint=error.hint) from error
    return expected
