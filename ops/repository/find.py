"""The backup that somebody means."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from ops.errors import BackupError
from ops.formats.names import CHECKSUM_SUFFIX, MANIFEST_SUFFIX, manifest_key
from ops.model.findings import Finding
from ops.model.manifest import Manifest
from ops.ports.store import Store
from ops.repository.backup import Backup
from ops.repository.catalog import read_manifest, read_named
from ops.repository.identity import read_identity
from ops.repository.integrity import critical
from ops.repository.newest import newest_of

Read = TypeVar("Read")


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
    newest = newest_of(store, source, cache)
    backup, unread = newest_readable(store, (item.name for item in newest.backups if not item.is_safety))
    if backup is None and (said := [*newest.findings, *unread]):
        message = f"no backup in store {store.name!r} ({store.location}) can be read that might be meant: {said[0].message}"
        hint = "look at all of them with backup.list; a damaged manifest may be whole in another store"
        raise BackupError(message, code=said[0].code, hint=hint)
    if backup is None:
        of = f" of source {source!r}" if source else ""
        message = f"there is no backup{of} in store {store.name!r} ({store.location})"
        raise BackupError(message, hint="take one first", command="backup.create --verify")
    return backup


def newest_readable(store: Store, names: Iterable[str]) -> tuple[Backup | None, list[Finding]]:
    """Return the first of these backups, read from its own files, and what before it could not be read; None without any.

    What a listing remembers may have been deleted since, or damaged by the disk without a sign of it.
    """
    return _first(names, lambda name: read_named(store, name))


def newest_manifest(store: Store, names: Iterable[str]) -> tuple[Manifest | None, list[Finding]]:
    """Do the same for manifests alone, without what lies beside them."""

    def read(name: str) -> Manifest:
        try:
            return read_manifest(store, manifest_key(name))
        except BackupError as error:
            if error.code != "backup.not_found":
                raise
            return read_named(store, name).manifest  # raises with what is still there of it

    return _first(names, read)


def _first(names: Iterable[str], read: Callable[[str], Read]) -> tuple[Read | None, list[Finding]]:
    findings: list[Finding] = []
    for name in names:
        try:
            return read(name), findings
        except BackupError as error:
            if error.code != "backup.not_found":
                findings.append(critical(error, manifest_key(name)))
    return None, findings
