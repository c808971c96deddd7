"""The order in which a backup appears in its store: payload, checksum file, manifest last."""

from __future__ import annotations

from pathlib import Path

from ops.formats import manifest as manifest_files
from ops.formats.names import checksum_key, checksum_text, manifest_key
from ops.fsio.atomic import translated_write_errors
from ops.model.manifest import Manifest
from ops.ports import Store


def publish(store: Store, staged: Path | None, manifest: Manifest) -> None:
    """Payload (None: it is there already), checksum, manifest: each durable before the next, the manifest's name last.

    The manifest is staged first, so that a run killed in between leaves word of what it was publishing.
    """
    name = manifest.payload
    published = [name] if staged is None else []
    try:
        with (
            store.stage(manifest_key(name)) as staged_manifest,
            store.stage(checksum_key(name)) as staged_checksum,
        ):
            with translated_write_errors(staged_manifest):
                staged_manifest.write_bytes(manifest_files.to_json(manifest))
            with translated_write_errors(staged_checksum):
                staged_checksum.write_text(checksum_text(manifest.files), "utf-8", "surrogateescape")
            if staged is not None:
                store.put(name, staged)
                published.append(name)
            for key, file in ((checksum_key(name), staged_checksum), (manifest_key(name), staged_manifest)):
                store.put(key, file)
                published.append(key)
    except BaseException:
        # Also when the process is told to end: without its manifest it is no backup, only a large file.
        for key in published:
            store.delete(key)
        raise
