"""Fetch a stored payload, and those that it needs, into a private folder, compared with the manifest on the way."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from ops.driverkit.spoken_names import spoken_names
from ops.errors import BackupError, CipherError, NotFoundError, StoreError
from ops.formats.encrypted_manifest import cipher_kind, is_sealed
from ops.fsio.atomic import make_private_folder
from ops.fsio.scratch import scratch_folder
from ops.model.findings import Finding, Severity
from ops.model.manifest import FileEntry, Payload
from ops.ports.store import LocalFiles
from ops.repository.backup import Backup
from ops.repository.dependencies import needed_backups
from ops.repository.encrypt import opened, opened_where_possible, unseal_payload
from ops.repository.integrity import (
    check_sizes,
    check_stored_files,
    check_strays,
    compare_file,
    critical,
    payload_gone,
    summed_up,
)
from ops.repository.second_look import confirmed, judged, look_through, look_to_restore, stops
from ops.run.job import Job
from ops.run.progress import Progress


def path_in_store(backup: Backup) -> Path | None:
    """Return where the stored payload lies on this machine; None where the store has no files here."""
    store = backup.store
    return store.path_of(backup.name) if isinstance(store, LocalFiles) else None


def fetch_stored(backup: Backup, folder: Path, progress: Progress) -> list[Finding]:
    """The stored files of the payload copied into `folder`, and whether they arrived as recorded.

    What did not is read once more before it is called damaged.
    """
    found = [_fetch_file(backup, entry, folder, progress) for entry in backup.manifest.files]
    return confirmed(backup, summed_up(backup, found), lambda one: check_stored_files(one, progress))


def _fetch_file(backup: Backup, entry: FileEntry, folder: Path, progress: Progress) -> Finding:
    target = folder / entry.path
    make_private_folder(target.parent)
    try:
        with spoken_names(entry.path):
            digest = backup.store.get(entry.path, target, progress)
    except NotFoundError:
        return payload_gone(entry.path)
    return compare_file(entry, digest, target.stat().st_size)


def fetch_payload(backup: Backup, folder: Path, progress: Progress) -> tuple[Path, list[Finding]]:
    """The payload copied into `folder` and opened where it is sealed, and whether all is as recorded.

    Its digests are of what arrived. Raises ToolError when a sealed one cannot be opened here.
    """
    found = fetch_stored(backup, folder, progress)
    if not is_sealed(backup.manifest) or stops(found):
        return folder / backup.plain.payload, found
    try:
        backup = opened(backup, folder)
        payload = unseal_payload(backup, folder, progress)
    except CipherError as error:
        return folder / backup.plain.payload, [*found, judged(error, backup.name)]
    message = f"opened with {cipher_kind(backup.manifest)}; every plain file as recorded"
    return payload, [*found, Finding(severity=Severity.OK, code="backup.opened", message=message)]


def can_be_opened(backup: Backup) -> bool:
    """Whether it is plain, or a key may be at hand; it is not tried."""
    return not is_sealed(backup.manifest) or any(cipher.can_open for cipher in backup.openers)


def fetch_needed(backup: Backup, folder: Path, progress: Progress) -> tuple[list[Payload], list[Finding]]:
    """The payloads of all that `backup` needs, each compared with its own manifest, and what is wrong with them.

    They lie below the private `folder`, or where the store has them. Raises ToolError when a sealed one cannot be
    opened here.
    """
    try:
        needed = needed_backups(backup)
    except BackupError as error:
        return [], [critical(error, backup.name)]
    fetched, findings = [], []
    for number, item in enumerate(needed):
        one, found = _fetch(item, folder / f"needed-{number}", progress)
        fetched.append(one)
        findings += [_of_needed(finding, item) for finding in found if finding.severity is not Severity.OK]
        if item.store in backup.elsewhere:
            findings.append(_elsewhere(item, backup))
    if needed and not stops(findings):
        names = ", ".join(item.name for item in needed)
        message = f"what it needs is there as recorded: {names}"
        findings.append(Finding(severity=Severity.OK, code="backup.needed", message=message))
    return fetched, findings


def look_at_needed(backup: Backup, progress: Progress) -> list[Finding]:
    """What is wrong with the stored bytes of all that `backup` needs: for whom no key is here that opens them."""
    try:
        needed = needed_backups(backup)
    except BackupError as error:
        return [critical(error, backup.name)]
    findings = []
    for item in needed:
        found = [*look_to_restore(item, progress), *look_through(item, progress)]
        findings += [_of_needed(one, item) for one in found if one.severity is not Severity.OK]
        if item.store in backup.elsewhere:
            findings.append(_elsewhere(item, backup))
    return findings


def _elsewhere(needed: Backup, backup: Backup) -> Finding:
    message = (
        f"{needed.name}, which it needs, is gone from store {backup.store.name!r}; the copy in {needed.store.name!r} was taken:"
        f" bring it back (store.pull {needed.store.name}:{needed.name})"
    )
    return Finding(
        severity=Severity.WARNING, code="backup.needed_elsewhere", message=message, where=needed.name
    )


def _fetch(backup: Backup, folder: Path, progress: Progress) -> tuple[Payload, list[Finding]]:
    beside = [item for item in look_to_restore(backup, progress) if item.severity is not Severity.OK]
    if stops(beside):
        return Payload(folder, folder, backup.plain), beside
    if isinstance(backup.store, LocalFiles) and not is_sealed(backup.manifest):
        place = backup.store.path_of(backup.name)
        return Payload(place, place.parent, backup.manifest), [*beside, *look_through(backup, progress)]
    make_private_folder(folder)
    payload, findings = fetch_payload(backup, folder, progress)
    return Payload(payload, folder, opened_where_possible(backup, folder).plain), [*beside, *findings]


def _of_needed(finding: Finding, backup: Backup) -> Finding:
    message = f"{backup.name}, which it needs: {finding.message}"
    if finding.severity is not Severity.CRITICAL:
        return replace(finding, message=message)
    return replace(finding, code="backup.needed_damaged", message=message, where=backup.name)


def fetch_whole(backup: Backup, folder: Path, progress: Progress) -> tuple[Payload | None, list[Finding]]:
    """The plain payload in `folder`, with those that it needs; None where it did not arrive. See `fetch_payload`."""
    payload, findings = fetch_payload(backup, folder, progress)
    if stops(findings):
        return None, findings
    known = opened_where_possible(backup, folder)
    needed, more = fetch_needed(known, folder, progress)
    return Payload(payload, folder, known.plain, tuple(needed)), [*findings, *more]


@contextlib.contextmanager
def payload_here(backup: Backup, scratch: Path, job: Job, *, compared_later: bool = False) -> Iterator[Path]:
    """The payload as a file or folder on this machine, after every byte was compared with the manifest.

    With `compared_later` only sizes are, where the files are here: who reads them compares.
    """
    if isinstance(backup.store, LocalFiles):
        findings = confirmed(
            backup,
            check_sizes(backup),
            lambda one: [*check_stored_files(one, job.progress), *check_strays(one)],
        )
        if not findings and not compared_later:
            findings = look_through(backup, job.progress)
        _require_right(backup, findings)
        yield backup.store.path_of(backup.name)
        return
    with scratch_folder(scratch) as folder:
        _require_right(backup, fetch_stored(backup, folder, job.progress))
        yield folder / backup.name


def _require_right(backup: Backup, findings: Iterable[Finding]) -> None:
    bad = [item for item in findings if stops([item])]
    if bad and bad[0].blocking:
        message = f"{backup.name} is not copied, because it cannot be read as it should: {bad[0].message}"
        raise StoreError(message, code=bad[0].code, hint="look at the store, then run it again")
    if bad:
        message = f"{backup.name} is not copied, because it is damaged: {bad[0].message}"
        hint = "take a new backup; use a copy in another store, if there is one"
        raise BackupError(message, code=bad[0].code, hint=hint)
