"""The backup that somebody means."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ops.errors import BackupError
from ops.formats.names import CHECKSUM_SUFFIX, MANIFEST_SUFFIX, manifest_key
from ops.model.findings import Finding
from ops.ports.store import Store
from ops.repository.backup import Backup
from ops.repository.catalog import read_named
from ops.repository.identity import read_identity
from ops.repository.integrity import critical
from ops.repository.listing import list_backups, rows_of
from ops.repository.listing_row import Listed


def find_backup(
    store: Store, reference: str, *, source: str | None = None, cache: Path | None = None
) -> Backup:
    """Return what `reference` names: `latest` (of `source`, if given), or a name as `backup.list` prints it.

    `cache`: the folder with what listings remember. Raises BackupError when there is none, or when its manifest
    cannot be read.
    """
    if reference != "latest":
        read_identity(store)
        return read_named(store, reference.removesuffix(MANIFEST_SUFFIX).removesuffix(CHECKSUM_SUFFIX))
    backup, _ = newest_readable(store, rows_of(list_backups(store, cache), source))
    if backup is None:
        of = f" of source {source!r}" if source else ""
        message = f"there is no backup{of} in store {store.name!r} ({store.location})"
        raise BackupError(message, hint="take one first", command="backup.create --verify")
    return backup


def newest_readable(store: Store, rows: Iterable[Listed]) -> tuple[Backup | None, list[Finding]]:
    """Return the first of the rows, read from its own files, and what before it could not be read; None without any.

    What a listing remembers may have been deleted since, or damaged by the disk without a sign of it.
    """
    findings: list[Finding] = []
    for row in rows:
        try:
            return read_named(store, row.name), findings
        except BackupError as error:
            if error.code != "backup.not_found":
                findings.append(critical(error, manifest_key(row.name)))
    return None, findings
