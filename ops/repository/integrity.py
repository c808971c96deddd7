"""Looking at one stored backup: its files against its manifest, and a restored copy against its measures."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from itertools import zip_longest
from pathlib import Path
from typing import Final

from ops.errors import BackupError, NotFoundError, OpsError, StoreError
from ops.formats.names import (
    CHECKSUM_SUFFIX,
    OTHER_CHECKSUM_SUFFIX,
    checksum_key,
    decode_checksum_file,
    parse_checksum_text,
)
from ops.model.findings import Finding, Severity
from ops.model.manifest import FileEntry, Manifest
from ops.ports.store import Store
from ops.repository.backup import Backup
from ops.run.progress import Progress

_BLOCK: Final = 1 << 20
_MOST_CHECKSUM_BYTES: Final = 64 << 10


def critical(error: OpsError, where: str = "") -> Finding:
    """The critical finding that says what `error` says."""
    return Finding(
        severity=Severity.CRITICAL, code=error.code, message=error.message, where=where, hint=error.hint
    )


def check_checksum_file(backup: Backup) -> Finding:
    """Whether the checksum file beside the payload says what the manifest says."""
    for suffix in (CHECKSUM_SUFFIX, OTHER_CHECKSUM_SUFFIX):
        key = f"{backup.name}{suffix}"
        content = _content_of(backup.store, key)
        if content is not None:
            return _check_checksums(backup, key, content)
    message = f"{checksum_key(backup.name)} is gone"
    return Finding(severity=Severity.CRITICAL, code="backup.checksum_file_missing", message=message)


def _content_of(store: Store, key: str) -> bytes | None:
    """What a small file holds; None where there is none, whatever a listing says."""
    try:
        with store.open(key) as file:
            return file.read(_MOST_CHECKSUM_BYTES)
    except NotFoundError:
        return None


def _check_checksums(backup: Backup, key: str, content: bytes) -> Finding:
    try:
        found = parse_checksum_text(decode_checksum_file(content))
    except ValueError as error:
        message = f"{key} {error}"
        return Finding(
            severity=Severity.CRITICAL, code="backup.checksum_file_invalid", message=message, where=key
        )
    if contradiction := _contradiction(found, backup.manifest):
        expected, other = contradiction
        return Finding(
            severity=Severity.CRITICAL,
            code="backup.checksum_file_mismatch",
            message=f"{key} contradicts the manifest",
            where=key,
            expected=expected,
            found=other,
        )
    return Finding(
        severity=Severity.OK, code="backup.checksum_file", message=f"{key} agrees with the manifest"
    )


def _contradiction(found: list[tuple[str, str | None]], manifest: Manifest) -> tuple[str, str] | None:
    """The first line that is not as the manifest has it: expected and found; None when all agree."""
    found = [*dict.fromkeys(found)]
    if len(found) == 1 and len(manifest.files) == 1:
        # One file: its digest may stand alone, and it may be named with the folder that it was hashed in.
        digest, name = found[0]
        found = [(digest, manifest.files[0].path if name is None else Path(name).name)]
        if "/" in manifest.files[0].path and name is not None:
            found = [(digest, name)]
    # A line that comes twice says nothing else.
    lines = {f"{digest}  {name or ''}" for digest, name in found}
    recorded = {f"{entry.sha256}  {entry.path}" for entry in manifest.files}
    for expected, other in zip_longest(sorted(recorded), sorted(lines), fillvalue=""):
        if expected != other:
            return expected, other
    return None


def check_stored_files(backup: Backup, progress: Progress) -> list[Finding]:
    """Size and SHA-256 of every stored file of the payload, read from the store once."""
    found = [_check_file(backup.store, entry, progress) for entry in backup.manifest.files]
    return summed_up(backup, found)


def summed_up(backup: Backup, findings: list[Finding]) -> list[Finding]:
    """What is wrong with single files, or one finding for all when nothing is."""
    wrong = [finding for finding in _all_gone(backup, findings) if finding.severity is not Severity.OK]
    if wrong or len(findings) == 1:
        return wrong or findings
    message = f"SHA-256 of all {len(findings)} files of the payload as recorded"
    return [Finding(severity=Severity.OK, code="backup.checksum", message=message)]


def _check_file(store: Store, entry: FileEntry, progress: Progress) -> Finding:
    progress.step(f"hashing {entry.path}", entry.size)
    digest, size = hashlib.sha256(), 0
    try:
        with store.open(entry.path) as file:
            while block := file.read(_BLOCK):
                digest.update(block)
                size += len(block)
                progress.advance(len(block))
    except BackupError:
        return payload_gone(entry.path)
    except OSError as error:
        message = f"{entry.path} cannot be read to its end: {error.strerror}"
        return undecided(StoreError(message), entry.path)
    return compare_file(entry, digest.hexdigest(), size)


def compare_file(entry: FileEntry, sha256: str, size: int) -> Finding:
    """One finding: the file is what the manifest says, or in what it differs."""
    if size != entry.size:
        return wrong_size(entry, size)
    if sha256 != entry.sha256:
        return Finding(
            severity=Severity.CRITICAL,
            code="backup.checksum_mismatch",
            message=f"{entry.path} is not what was stored",
            where=entry.path,
            expected=entry.sha256,
            found=sha256,
        )
    return Finding(
        severity=Severity.OK, code="backup.checksum", message=f"SHA-256 of {entry.path} as recorded"
    )


def check_sizes(backup: Backup) -> list[Finding]:
    """A critical finding for each file of the payload that is gone or has another size; empty when all fit."""
    there = {stored.key: stored.size for stored in backup.store.list(backup.name)}
    findings = []
    for entry in backup.manifest.files:
        if entry.path not in there:
            findings.append(payload_gone(entry.path))
        elif there[entry.path] != entry.size:
            findings.append(wrong_size(entry, there[entry.path]))
    return [*_all_gone(backup, findings), *_strays(backup, there)]


def _all_gone(backup: Backup, findings: list[Finding]) -> list[Finding]:
    """The same, or one finding where every file of the payload is gone: a folder of many is one loss."""
    gone = [item for item in findings if item.code == "backup.payload_missing"]
    if len(gone) < len(backup.manifest.files):
        return findings
    return [payload_gone(backup.name), *(item for item in findings if item not in gone)]


def check_strays(backup: Backup) -> list[Finding]:
    """Return a critical finding for each file in the payload's folder that was not stored with it."""
    return _strays(backup, [stored.key for stored in backup.store.list(backup.name)])


