"""Copying a snapshot with its checksum file to another folder, on any file system, and proving the copy."""

from __future__ import annotations

from pathlib import Path

from ops.errors import RefusedError, SnapshotError
from ops.formats.names import CHECKSUM_SUFFIX
from ops.fsio.atomic import make_private_folder, translated_write_errors
from ops.fsio.copy import copy_with_sha256
from ops.fsio.leftovers import staged_beside
from ops.fsio.output import opened_file
from ops.model.findings import Finding
from ops.snapshots.checksum_file import recorded_digest
from ops.snapshots.compare_checksums import critical
from ops.snapshots.publish import publish_pair


def archive_pair(path: Path, archive: Path) -> Finding | None:
    """None when `archive` holds the snapshot and its checksum file, durably; else why it must not be removed here.

    A snapshot that is not what its checksum file says is not copied, and neither is one whose name the archive has
    with other content. Raises SpaceError or StoreError when the archive cannot be written.
    """
    try:
        recorded = recorded_digest(path.with_name(path.name + CHECKSUM_SUFFIX), path)
    except SnapshotError as error:
        return critical(error.code, error.message, path.name)
    make_private_folder(archive)
    with opened_file(path) as source, staged_beside(archive, path.name) as staged:
        with translated_write_errors(staged.path):
            sha256 = copy_with_sha256(source, staged.descriptor, path.stat().st_size)
        if sha256 != recorded:
            message = "it is not what its checksum file says, so it was not archived and stays"
            return critical("snapshot.checksum_mismatch", message, path.name, expected=recorded, found=sha256)
        try:
            publish_pair(staged, archive / path.name, sha256, replace=False)
        except RefusedError as error:
            return critical(error.code, error.message, path.name)
    return None
