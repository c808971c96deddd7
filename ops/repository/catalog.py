"""What backups there are, in one store, with what is known about each."""

from __future__ import annotations

import contextlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Final

from ops.errors import BackupError, ManifestInvalidError, OpsError
from ops.formats import evidence as evidence_files
from ops.formats import manifest as manifest_files
from ops.formats import pins as pin_files
from ops.formats.encrypted_manifest import is_sealed, plain_manifest
from ops.formats.names import (
    CHECKSUM_SUFFIX,
    MANIFEST_SUFFIX,
    OTHER_CHECKSUM_SUFFIX,
    TOMBSTONE_SUFFIX,
    is_manifest_key,
    manifest_key,
    named_like_payload,
    payload_of_evidence,
    payload_of_pin,
    sealed_manifest_of,
    tombstone_key,
    top_name,
)
from ops.model.evidence import Evidence
from ops.model.findings import Finding, Severity
from ops.model.manifest import Manifest
from ops.ports.store import Store
from ops.repository.backup import Backup, Catalogue
from ops.repository.identity import read_identity, require_listed
from ops.repository.integrity import critical, payload_gone, undecided
from ops.repository.transfer import is_stored

_MOST_MANIFEST_BYTES: Final = 64 << 20
_MOST_TOMBSTONE_BYTES: Final = 1 << 20


def sizes_in(store: Store) -> dict[str, int]:
    """Return the size of every file in the store, by key."""
    return {stored.key: stored.size for stored in store.list()}


def read_catalogue(store: Store) -> Catalogue:
    """All backups in `store`, and a finding for every file that should be a part of one and is not.

    Raises StoreError when the store cannot be read.
    """
    identity = read_identity(store)
    sizes = sizes_in(store)
    keys = set(map(top_name, sizes))
    if not keys:
        require_listed(store, identity)
    records = _records(keys)
    backups, findings = [], []
    for key in sorted(filter(is_manifest_key, keys)):
        backup, problems = read_backup(store, key, records.get(key.removesuffix(MANIFEST_SUFFIX), []))
        findings += problems
        backups += [] if backup is None else [backup]
    backups.sort(key=lambda backup: backup.order, reverse=True)
    return Catalogue(tuple(backups), (*findings, *incomplete(keys, store)), sizes)


def read_backup(store: Store, key: str, records: list[str]) -> tuple[Backup | None, list[Finding]]:
    """The backup whose manifest is at `key`, with its `records`, and what of that cannot be read; None without it."""
    try:
        manifest = read_manifest(store, key)
    except OpsError as error:
        return None, [critical(error, key)]
    return _with_records(store, manifest, records)


def _records(keys: Iterable[str]) -> dict[str, list[str]]:
    """By payload the keys of its evidence and pins, sorted."""
    found = defaultdict(list)
    for key in sorted(keys):
        payload = payload_of_evidence(key) or payload_of_pin(key)
        if payload is not None:
            found[payload].append(key)
    return found


def _with_records(store: Store, manifest: Manifest, keys: list[str]) -> tuple[Backup, list[Finding]]:
    """The backup with what lies beside it, and what of that cannot be read."""
    evidence, problems = _read_evidence(store, [key for key in keys if payload_of_pin(key) is None])
    pins, bad = [], []
    for key in keys:
        if payload_of_pin(key) is None:
            continue
        try:
            with store.open(key) as file:
                pins.append(pin_files.from_json(file.read(_MOST_MANIFEST_BYTES), key))
        except OpsError as error:
            bad.append(key)
            problems.append(critical(error, key))
    backup = Backup(store=store, manifest=manifest, evidence=evidence, pins=tuple(pins), bad_pins=tuple(bad))
    return backup, problems


def read_manifest(store: Store, key: str) -> Manifest:
    """The manifest at `key`; raises BackupError when it is missing, unreadable, or another payload's.

    One that seems damaged is read a second time, over connections of its own, before that is said.
    """
    with contextlib.suppress(ManifestInvalidError):
        return _read_manifest_once(store, key)
    return _read_manifest_once(store.reconnect(), key)


def _read_manifest_once(store: Store, key: str) -> Manifest:
    with store.open(key) as file:
        manifest = manifest_files.from_json(file.read(_MOST_MANIFEST_BYTES), key)
    if manifest_key(manifest.payload) != key:
        message = f"manifest {key} says that it belongs to {manifest.payload}"
        raise BackupError(
            message, code="backup.manifest_invalid", hint="it was renamed or swapped; use another backup"
        )
    plain_manifest(manifest)  # raises for one that contradicts itself about its sealing
    return manifest


def _read_evidence(store: Store, keys: list[str]) -> tuple[tuple[Evidence, ...], list[Finding]]:
    found, problems = [], []
    for key in keys:
        try:
            with store.open(key) as file:
                found.append(evidence_files.from_json(file.read(_MOST_MANIFEST_BYTES), key))
        except OpsError as error:
            problems.append(critical(error, key))
    return tuple(sorted(found, key=lambda item: item.started_at)), problems


