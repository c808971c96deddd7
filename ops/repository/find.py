"""The backup that somebody means."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final, TypeVar

from ops.errors import BackupError, NotFoundError
from ops.formats.names import CHECKSUM_SUFFIX, MANIFEST_SUFFIX, manifest_key, payload_of_record
from ops.model.findings import Finding
from ops.model.manifest import Manifest
from ops.model.series import Whose
from ops.ports.store import Store
from ops.repository.backup import Backup
from ops.repository.catalog import read_manifest, read_named
from ops.repository.identity import read_identity
from ops.repository.integrity import critical
from ops.repository.listing import list_backups, unread_manifests
from ops.repository.newest import newest_of
from ops.repository.series import Foreign, Own, adopt_command, foreign_series
from ops.run.job import utc_now

Read = TypeVar("Read")
OTHER_SERIES: Final = "backup.other_series"
"""The code of the error that only other series of a name have backups."""


def find_backup(
    store: Store, reference: str, *, whose: Whose | None = None, cache: Path | None = None, task: str = ""
) -> Backup:
    """Return what `reference` names: `latest` (of the source, if given), or a name as `backup.list` prints it.

    `cache`: the folder with what listings remember; `task`: what to run with another name, where it is another series
    that may be meant. Raises BackupError when there is none, or when its manifest cannot be read.
    """
    if reference != "latest":
        read_identity(store)
        beside = payload_of_record(reference) or reference
        return read_named(store, beside.removesuffix(MANIFEST_SUFFIX).removesuffix(CHECKSUM_SUFFIX))
    newest = newest_of(store, whose, cache)
    backup, unread = newest_readable(store, (item.name for item in newest.backups if not item.is_safety))
    if backup is not None:
        return backup
    if said := [*newest.findings, *unread]:
        message = f"no backup in store {store.name!r} ({store.location}) can be read that might be meant: {said[0].message}"
        hint = "look at all of them with backup.list; a damaged manifest may be whole in another store"
        raise BackupError(message, code=said[0].code, hint=hint)
    if (
        whose is not None
        and newest.own is not None
        and any(mark.source == whose.name for mark in newest.marks)
    ):
        listing = list_backups(store, cache)
        others = foreign_series(whose, newest.own, listing.rows.as_list(), utc_now())
        if others:
            raise others_meant(store, whose, others, task or "backup.show")
    of = f" of source {whose.name!r}" if whose else ""
    message = f"there is no backup{of} in store {store.name!r} ({store.location})"
    raise BackupError(message, hint="take one first", command="backup.create --verify")


def latest_of_name(store: Store, name: str, cache: Path | None, task: str) -> Backup:
    """Return the latest backup of a source that is not configured here; where more than one series has its name, none is.

    Raises BackupError, also (`backup.other_series`) where more than one is meant.
    """
    listing = list_backups(store, cache)
    nobody = Whose(name=name, kind="", location="", declared="a source that is not configured here")
    others = foreign_series(nobody, Own(None, frozenset()), listing.rows.as_list(), utc_now())
    if len(others) > 1:
        raise others_meant(store, nobody, others, task)
    backup, unread = newest_readable(store, (row.name for item in others for row in item.rows))
    if backup is None:
        said = [*unread_manifests(listing), *unread]
        message = f"there is no backup of source {name!r} in store {store.name!r} ({store.location})"
        hint = said[0].message if said else "names are as backup.list prints them"
        raise BackupError(message, hint=hint, command="backup.list")
    return backup


def others_meant(store: Store, whose: Whose, others: Sequence[Foreign], task: str) -> BackupError:
    """Return the error that names the newest and the newest proven backup of each other series, with the command for it."""
    choices = []
    for item in others:
        found = {"newest": item.rows[0], "newest proven": item.proven}
        for word, row in found.items():
            if row is None or (word != "newest" and row is found["newest"]):
                continue
            words = "newest and proven" if row is item.proven and word == "newest" else word
            about = f"series {item.shown}, {item.where}: {words}, {row.created_at:%Y-%m-%d %H:%M}Z"
            choices.append((f"{task} {shlex.quote(f'{store.name}:{row.name}')}", about))
        if not item.lives:
            about = f"series {item.shown} is this source before it was moved or renamed"
            choices.append((adopt_command(whose, item), about))
    where = f"{whose.host}, {whose.location}" if whose.host else whose.location
    message = (
        f"store {store.name!r} ({store.location}) has no backup of {whose.name!r} as it is configured here ({where});"
        f" other series have that name: {len(others)}. Nothing was done"
    )
    hint = "where one of them is meant, name its backup in full"
    return BackupError(message, code=OTHER_SERIES, hint=hint, choices=choices)


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
        except NotFoundError:
            return read_named(store, name).manifest  # raises with what is still there of it

    return _first(names, read)


def _first(names: Iterable[str], read: Callable[[str], Read]) -> tuple[Read | None, list[Finding]]:
    findings: list[Finding] = []
    for name in names:
        try:
            return read(name), findings
        except NotFoundError:
            continue
        except BackupError as error:
            findings.append(critical(error, manifest_key(name)))
    return None, findings
