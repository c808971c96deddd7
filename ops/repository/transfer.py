"""The parts of a copy, put into a store one by one. What is there already is compared, never replaced."""

from __future__ import annotations

import contextlib
import hashlib

from ops.driverkit.spoken_names import spoken_names
from ops.errors import BackupError, NameTakenError, NotFoundError, StoreError
from ops.formats.names import checksum_text, evidence_key, payload_of_record
from ops.fsio.atomic import translated_write_errors
from ops.model.manifest import Manifest
from ops.ports.store import Store
from ops.repository.backup import Backup

_BLOCK = 1 << 20


def put_new(to: Store, key: str, content: bytes) -> None:
    """Put a small file; raises RefusedError (`refused.name_taken`) where one is there."""
    with spoken_names(key), to.stage(key) as staged:
        with translated_write_errors(staged):
            staged.write_bytes(content)
        to.put(key, staged)


def put_text(to: Store, key: str, content: bytes) -> None:
    """Put a small file, or see that the very same is there; raises StoreError (`store.conflict`) for another."""
    try:
        put_new(to, key, content)
    except NameTakenError as error:
        if content_of(to, key) != content:
            raise conflict(key, to) from error


def content_of(store: Store, key: str) -> bytes:
    """All that is at `key`."""
    with store.open(key) as file:
        return b"".join(iter(lambda: file.read(_BLOCK), b""))


def digest_of(store: Store, key: str) -> str:
    """Return the hex SHA-256 of what is at `key`, read in blocks."""
    digest = hashlib.sha256()
    with store.open(key) as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def is_stored(store: Store, key: str) -> bool:
    """Return whether the file is there: asked for itself, because a listing may be older. Raises StoreError."""
    try:
        store.open(key).close()
    except NotFoundError:
        return False
    return True


def checksum_content(manifest: Manifest) -> bytes:
    """The checksum file of the payload."""
    return checksum_text(manifest.files).encode("utf-8", "surrogateescape")


def is_about(key: str, payload: str) -> bool:
    """Whether it is a record of that payload."""
    return payload_of_record(key) == payload


def copy_records(backup: Backup, to: Store) -> None:
    """Put the records of `backup` beside its copy, where they are not there yet."""
    there = {file.key for file in to.list()}
    for file in backup.store.list():
        if is_about(file.key, backup.name) and file.key not in there:
            put_text(to, file.key, content_of(backup.store, file.key))


def keep_history(old: Backup, new: Backup) -> None:
    """Put the evidence of `old` beside `new` in the same store: it stays readable, and says nothing about new bytes."""
    for item in old.evidence:
        written = evidence_key(old.name, item.action, item.started_at, item.job_id)
        kept = evidence_key(new.name, item.action, item.started_at, item.job_id)
        with contextlib.suppress(BackupError):
            put_text(new.store, kept, content_of(new.store, written))


def require_arrived(manifest: Manifest, to: Store) -> None:
    """Return when every file of the payload is there with its size; raises StoreError."""
    stored = {file.key: file.size for file in to.list()}
    if lost := manifest.lost_from(stored):
        message = f"{lost[0]} did not arrive whole in store {to.name!r}"
        raise StoreError(message, code="store.conflict", hint="push it again; look at the store's own log")


def conflict(name: str, to: Store) -> StoreError:
    """Something else has the name."""
    message = f"something else is called {name} in store {to.name!r} ({to.location})"
    hint = "look at it; if it is the rest of a copy that was cut off, delete it there and push again"
    return StoreError(message, code="store.conflict", hint=hint)
