"""Check a stored payload where it lies, and a restored copy against what its manifest recorded."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar, cast

from ops.errors import OpsError
from ops.formats.dependencies import needs_of
from ops.formats.encrypted_manifest import cipher_kind, is_closed, is_sealed
from ops.model.compare_measures import compare_measures
from ops.model.findings import Finding, Severity
from ops.model.manifest import Fetched, Measures
from ops.ports.source import Copy, Dependent, Source
from ops.repository.backup import Backup
from ops.repository.fetch import can_be_opened, fetch_payload, path_in_store
from ops.repository.second_look import judged, stops
from ops.run.progress import Progress

_S = TypeVar("_S")


def room_to_open(backup: Backup, source: Source) -> int:
    """Bytes that restoring it into a scratch place needs, with all that it needs; a sealed one lies there twice for a moment."""
    sealed = backup.manifest.size if is_sealed(backup.manifest) else 0
    needed = sum(need.size for need in needs_of(backup.manifest))
    if is_closed(backup.manifest):
        # What the kind would say is encrypted as well: whoever cannot open that opens no payload either.
        return 2 * (sealed + needed)
    return source.room_to_load(backup.plain) + sealed + needed * (2 if sealed else 1)


def check_in_place(backup: Backup, source: Source, scratch: Path, progress: Progress) -> list[Finding]:
    """The kind's look at the stored payload, where it lies if it can be opened there."""
    sealed = is_sealed(backup.manifest)
    place = None if sealed else path_in_store(backup)
    if place is not None:
        return source.inspect(place, backup.manifest)
    if not can_be_opened(backup):
        message = f"sealed with {cipher_kind(backup.manifest)}: nobody looked inside, because no key is here"
        return [Finding(severity=Severity.OK, code="backup.sealed", message=message)]
    payload, findings = fetch_payload(backup, scratch, progress)
    if stops(findings):
        return findings
    return [*findings, *source.inspect(payload, backup.plain)]


def check_restored(copy: Copy, recorded: Measures, progress: Progress) -> list[Finding]:
    """All checks of the kind on a restored copy, and its measures against those of the manifest.

    Both run at once, mostly inside the database.
    """
    progress.step("checking and measuring the restored copy")
    with ThreadPoolExecutor(1) as pool:
        checking = pool.submit(copy.check)
        measured = _compare(copy, recorded)
        return [*copy.findings, *checking.result(), *measured]


def _compare(copy: Copy, recorded: Measures) -> list[Finding]:
    try:
        expected = copy.expected(recorded)
        found = copy.measure(expected)
    except OpsError as error:
        return [judged(error, "measure")]
    return compare_measures(expected, found)


def with_needed(source: _S, needed: Sequence[Fetched]) -> _S:
    """The same source, which finds the needed payloads; for a backup that needs none, itself."""
    if needed and isinstance(source, Dependent):
        return cast("_S", source.with_needed(needed))
    return source
