"""Backups that need others: which those are in a store, whether a new one may build on them, and all of them fetched."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from ops.errors import BackupError, OpsError
from ops.formats.dependencies import Need, needs_of
from ops.formats.encrypted_manifest import is_closed, plain_manifest
from ops.formats.names import MANIFEST_SUFFIX
from ops.model.findings import Finding, Severity
from ops.model.manifest import Manifest
from ops.ports.store import Store
from ops.repository.backup import Backup
from ops.repository.catalog import read_manifest
from ops.repository.encrypt import is_for_current_keys
from ops.repository.find import find_backup
from ops.repository.integrity import check_sizes
from ops.repository.repository import Repository

MOST_NEEDED: Final = 50
"""Backups that one may need: as many must be fetched, and be right, to restore it."""


def needed_backups(backup: Backup) -> list[Backup]:
    """The backups that `backup` needs, from its own store, else from one that it names beside that.

    Raises BackupError (`backup.needed_missing`) for one that is gone.
    """
    needs = needs_of(backup.manifest)
    own = backup.needs_in or backup.store
    keys = [stored.key for stored in own.list()] if needs else []
    return [_found(backup, need, keys) for need in needs]


def _found(backup: Backup, need: Need, keys: Sequence[str]) -> Backup:
    store = backup.needs_in or backup.store
    manifest = copy_of(need, store, keys)
    for other in backup.elsewhere if manifest is None else ():
        # One that cannot be read now is not what is missing.
        with contextlib.suppress(OpsError):
            manifest = copy_of(need, other, [stored.key for stored in other.list(need.backup)])
        if manifest is not None:
            store = other
            break
    if manifest is None:
        message = (
            f"{backup.name} needs {need.backup}, which is not in store {backup.store.name!r}. Where another store has it,"
            f" bring it back (store.pull STORE:{need.backup}) or use the copy there (STORE:{backup.name});"
            " else use an older backup that is whole by itself"
        )
        raise BackupError(message, code="backup.needed_missing")
    return replace(backup, store=store, manifest=manifest, evidence=(), pins=(), bad_pins=())


def copy_of(need: Need, store: Store, keys: Iterable[str]) -> Manifest | None:
    """The manifest of the needed backup in `store`, plain or sealed; None when none of the `keys` there is it."""
    mine = re.compile(rf"{re.escape(need.backup)}((\.\d+)?\.\w+)?{re.escape(MANIFEST_SUFFIX)}")
    for key in sorted(key for key in keys if mine.fullmatch(key)):
        manifest = read_manifest(store, key)
        if manifest.job_id == need.job_id:
            return manifest
    return None


def base_in(
    to: Repository, former: Manifest, full_every: timedelta, now: datetime
) -> tuple[Manifest | None, list[Finding]]:
    """`former` as it was before it was encrypted, when a new backup may build on it (else a full one is due), and what to say.

    It and all that it needs must be there in full, not known to be bad, none older than `full_every`, and readable with the
    keys of today: else the new backup would need those of yesterday. What it holds must be known here.
    """
    if is_closed(former):
        return None, []
    try:
        base = find_backup(to.store, former.payload)
        all_of_them = [base, *(find_backup(to.store, item.name) for item in needed_backups(base))]
    except OpsError:
        return None, []
    oldest = min(item.manifest.created_at for item in all_of_them)
    sound = all(item.good is not False and not check_sizes(item) for item in all_of_them)
    if not sound or len(all_of_them) > MOST_NEEDED or now - oldest > full_every:
        return None, []
    for item in all_of_them:
        if not is_for_current_keys(item, to.encryption, to.scratch):
            return None, [_of_other_keys(item)]
    return plain_manifest(former), []


def _of_other_keys(backup: Backup) -> Finding:
    message = f"this is a full backup: it is not certain that the keys of today open {backup.name}, on which it would have been built"
    return Finding(severity=Severity.OK, code="backup.base_other_keys", message=message, where=backup.name)
