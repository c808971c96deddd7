"""Sealing a backup on its way to a further store, and opening it on its way to a restore.

Plain text is only in the source, in the home store and in private scratch places, never in the store that seals.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from ops import __version__
from ops import evidence as evidence_files
from ops import pins as pin_files
from ops.actions.catalogue import Backup
from ops.errors import CipherError, ToolError
from ops.fsio.scratch import scratch_folder
from ops.fsio.space import require_room
from ops.fsio.staging import make_private_folder
from ops.joblog import Job
from ops.manifest import payload_sha256
from ops.model import Evidence, Finding, Level, Manifest, Severity, Verdict
from ops.naming import evidence_key, pin_key
from ops.ports import Cipher, Sealed
from ops.progress import Progress
from ops.sealed_manifest import cipher_kind, sealed_manifest, sealed_path

DAMAGED: Final = frozenset(("cipher.damaged", "cipher.not_encrypted", "cipher.wrong_key_or_damaged"))
"""What says something about the backup; all else is about the keys and programs of this machine."""


@contextlib.contextmanager
def sealed_copy(
    backup: Backup, payload: Path, cipher: Cipher, scratch: Path, progress: Progress
) -> Iterator[tuple[Path, Manifest]]:
    """The plain `payload` sealed in a scratch place, and the manifest of that, for as long as the block runs.

    Raises SpaceError, CipherError, ToolError; then nothing is left of it.
    """
    require_room(scratch, backup.manifest.size + backup.manifest.size // 100 + (1 << 20))
    with scratch_folder(scratch) as folder:
        sealed = []
        for entry in backup.manifest.files:
            inside = entry.path.removeprefix(backup.name).lstrip("/")
            target = folder / sealed_path(entry.path, cipher.suffix)
            make_private_folder(target.parent)
            progress.step(f"sealing {entry.path}", entry.size)
            sealed.append(cipher.seal(payload / inside if inside else payload, target, progress))
        manifest = sealed_manifest(backup.manifest, cipher.kind, cipher.suffix, sealed)
        yield folder / manifest.payload, manifest


def sealed_records(backup: Backup, copy: Backup, job: Job) -> list[tuple[str, bytes]]:
    """What lies beside the sealed `copy` of `backup`: its pins, and what is known of it, each with its key.

    Evidence is about bytes, and these are others. So it says no more than that the plain backup passed before it was
    sealed, if it did, and that nobody has opened the copy yet.
    """
    records = [
        (pin_key(copy.name, pin.pinned_at, pin.job_id), pin_files.to_json(replace(pin, backup=copy.name)))
        for pin in backup.pins
    ]
    if backup.good is not True:
        return records
    now = job.clock()
    message = (
        f"{backup.name} passed its last look before it was sealed; nobody has opened the sealed copy yet"
    )
    finding = Finding(severity=Severity.OK, code="backup.sealed", message=message, where=copy.name)
    evidence = Evidence(
        action="verify",
        level=str(Level.QUICK),
        job_id=job.job_id,
        backup=copy.name,
        source=copy.manifest.source,
        payload_sha256=payload_sha256(copy.manifest),
        started_at=now,
        finished_at=now,
        duration_ms=0,
        verdict=Verdict.PASSED,
        findings=(finding,),
        rows=copy.manifest.measures.rows,
        size=copy.manifest.size,
        tool={"name": "drillbook", "version": __version__},
        host=socket.gethostname(),
    )
    return [*records, (evidence_key(copy.name, "verify", now, job.job_id), evidence_files.to_json(evidence))]


def unseal_payload(backup: Backup, folder: Path, progress: Progress) -> Path:
    """The plain payload, opened from the stored files in `folder`, which are gone afterwards.

    Raises CipherError with a code of `DAMAGED` when the backup can not be opened by anybody, ToolError when it can
    not be opened here.
    """
    ciphers = openers_of(backup)
    plain = backup.plain
    for stored, entry in zip(backup.manifest.files, plain.files, strict=True):
        target = folder / entry.path
        make_private_folder(target.parent)
        expected = Sealed(entry.size, entry.sha256, stored.size, stored.sha256)
        progress.step(f"opening {stored.path}", stored.size)
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
