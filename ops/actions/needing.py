"""Backups that need others: which those are in a store, whether a new one may build on them, and all of them fetched."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, TypeVar, cast

from ops.actions.catalogue import Backup, find_backup, read_manifest
from ops.actions.inspection import check_sizes, check_stored_files, fetch_payload
from ops.errors import BackupError, OpsError
from ops.fsio.staging import make_private_folder
from ops.model import Finding, Manifest, Severity, worst
from ops.naming import MANIFEST_SUFFIX
from ops.needs import Need, needs_of
from ops.ports import Dependent, Fetched, LocalFiles, Store
from ops.progress import Progress
from ops.sealed_manifest import is_sealed

MOST_NEEDED: Final = 50
"""Backups that one may need: as many must be fetched, and be right, to restore it."""
_S = TypeVar("_S")


def needed_backups(backup: Backup) -> list[Backup]:
    """The backups that `backup` needs, from its own store; raises BackupError (`backup.needed_missing`) for one that is gone."""
    needs = needs_of(backup.manifest)
    keys = [stored.key for stored in backup.store.list()] if needs else []
    return [_found(backup, need, keys) for need in needs]


def _found(backup: Backup, need: Need, keys: Iterable[str]) -> Backup:
    manifest = copy_of(need, backup.store, keys)
    if manifest is None:
        message = f"{backup.name} needs {need.backup}, which is not in store {backup.store.name!r}"
        hint = "pull it from another store, or use an older backup that is whole by itself"
        raise BackupError(message, code="backup.needed_missing", hint=hint)
    return replace(backup, manifest=manifest, evidence=(), pins=(), bad_pins=())


def copy_of(need: Need, store: Store, keys: Iterable[str]) -> Manifest | None:
    """The manifest of the needed backup in `store`, plain or sealed; None when none of the `keys` there is it."""
    mine = re.compile(rf"{re.escape(need.backup)}((\.\d+)?\.\w+)?{re.escape(MANIFEST_SUFFIX)}")
    for key in sorted(key for key in keys if mine.fullmatch(key)):
        manifest = read_manifest(store, key)
        if manifest.job_id == need.job_id:
            return manifest
    return None


def base_in(store: Store, former: Manifest, full_every: timedelta, now: datetime) -> Manifest | None:
    """`former`, when a new backup may build on it; None when a whole one must be taken.

    It and all that it needs must be there in full and not known to be bad, none older than `full_every`.
    """
    try:
        base = find_backup(store, former.payload)
        all_of_them = [base, *(find_backup(store, item.name) for item in needed_backups(base))]
    except OpsError:
        return None
    oldest = min(item.manifest.created_at for item in all_of_them)
    sound = all(
        item.good is not False and not is_sealed(item.manifest) and not check_sizes(item)
        for item in all_of_them
    )
    if not sound or len(all_of_them) > MOST_NEEDED or now - oldest > full_every:
        return None
    return base.manifest


def fetch_needed(backup: Backup, folder: Path, progress: Progress) -> tuple[list[Fetched], list[Finding]]:
    """The payloads of all that `backup` needs, each compared with its own manifest, and what is wrong with them.

    They lie below the private `folder`, or where the store has them. Raises ToolError when a sealed one can not be
    opened here.
    """
    try:
        needed = needed_backups(backup)
    except BackupError as error:
        finding = Finding(
            severity=Severity.CRITICAL, code=error.code, message=error.message, where=backup.name
        )
        return [], [finding]
    fetched, findings = [], []
    for number, item in enumerate(needed):
        one, found = _fetch(item, folder / f"needed-{number}", progress)
        fetched.append(one)
        findings += [_of_needed(finding, item) for finding in found if finding.severity is Severity.CRITICAL]
    if needed and not findings:
        names = ", ".join(item.name for item in needed)
        message = f"what it needs is there as recorded: {names}"
        findings.append(Finding(severity=Severity.OK, code="backup.needed", message=message))
    return fetched, findings


def _fetch(backup: Backup, folder: Path, progress: Progress) -> tuple[Fetched, list[Finding]]:
    if findings := check_sizes(backup):
        return Fetched(folder, folder, backup.plain), findings
    if isinstance(backup.store, LocalFiles) and not is_sealed(backup.manifest):
        place = backup.store.path_of(backup.name)
        return Fetched(place, place.parent, backup.manifest), check_stored_files(backup, progress)
    make_private_folder(folder)
    payload, findings = fetch_payload(backup, folder, progress)
    return Fetched(payload, folder, backup.plain), findings


def _of_needed(finding: Finding, backup: Backup) -> Finding:
    message = f"{backup.name}, which it needs: {finding.message}"
    return replace(finding, code="backup.needed_damaged", message=message, where=backup.name)


def fetch_whole(backup: Backup, folder: Path, progress: Progress) -> tuple[list[Fetched], list[Finding]]:
    """The plain payload in `folder`, and behind it those that it needs; what was found. See `fetch_payload`."""
    payload, findings = fetch_payload(backup, folder, progress)
    if worst(findings) is Severity.CRITICAL:
        return [], findings
    needed, more = fetch_needed(backup, folder, progress)
    return [Fetched(payload, folder, backup.plain), *needed], [*findings, *more]


def with_needed(source: _S, needed: Sequence[Fetched]) -> _S:
    """The same source, which finds the needed payloads; for a backup that needs none, itself."""
    if needed and isinstance(source, Dependent):
        return cast("_S", source.with_needed(needed))
    return source