def _strays(backup: Backup, keys: Iterable[str]) -> list[Finding]:
    known = {entry.path for entry in backup.manifest.files}
    return [_stray(key) for key in sorted(keys) if key.startswith(f"{backup.name}/") and key not in known]


def _stray(key: str) -> Finding:
    message = f"{key} lies in the payload and was not stored with it"
    return Finding(severity=Severity.CRITICAL, code="backup.file_extra", message=message, where=key)


def payload_gone(key: str) -> Finding:
    """Return the finding for a payload, or a file of it, that its manifest speaks of and that is not there."""
    message = f"the payload {key} is gone"
    return Finding(severity=Severity.CRITICAL, code="backup.payload_missing", message=message, where=key)


def wrong_size(entry: FileEntry, size: int) -> Finding:
    """Return the finding for a file of a payload that has another size than was recorded."""
    return Finding(
        severity=Severity.CRITICAL,
        code="backup.size_mismatch",
        message=f"{entry.path} has another size than recorded",
        where=entry.path,
        expected=f"{entry.size} bytes",
        found=f"{size} bytes",
    )


def undecided(error: OpsError, where: str = "") -> Finding:
    """Return the finding for what kept us from looking: it leaves the question open."""
    return Finding(
        severity=Severity.WARNING, code=error.code, message=error.message, where=where, blocking=True
    )
