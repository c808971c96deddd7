"""A backup sealed on its way into a store: payload, checksum file, what is known of it, and last the manifest.

Plain text is only in the source, in plain stores and in private scratch places, never in the store that seals.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from ops.errors import NameTakenError, StoreError
from ops.formats import manifest as manifest_files
from ops.formats.encrypted_manifest import as_known
from ops.formats.names import MANIFEST_SUFFIX, checksum_key, manifest_key, own_manifest_key, top_name
from ops.model.manifest import Manifest
from ops.ports.store import Store
from ops.repository.backup import Backup
from ops.repository.catalog import read_manifest, sizes_in
from ops.repository.encrypt import Sealing, sealed_records
from ops.repository.own_manifest import sealed_beside, with_beside
from ops.repository.publish import publish
from ops.repository.transfer import checksum_content, conflict, is_about, put_text, require_arrived
from ops.repository.upload import Upload, uploading
from ops.repository.writers import announced
from ops.run.job import Job


def clear_name(store: Store, name: str) -> None:
    """Remove what has the name and no manifest: it is left of a run that was cut off."""
    there = {top_name(file.key) for file in store.list()}
    for key in (name, own_manifest_key(name), checksum_key(name)):
        if key in there:
            store.delete(key)


def copy_sealed(backup: Backup, payload: Path, to: Store, how: Sealing, job: Job) -> Backup:
    """The copy of the plain `backup` in the store `to`, made from `payload` when it is not there yet.

    Sealed twice, the same is never the same: what is left of a copy that was cut off is sealed anew. Raises StoreError
    (`store.conflict`) when something else has its name, BackupError when `payload` is not what was stored, and what
    the store and the cipher raise.
    """
    name = f"{backup.name}{how.suffix}"
    there = {file.key for file in to.list()}
    if (copy := sealed_copy_of(backup, to, there)) is not None:
        _require_whole(copy)
        return copy
    if manifest_key(name) in there:
        raise conflict(name, to)
    for left in [key for key in there if key == checksum_key(name) or is_about(key, name)]:
        to.delete(left)
    try:
        with announced(to, name, job, resumable=True):
            manifest = _put_sealed(backup, payload, to, how, job)
    except NameTakenError:
        # Its manifest is not there: it is left of a copy that was cut off. It is asked to go only now, so that keys
        # which may not delete are enough for all else.
        to.delete(name)
        manifest = _put_sealed(backup, payload, to, how, job)
    require_arrived(manifest, to)
    beside = sealed_beside(backup, how)
    manifest = with_beside(manifest, beside)
    copy = replace(backup, store=to, manifest=manifest)
    return _publish(copy, [*beside, *sealed_records(backup, manifest, job)])


def _require_whole(copy: Backup) -> None:
    if lost := copy.manifest.lost_from(sizes_in(copy.store)):
        message = f"{lost[0]} is gone from store {copy.store.name!r}, or is not whole there, and its manifest is there"
        hint = f"delete {manifest_key(copy.name)} there, and push again: it is encrypted anew"
        raise StoreError(message, code="store.conflict", hint=hint)


def publish_sealed(  # noqa: PLR0913, PLR0917 - a backup, how it is encrypted, and what was encrypted of it already
    known: Backup, payload: Path, store: Store, how: Sealing, job: Job, begun: Upload | None = None
) -> Backup:
    """A new backup in `store`: the plain `payload` of `known`, encrypted; its manifest is published last.

    `begun`: an upload of it that was begun under this name. Pins and verdict of `known` follow. Raises RefusedError when
    the name is taken, BackupError when `payload` is not what was stored, and what the store and the cipher raise.
    """
    plain = replace(known, manifest=known.plain)
    name, beside = f"{plain.name}{how.suffix}", sealed_beside(known, how)
    with job.step("seal") as facts, announced(store, name, job), contextlib.ExitStack() as stack:
        upload = begun or stack.enter_context(uploading(store, name, how, is_folder=_is_folder(plain)))
        manifest, place = upload.finish(plain.manifest, payload, job)
        manifest = with_beside(manifest, beside)
        publish(store, place, manifest, job, beside)
        facts.bytes = manifest.size
    for key, content in sealed_records(known, manifest, job):
        put_text(store, key, content)
    return replace(plain, store=store, manifest=as_known(manifest, plain.manifest), evidence=(), pins=())


def sealed_copy_of(backup: Backup, to: Store, keys: Iterable[str]) -> Backup | None:
    """The copy of the plain `backup` in `to`, sealed once or anew since then; None when there is none."""
    mine = re.compile(rf"{re.escape(backup.name)}(\.\d+)?\.\w+{re.escape(MANIFEST_SUFFIX)}")
    for key in sorted(key for key in keys if mine.fullmatch(key)):
        manifest = read_manifest(to, key)
        if manifest.job_id == backup.manifest.job_id:
            return replace(backup, store=to, manifest=manifest, evidence=())
    return None


def _put_sealed(backup: Backup, payload: Path, to: Store, how: Sealing, job: Job) -> Manifest:
    """Put the payload into the store, encrypted; the manifest of what is there."""
    name = f"{backup.name}{how.suffix}"
    with uploading(to, name, how, is_folder=_is_folder(backup)) as upload:
        manifest, place = upload.finish(backup.manifest, payload, job)
        if place is not None:
            to.put(name, place)
    return manifest


def _is_folder(backup: Backup) -> bool:
    return "/" in backup.manifest.files[0].path


def _publish(copy: Backup, records: Iterable[tuple[str, bytes]]) -> Backup:
    manifest: Manifest = copy.manifest
    for key, content in records:
        put_text(copy.store, key, content)
    put_text(copy.store, checksum_key(copy.name), checksum_content(manifest))
    put_text(copy.store, manifest_key(copy.name), manifest_files.to_json(manifest))
    return replace(copy, evidence=())
