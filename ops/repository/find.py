"""The backup that somebody means."""

from __future__ import annotations

from pathlib import Path

from ops.errors import BackupError
from ops.formats.names import CHECKSUM_SUFFIX, MANIFEST_SUFFIX
from ops.ports.store import Store
from ops.repository.backup import Backup
from ops.repository.catalog import read_named
from ops.repository.identity import read_identity
from ops.repository.listing import list_backups, rows_of


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
    rows = rows_of(list_backups(store, cache), source)
    if not rows:
        of = f" of source {source!r}" if source else ""
        message = f"there is no backup{of} in store {store.name!r} ({store.location})"
        raise BackupError(message, hint="take one first", command="backup.create --verify")
    return read_named(store, rows[0].name)
