"""Sealing a backup on its way to a further store, and opening it on its way to a restore.

Plain text is only in the source, in the home store and in private scratch places, never in the store that seals.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from ops.driverkit.spoken_names import spoken_names
from ops.errors import BackupError, CipherError, OpsError, ToolError
from ops.formats import evidence as evidence_files
from ops.formats import pins as pin_files
from ops.formats.encrypted_manifest import (
    Private,
    cipher_kind,
    is_closed,
    is_sealed,
    opened_manifest,
    private_content,
    private_part,
    sealed_for,
)
from ops.formats.names import evidence_key, manifest_key, pin_key
from ops.fsio.atomic import make_private_folder
from ops.fsio.scratch import scratch_folder
from ops.model.evidence import Level
from ops.model.findings import Finding, Severity
from ops.model.manifest import FileEntry, Manifest
from ops.ports.cipher import Cipher, Sealed
from ops.repository.backup import Backup
from ops.repository.record_evidence import Look, evidence_of
from ops.run.job import Job
from ops.run.progress import Progress, silent

DAMAGED: Final = frozenset(("cipher.damaged", "cipher.not_encrypted", "cipher.wrong_key_or_damaged"))
"""What says something about the backup; all else is about the keys and programs of this machine."""


@dataclass(frozen=True, slots=True)
class Sealing:
    """How a copy is sealed: by which cipher, with what behind the plain name, and where scratch places are made.

    `plain_measures`: what tells of the content stays plain in the manifest.
    """

    cipher: Cipher
    scratch: Path
    suffix: str
    plain_measures: bool = False

    @classmethod
    def by(cls, cipher: Cipher, scratch: Path, *, plain_measures: bool = False) -> Sealing:
        """With the suffix of the cipher."""
        return cls(cipher, scratch, cipher.suffix, plain_measures)

    def hides(self, plain: Manifest) -> bool:
        """Return whether what tells of the content of this backup is encrypted as well."""
        return plain.origin is not None and not self.plain_measures

    def private(self, plain: Manifest) -> Private | None:
        """Encrypt what tells of the content; None where it stays plain. Raises what the cipher raises."""
        if not self.hides(plain):
            return None
        with scratch_folder(self.scratch) as folder:
            (folder / "plain").write_bytes(private_content(plain))
            with spoken_names(f"what {plain.payload} holds"):
                sealed = self.cipher.seal(folder / "plain", folder / "sealed")
            return Private((folder / "sealed").read_bytes(), sealed)


def require_same_plain(sealed: Sealed, entry: FileEntry) -> None:
    """Return when what was sealed is `entry`; raises BackupError (`backup.checksum_mismatch`)."""
    if (sealed.plain_size, sealed.plain_sha256) != (entry.size, entry.sha256):
        message = f"{entry.path} is not sealed, because it is not what was stored"
        raise BackupError(
            message, code="backup.checksum_mismatch", hint="take a new backup; look at the disk"
        )


def sealed_records(backup: Backup, sealed: Manifest, job: Job) -> list[tuple[str, bytes]]:
    """What lies beside the copy of `backup` that is `sealed`: its pins, and what is known of it, each with its key.

    Evidence is about bytes, and these are others. So it says no more than how the last look at the plain backup ended
    before it was sealed, if there was one, and that nobody has opened the copy yet.
    """
    name = sealed.payload
    records = [
        (pin_key(name, pin.pinned_at, pin.job_id), pin_files.to_json(replace(pin, backup=name)))
        for pin in backup.pins
    ]
    if backup.good is None:
        return records
    now = job.clock()
    look = Look(
        action="verify",
        # What a restored copy was found to be is not taken back by a look at stored bytes.
        level=str(Level.QUICK if backup.good else Level.FULL),
        started_at=now,
        finished_at=now,
        limits=("nothing of this copy was read: it is what was said of the backup before it was sealed",),
    )
    evidence = evidence_of(replace(backup, manifest=sealed), look, [_last_look(backup, name)], job)
    return [*records, (evidence_key(name, "verify", now, job.job_id), evidence_files.to_json(evidence))]


def _last_look(backup: Backup, copy: str) -> Finding:
    ended, severity = ("passed", Severity.OK) if backup.good else ("FAILED", Severity.CRITICAL)
    message = (
        f"{backup.name} {ended} its last look before this was made of it; nobody has opened this one yet"
    )
    return Finding(severity=severity, code="backup.sealed", message=message, where=copy)


def opened(backup: Backup, scratch: Path) -> Backup:
    """Return the backup with what its manifest has encrypted; the same where there is no such part, or it was opened.

    Raises ToolError when it cannot be opened here, CipherError when nobody can open it.
    """
    if not is_closed(backup.manifest):
        return backup
    part = private_part(backup.manifest)
    with scratch_folder(scratch) as folder:
        (folder / "sealed").write_bytes(part.content)
        with spoken_names(manifest_key(backup.name)):
            _unseal(openers_of(backup), folder / "sealed", folder / "plain", part.sealed, silent)
        return replace(backup, manifest=opened_manifest(backup.manifest, (folder / "plain").read_bytes()))


def is_of_kind(manifest: Manifest, cipher: Cipher) -> bool:
    """Return whether the backup is encrypted, with a cipher of the same kind."""
    return is_sealed(manifest) and cipher_kind(manifest) == cipher.kind


def is_said_for(manifest: Manifest, cipher: Cipher) -> bool:
    """Return whether the manifest says that the backup is encrypted for exactly the public keys of `cipher`."""
    keys = cipher.sealed_for
    return keys is not None and is_of_kind(manifest, cipher) and sealed_for(manifest) == keys


def is_for_current_keys(backup: Backup, cipher: Cipher | None, scratch: Path) -> bool:
    """Return whether who can open what `cipher` encrypts can open this backup too; False where that cannot be told.

    `backup`: as it is stored. With a passphrase, of which nothing may be written down, its encrypted part is opened.
    """
    manifest = backup.manifest
    if not is_sealed(manifest):
        return True
    if cipher is None or not is_of_kind(manifest, cipher):
        return False
    if not cipher.by_passphrase:
        return is_said_for(manifest, cipher)
    if sealed_for(manifest) is not None or not is_closed(manifest):
        return False
    return not is_closed(opened_where_possible(replace(backup, openers=(cipher,)), scratch).manifest)


def opened_where_possible(backup: Backup, scratch: Path) -> Backup:
    """Return the same, as it was where it cannot be opened here: whoever needs more says why."""
    try:
        return opened(backup, scratch)
    except OpsError:
        return backup


def unseal_payload(backup: Backup, folder: Path, progress: Progress) -> Path:
    """The plain payload, opened from the stored files in `folder`, which are gone afterwards.

    Raises CipherError with a code of `DAMAGED` when the backup cannot be opened by anybody, ToolError when it can
    not be opened here.
    """
    ciphers = openers_of(backup)
    plain = backup.plain
    for stored, entry in zip(backup.manifest.files, plain.files, strict=True):
        target = folder / entry.path
        make_private_folder(target.parent)
        expected = Sealed(entry.size, entry.sha256, stored.size, stored.sha256)
        progress.step(f"opening {stored.path}", stored.size)
        with spoken_names(stored.path):
            _unseal(ciphers, folder / stored.path, target, expected, progress)
        (folder / stored.path).unlink()
    return folder / plain.payload


def openers_of(backup: Backup) -> list[Cipher]:
    """The ciphers at hand that may open it; raises ToolError (`cipher.no_identity`) when there is none."""
    kind = cipher_kind(backup.manifest)
    found = [cipher for cipher in backup.openers if cipher.kind == kind and cipher.can_open]
    if not found:
        message = (
            f"{backup.name} is sealed with {kind}, and no identity or passphrase for that is configured here"
        )
        hint = "give it in [cipher.NAME], where restores happen: see encryption.md"
        raise ToolError(message, code="cipher.no_identity", hint=hint)
    return found


def _unseal(ciphers: list[Cipher], sealed: Path, into: Path, expected: Sealed, progress: Progress) -> None:
    """By the first that has the key. That none has it is a matter of this machine, not of the backup."""
    wrong: CipherError | None = None
    for cipher in ciphers:
        try:
            cipher.unseal(sealed, into, expected, progress)
            return
        except CipherError as error:
            if error.code in DAMAGED:
                raise
            wrong = error
    if wrong is not None:
        raise ToolError(wrong.message, code=wrong.code, hint=wrong.hint) from wrong