def incomplete(keys: set[str], store: Store) -> list[Finding]:
    """What misses a part: a warning for each payload or checksum file whose manifest is not there, a critical finding
    for each manifest whose payload is not; `keys` are names at the top of `store`.
    """  # noqa: D205 - one sentence
    checksums = {key for key in keys if key.endswith((CHECKSUM_SUFFIX, OTHER_CHECKSUM_SUFFIX))}
    payloads = {key.rsplit(".", 1)[0] for key in checksums} | set(filter(named_like_payload, keys))
    doomed = {key.removesuffix(TOMBSTONE_SUFFIX) for key in keys if key.endswith(TOMBSTONE_SUFFIX)}
    whole = {key.removesuffix(MANIFEST_SUFFIX) for key in keys if is_manifest_key(key)}
    deleted = "is being deleted; if no prune is at work, run backup.prune again"
    alone = "has no manifest: it is no backup, and is never used as one"
    return [
        *(unlisted(store, name) for name in sorted(whole - keys)),
        *(
            _later(name) if waits_for_readers(store, name) else _warning("prune.unfinished", name, deleted)
            for name in sorted(doomed - whole)
        ),
        *(_warning("backup.incomplete", name, alone) for name in sorted(payloads - doomed - whole)),
    ]


def has_whole(catalogue: Catalogue, backup: Backup) -> bool:
    """Return whether nothing is known to be lost of the payload: listed with its sizes, or there all the same, or not to be asked."""
    lost = backup.manifest.lost_from(catalogue.sizes)
    if any(path in catalogue.sizes for path in lost):
        return False
    with contextlib.suppress(OpsError):  # of a store that cannot be asked the catalogue's findings tell
        return all(is_stored(backup.store, path) for path in lost)
    return True


def unlisted(store: Store, payload: str) -> Finding:
    """Return what to say of a payload that no listing shows: a file that is there all the same is not called gone."""
    try:
        there = is_stored(store, payload) or any(True for _ in store.list(f"{payload}/"))
    except OpsError as error:
        return undecided(error, payload)
    if not there:
        return payload_gone(payload)
    message = f"store {store.name!r} does not list {payload}, which is there: its listing is not complete"
    return Finding(
        severity=Severity.WARNING, code="store.unstable", message=message, where=payload, blocking=True
    )


def tombstone_in(store: Store, key: str) -> Mapping[str, Any] | None:
    """Return what a tombstone says; None when it says nothing sensible, or is gone."""
    try:
        with store.open(key) as file:
            document = json.loads(file.read(_MOST_TOMBSTONE_BYTES))
    except (OpsError, ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def waits_for_readers(store: Store, payload: str) -> bool:
    """Return whether the rest of a deleted backup stays for a day, for readers that cannot be seen."""
    said = tombstone_in(store, tombstone_key(payload))
    return said is not None and said.get("waits") is True


def _later(name: str) -> Finding:
    message = f"{name} is deleted; its payload goes with the first backup.prune after a day"
    return Finding(severity=Severity.OK, code="prune.later", message=message, where=name)


def _warning(code: str, name: str, what: str) -> Finding:
    return Finding(severity=Severity.WARNING, code=code, message=f"{name} {what}", where=name)


def read_named(store: Store, name: str) -> Backup:
    """Return the backup of that name as `backup.list` prints it, read from its own files.

    An encrypted one is found by the name of the plain one as well, where it is the only one. Raises BackupError when there
    is none, or when its manifest cannot be read.
    """
    keys = {top_name(stored.key) for stored in store.list(name)}
    if manifest_key(name) not in keys:
        sealed = [key for key in keys if sealed_manifest_of(name, key)]
        if name in keys or len(sealed) != 1:
            raise _not_found(name, keys, store)
        manifest = read_manifest(store, sealed[0])
        if not is_sealed(manifest):
            raise _not_found(name, keys, store)
    else:
        manifest = read_manifest(store, manifest_key(name))
    backup, _ = _with_records(store, manifest, _records(keys).get(manifest.payload, []))
    return backup


def with_records(store: Store, manifest: Manifest) -> Backup:
    """Return the backup of a manifest that was read, with its records; what of those cannot be read is left aside."""
    keys = {top_name(stored.key) for stored in store.list(manifest.payload)}
    return _with_records(store, manifest, _records(keys).get(manifest.payload, []))[0]


def _not_found(name: str, keys: set[str], store: Store) -> BackupError:
    if name in keys:
        message = f"{name} is in store {store.name!r}, but has no manifest: it is no backup"
        return BackupError(message, code="backup.incomplete", hint="use another one; see backup.list")
    message = f"there is no backup {name!r} in store {store.name!r} ({store.location})"
    return BackupError(message, hint="names are as backup.list prints them", command="backup.list")
