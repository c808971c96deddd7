"""What lies beside the archive of an event log for the log's own program: put there, and compared with what was recorded."""

from __future__ import annotations

from dataclasses import replace

from ops.driverkit.spoken_names import spoken_names
from ops.errors import NotFoundError
from ops.formats import own_manifest
from ops.formats.encrypted_manifest import is_sealed
from ops.formats.names import own_manifest_key
from ops.fsio.scratch import scratch_folder
from ops.model.findings import Finding, Severity
from ops.model.manifest import Manifest
from ops.repository.backup import Backup
from ops.repository.encrypt import Sealing
from ops.repository.transfer import content_of, digest_of, is_stored

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


def with_beside(manifest: Manifest, beside: Beside) -> Manifest:
    """Return the manifest of an encrypted backup, which records what lies beside it."""
    return own_manifest.with_stored(manifest, beside[0][1]) if beside else manifest


def check_own_manifest(backup: Backup) -> list[Finding]:
    """Return whether what should lie beside the archive does, byte for byte; empty for backups without it.

    Raises StoreError when it cannot be read.
    """
    manifest = backup.manifest
    sealed = is_sealed(manifest)
    entry = own_manifest.recorded_as_stored(manifest) if sealed else own_manifest.recorded(manifest)
    if entry is None:
        return []
    try:
        digest = digest_of(backup.store, entry.path)
    except NotFoundError:
        message = f"{entry.path}, the manifest that the log's own program reads, is gone"
        return [_wrong("backup.own_manifest_missing", message, entry.path)]
    if digest != entry.sha256:
        message = f"{entry.path} is not the manifest inside the archive: it has another SHA-256"
        wrong = _wrong("backup.own_manifest_mismatch", message, entry.path)
        return [replace(wrong, expected=entry.sha256, found=digest)]
    same = "encrypted as it was stored" if sealed else "byte for byte"
    message = f"{entry.path} is the manifest inside the archive, {same}"
    return [Finding(severity=Severity.OK, code="backup.own_manifest", message=message)]


def _wrong(code: str, message: str, where: str) -> Finding:
    return Finding(severity=Severity.CRITICAL, code=code, message=message, where=where)
