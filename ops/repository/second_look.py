"""What seems wrong with stored files is looked at once more before anybody is told that a backup is bad.

A listing may be stale, a server may answer with half of a file, a disk may have gone. Only what two looks over two
connections agree on says something about the backup; all else says something about its store.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Final

from ops.errors import OpsError
from ops.formats.names import manifest_key
from ops.model.blame import says_damage
from ops.model.findings import Finding, Severity, worst
from ops.repository.backup import Backup
from ops.repository.catalog import read_manifest
from ops.repository.integrity import (
    check_checksum_file,
    check_sizes,
    check_stored_files,
    check_strays,
    critical,
    undecided,
)
from ops.repository.own_manifest import check_own_manifest
from ops.run.progress import Progress

Look = Callable[[Backup], Sequence[Finding]]


_ABOUT_SIZE: Final = {"backup.size_mismatch", "backup.payload_missing"}


def judged(error: OpsError, where: str = "") -> Finding:
    """Return what an error on the way to a verdict says: critical only where data was read and is wrong.

    A connection that was cut, a store that does not answer, credentials that expired, a full disk, a program that is
    missing or was killed leave the question open.
    """
    return critical(error, where) if says_damage(error.code) else undecided(error)


def stops(findings: Iterable[Finding]) -> bool:
    """Return whether there is no use in going on: something is wrong, or could not be looked at."""
    return any(item.severity is Severity.CRITICAL or item.blocking for item in findings)


def look_to_restore(backup: Backup, progress: Progress) -> list[Finding]:
    """Check names and sizes of the payload, and what lies beside it, of which nothing stops a restore.

    What is wrong there, or cannot be read, is a warning: every digest stands in the manifest as well.
    """

    def again(one: Backup) -> list[Finding]:
        return [*check_stored_files(one, progress), *check_strays(one)]

    looks: tuple[Look, ...] = (lambda one: [check_checksum_file(one)], check_own_manifest)
    beside = [_harmless(item) for look in looks for item in _read_or_not(backup, look)]
    return [*beside, *confirmed(backup, check_sizes(backup), again)]


def _read_or_not(backup: Backup, look: Look) -> list[Finding]:
    try:
        return confirmed(backup, look(backup), look)
    except OpsError as error:
        return [undecided(error)]


def _harmless(item: Finding) -> Finding:
    if item.severity is Severity.OK:
        return item
    message = f"{item.message}; the payload is compared with the manifest alone"
    return replace(item, severity=Severity.WARNING, blocking=False, message=message)


def look_beside(backup: Backup, progress: Progress) -> list[Finding]:
    """Check the checksum file, names and sizes; what is wrong is confirmed by what the files hold."""

    def first(one: Backup) -> list[Finding]:
        return [check_checksum_file(one), *check_own_manifest(one), *check_sizes(one)]

    def again(one: Backup) -> list[Finding]:
        return [
            check_checksum_file(one),
            *check_own_manifest(one),
            *check_stored_files(one, progress),
            *check_strays(one),
        ]

    return confirmed(backup, first(backup), again)


def look_through(backup: Backup, progress: Progress) -> list[Finding]:
    """Hash every stored file of the payload; what is wrong is read twice."""
    return confirmed(
        backup, check_stored_files(backup, progress), lambda one: check_stored_files(one, progress)
    )


def confirmed(backup: Backup, first: Sequence[Finding], again: Look) -> list[Finding]:
    """Return the findings of a look; of critical ones only those that `again` makes too, over connections of its own.

    Where two looks differ, or the store does not even have the manifest any more, the question is left open
    (`store.unstable`).
    """
    if worst([*first]) is not Severity.CRITICAL:
        return [*first]
    other = replace(backup, store=backup.store.reconnect())
    rest = [item for item in first if item.severity is not Severity.CRITICAL]
    try:
        now, before = read_manifest(other.store, manifest_key(backup.name)), backup.manifest
        if (now.job_id, now.files) != (before.job_id, before.files):
            return [*rest, _unstable(backup, "its manifest is another one than a moment ago")]
        second = again(other)
        contradiction = _contradiction(other, first)
    except OpsError as error:
        return [*rest, undecided(error)]
    if contradiction:
        return [*rest, _unstable(backup, contradiction)]
    if _facts(first) == _facts(second):
        return [*first]
    said = next(item for item in first if item.severity is Severity.CRITICAL)
    return [*rest, _unstable(backup, f"one look found that {said.message}, and another one did not")]


def _contradiction(backup: Backup, findings: Iterable[Finding]) -> str:
    """Return in what a store contradicts itself that lists a file as it was stored, and gives less, more or nothing.

    What was cut off, filled up or hidden on its way says nothing of what is stored. Empty where it does not. Raises
    StoreError.
    """
    doubtful = {item.where for item in findings if item.code in _ABOUT_SIZE}
    listed = {stored.key: stored.size for stored in backup.store.list(backup.name)} if doubtful else {}
    for entry in backup.manifest.files:
        if doubtful & {entry.path, backup.name} and listed.get(entry.path) == entry.size:
            return (
                f"it lists {entry.path} with {entry.size} bytes, as it was stored, and does not give as many"
            )
    return ""


def _facts(findings: Iterable[Finding]) -> set[tuple[str, str, str, str]]:
    return {
        (item.code, item.where, item.expected, item.found)
        for item in findings
        if item.severity is Severity.CRITICAL
    }


def _unstable(backup: Backup, why: str) -> Finding:
    message = (
        f"store {backup.store.name!r} ({backup.store.location}) does not answer twice in the same way: {why}"
    )
    return Finding(
        severity=Severity.WARNING, code="store.unstable", message=message, where=backup.name, blocking=True
    )
