"""Stores with everything that a listing may meet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from ops.formats import evidence as evidence_files
from ops.formats import manifest as manifest_files
from ops.formats.encrypted_manifest import sealed_manifest
from ops.formats.names import checksum_key, evidence_key, manifest_key
from ops.model.findings import Finding, Severity, Verdict
from ops.ports.cipher import Sealed
from ops.ports.stamps import PACKED_WIDTH
from ops.ports.store import Store
from ops.repository.pins import keep_backup
from ops.run.job import Job
from ops.stores.memory import MemoryStore
from tests.histories import looked_at, put, stored_backup

DAY = datetime(2026, 1, 1, 3, tzinfo=UTC)


def day(number: int) -> datetime:
    """The moment of the backup of that number."""
    return DAY + timedelta(days=number)


def put_sealed(store: Store, number: int, *, opened: bool) -> None:
    """A sealed copy, and what was seen of it."""
    plain = stored_backup(MemoryStore(), day(number))
    sealed = [Sealed(9, "a" * 64, entry.size, entry.sha256) for entry in plain.manifest.files]
    manifest = sealed_manifest(plain.manifest, "age", ".age", sealed, None)
    put(store, manifest.payload, b"x" * 9)
    put(store, checksum_key(manifest.payload), b"")
    put(store, manifest_key(manifest.payload), manifest_files.to_json(manifest))
    copy = looked_at(replace(plain, store=MemoryStore(), manifest=manifest))
    said = Finding(severity=Severity.OK, code="backup.opened", message="opened")
    evidence = replace(copy.evidence[0], findings=(said,) if opened else ())
    key = evidence_key(manifest.payload, "verify", evidence.started_at, evidence.job_id)
    put(store, key, evidence_files.to_json(evidence))


def put_all_kinds(store: Store) -> None:
    """Backups with any past, and all that can lie beside backups."""
    stored_backup(store, day(0), tags=("nightly", "before upgrade"))
    looked_at(stored_backup(store, day(1), source="käse 漢字"))
    looked_at(looked_at(stored_backup(store, day(2))), Verdict.FAILED, action="drill")
    looked_at(looked_at(stored_backup(store, day(3), files=3), Verdict.INCONCLUSIVE), action="drill")
    put_sealed(store, 4, opened=True)
    put_sealed(store, 5, opened=False)
    other = looked_at(stored_backup(MemoryStore(), day(6), content=b"other bytes"))
    stored_backup(store, day(6))
    key = evidence_key(other.name, "verify", day(6), other.evidence[0].job_id)
    put(store, key, evidence_files.to_json(replace(other.evidence[0], payload_sha256="0" * 64)))
    keep_backup(stored_backup(store, day(7)), "court", None, Job())
    for number, tags in enumerate([("\x00",), ("\x1f", "x"), ("",), ("tab\there",), ("\ud800",)], 8):
        stored_backup(store, day(number), tags=tags)
    put_damaged(store)


def put_damaged(store: Store) -> None:
    """All that makes findings: damage, swapped names, halves, and what is not ours."""
    bad = [stored_backup(store, day(number)).name for number in range(20, 24)]
    put(store, f"{bad[0]}.verify-20260101T000000Z-00000000.json", b"{}")
    put(store, f"{bad[1]}.pin-20260101T000000Z-00000000.json", b"no json")
    swapped = stored_backup(MemoryStore(), day(30))
    put(store, manifest_key("renamed.db"), manifest_files.to_json(swapped.manifest))
    put(store, manifest_key("broken.db"), manifest_files.to_json(swapped.manifest)[:-9])
    put(store, "half.db.checksum", b"")
    put(store, f"{bad[2]}.pruned.json", b"{}")
    put(store, "gone.db.pruned.json", b"{}")
    put(store, "orphan.db.verify-20260101T000000Z-00000000.json", b"{}")
    put(store, "somebody-elses.json", b"{}")
    put(store, "README", b"hello")


def by_key(keys: Sequence[str], numbers: bytes) -> dict[str, bytes]:
    """Each key's stamp, packed."""
    places = zip(keys, range(0, len(numbers), PACKED_WIDTH), strict=True)
    return {key: numbers[place : place + PACKED_WIDTH] for key, place in places}
