"""A backup sealed on its way into a store: payload, checksum file, what is known of it, and last the manifest.

Plain text is only in the source, in plain stores and in private scratch places, never in the store that seals.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from ops import manifest as manifest_files
from ops.actions.backup import publish
from ops.actions.catalogue import Backup, read_manifest
from ops.actions.placing import checksum_content, conflict, is_about, put_text, require_arrived
from ops.actions.sealing import Sealing, seal_payload, sealed_records
from ops.errors import RefusedError
from ops.fsio.scratch import scratch_folder
from ops.fsio.space import require_room
from ops.fsio.staging import PRIVATE_FILE, PRIVATE_FOLDER
from ops.joblog import Job
from ops.model import Manifest
from ops.naming import MANIFEST_SUFFIX, checksum_key, manifest_key
from ops.ports import LocalFiles, Store


def copy_sealed(backup: Backup, payload: Path, to: Store, how: Sealing, job: Job) -> Backup:
    """The copy of the plain `backup` in the store `to`, made from `payload` when it is not there yet.

    Sealed twice, the same is never the same: what is left of a copy that was cut off is sealed anew. Raises StoreError
    (`store.conflict`) when something else has its name, BackupError when `payload` is not what was stored, and what
    the store and the cipher raise.
    """
    name = f"{backup.name}{how.suffix}"
    there = {file.key for file in to.list()}
    if (copy := sealed_copy_of(backup, to, there)) is not None:
        return copy
    if manifest_key(name) in there:
        raise conflict(name, to)
    with _place_to_seal(backup, to, name, how.scratch) as place:
        manifest = seal_payload(backup, payload, how, place, job.progress)
        for left in [key for key in there if key == checksum_key(name) or is_about(key, name)]:
            to.delete(left)
        _put_anew(to, name, place)
    require_arrived(manifest, to)
    return _publish(replace(backup, store=to, manifest=manifest), sealed_records(backup, manifest, job))


def publish_sealed(known: Backup, payload: Path, store: Store, how: Sealing, job: Job) -> Backup:
    """A new backup in `store`: the plain `payload` of `known`, sealed; its manifest is published last.

    Pins and verdict of `known` follow. Raises RefusedError when the name is taken, BackupError when `payload` is not what
    was stored, and what the store and the cipher raise.
    """
    plain = replace(known, manifest=known.plain)
    name = f"{plain.name}{how.suffix}"
    with job.step("seal") as facts, _place_to_seal(plain, store, name, how.scratch) as place:
        manifest = seal_payload(plain, payload, how, place, job.progress)
        facts.bytes = manifest.size
        publish(store, place, manifest)
    for key, content in sealed_records(known, manifest, job):
        put_text(store, key, content)
    return replace(plain, store=store, manifest=manifest, evidence=(), pins=())


def sealed_copy_of(backup: Backup, to: Store, keys: Iterable[str]) -> Backup | None:
    """The copy of the plain `backup` in `to`, sealed once or anew since then; None when there is none."""
    mine = re.compile(rf"{re.escape(backup.name)}(\.\d+)?\.\w+{re.escape(MANIFEST_SUFFIX)}")
    for key in sorted(key for key in keys if mine.fullmatch(key)):
        manifest = read_manifest(to, key)
        if manifest.job_id == backup.manifest.job_id:
            return replace(backup, store=to, manifest=manifest, evidence=())
    return None


@contextlib.contextmanager
def _place_to_seal(backup: Backup, to: Store, name: str, scratch: Path) -> Iterator[Path]:
    """Where the sealed payload is made: in the store where that has files here, else in a scratch place."""
    folder, room = "/" in backup.manifest.files[0].path, backup.manifest.size * 101 // 100 + (1 << 20)
    if isinstance(to, LocalFiles):
        require_room(to.path_of(name).parent, room)
        with to.stage(name, folder=folder) as staged:
            yield staged
        return
    require_room(scratch, room)
    with scratch_folder(scratch) as private:
        place = private / "sealed"
        place.mkdir(PRIVATE_FOLDER) if folder else place.touch(PRIVATE_FILE)
        yield place


def _put_anew(to: Store, name: str, payload: Path) -> None:
    """Put a payload whose manifest is not there: what has its name is left of a copy that was cut off.

    It is asked to go only then, so that keys which may not delete are enough for all else.
    """
    try:
        to.put(name, payload)
    except RefusedError as error:
        if error.code != "refused.name_taken":
            raise
        to.delete(name)
        to.put(name, payload)


def _publish(copy: Backup, records: Iterable[tuple[str, bytes]]) -> Backup:
    manifest: Manifest = copy.manifest
    put_text(copy.store, checksum_key(copy.name), checksum_content(manifest))
    for key, content in records:
        put_text(copy.store, key, content)
    put_text(copy.store, manifest_key(copy.name), manifest_files.to_json(manifest))
    return replace(copy, evidence=())
