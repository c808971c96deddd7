"""What lies beside the archive of an event log for the log's own program: put there, and compared with what was recorded."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, Final

from ops.driverkit.spoken_names import spoken_names
from ops.errors import CipherError
from ops.formats import own_manifest
from ops.formats.encrypted_manifest import is_sealed
from ops.formats.names import own_manifest_key
from ops.fsio.scratch import scratch_folder
from ops.model.findings import Finding, Severity
from ops.model.manifest import FileEntry, Manifest
from ops.ports.cipher import Sealed
from ops.repository.backup import Backup
from ops.repository.encrypt import Sealing, opened, openers_of, unseal
from ops.repository.transfer import content_of, is_stored
from ops.run.progress import silent

_BLOCK: Final = 1 << 20
Beside = tuple[tuple[str, bytes], ...]
"""Names and contents of small files that are published before the manifest."""


def new_beside(plain: Manifest) -> Beside:
    """Return what is to lie beside the payload of a new plain backup."""
    made = own_manifest.made_again(plain)
    return () if made is None else (made,)


def plain_beside(backup: Backup) -> Beside:
    """Return what lies beside a plain backup, for a copy: as it is stored, or where that is gone or another, made again.

    Raises BackupError when it can be neither, StoreError.
    """
    entry = own_manifest.recorded(backup.plain)
    if entry is None:
        return ()
    if not is_sealed(backup.manifest) and is_stored(backup.store, entry.path):
        content = content_of(backup.store, entry.path)
        if own_manifest.about(content) == {"size": entry.size, "sha256": entry.sha256}:
            return ((entry.path, content),)
    return new_beside(backup.plain)


def sealed_beside(backup: Backup, how: Sealing) -> Beside:
    """Return the same of a plain or opened backup, sealed; raises also what the cipher raises."""
    made = next(iter(plain_beside(backup)), None)
    key = own_manifest_key(f"{backup.plain.payload}{how.suffix}")
    if made is None or key is None:
        return ()
    with scratch_folder(how.scratch) as folder, spoken_names(key):
        (folder / "plain").write_bytes(made[1])
        how.cipher.seal(folder / "plain", folder / "sealed")
        return ((key, (folder / "sealed").read_bytes()),)


def check_own_manifest(backup: Backup) -> list[Finding]:
    """Return whether what should lie beside the archive does; empty for backups without it.

    Of an encrypted one only that it is there: what it holds is looked at by `check_own_manifest_inside`. Raises StoreError.
    """
    key = _expected(backup)
    if key is None:
        return []
    if not is_stored(backup.store, key):
        message = f"{key}, the manifest that the log's own program reads, is gone"
        return [
            Finding(
                severity=Severity.CRITICAL, code="backup.own_manifest_missing", message=message, where=key
            )
        ]
    if is_sealed(backup.manifest):
        return []
    with backup.store.open(key) as file:
        return [_compared(own_manifest.recorded(backup.manifest), key, _digest(file))]


def check_own_manifest_inside(backup: Backup, scratch: Path) -> list[Finding]:
    """Return whether the one beside an encrypted backup, opened in `scratch`, is what was encrypted; empty for plain ones.

    Raises StoreError, and ToolError when it cannot be opened here.
    """
    key = _expected(backup)
    if key is None or not is_sealed(backup.manifest):
        return []
    with scratch_folder(scratch) as folder:
        recorded = own_manifest.recorded(opened(backup, folder).plain)
        stored, plain = folder / "sealed", folder / "plain"
        digest = backup.store.get(key, stored, silent)
        if recorded is None:
            return [_compared(None, key, digest)]
        expected = Sealed(recorded.size, recorded.sha256, stored.stat().st_size, digest)
        try:
            with spoken_names(key):
                unseal(openers_of(backup), stored, plain, expected, silent)
        except CipherError as error:
            return [_differs(key, error.message)]
        with plain.open("rb") as file:
            return [_compared(recorded, key, _digest(file))]


def _expected(backup: Backup) -> str | None:
    return own_manifest_key(backup.name) if own_manifest.KEY in backup.plain.extra else None


def _digest(file: BinaryIO) -> str:
    digest = hashlib.sha256()
    while block := file.read(_BLOCK):
        digest.update(block)
    return digest.hexdigest()


def _compared(recorded: FileEntry | None, key: str, digest: str) -> Finding:
    if recorded is None or digest != recorded.sha256:
        expected = "" if recorded is None else recorded.sha256
        return replace(_differs(key, "it has another SHA-256"), expected=expected, found=digest)
    message = f"{key} is the manifest inside the archive, byte for byte"
    return Finding(severity=Severity.OK, code="backup.own_manifest", message=message)


def _differs(key: str, why: str) -> Finding:
    message = f"{key} is not the manifest inside the archive: {why}"
    return Finding(
        severity=Severity.CRITICAL, code="backup.own_manifest_mismatch", message=message, where=key
    )
