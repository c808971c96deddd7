"""One backup, fetched, loaded and checked: the one way in which verify (full), drill and restore do that.

What is done about what is found differs: a look collects it, a restore ends at once where it may not go on. That is
decided by a `Judge`.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from ops.driverkit.composite import of_member
from ops.errors import OpsError
from ops.formats.dependencies import needs_of
from ops.formats.encrypted_manifest import cipher_kind, is_closed, is_sealed
from ops.formats.manifest import payload_sha256
from ops.fsio.atomic import make_private_folder
from ops.model.compare_measures import compare_measures
from ops.model.evidence import Phase
from ops.model.findings import Finding, Severity
from ops.model.manifest import Manifest, Measures, Payload
from ops.ports.source import Copy, CopyOfMembers, Source
from ops.repository.backup import Backup
from ops.repository.fetch import (
    can_be_opened,
    fetch_needed,
    fetch_payload,
    fetch_whole,
    look_at_needed,
    path_in_store,
)
from ops.repository.locks import being_judged
from ops.repository.second_look import judged, look_beside, stops
from ops.run.job import Job
from ops.run.progress import Progress

Loading = Callable[[Payload], AbstractContextManager[Copy]]
"""How a fetched payload becomes usable data: a source's `load`, or the `build` of a target."""


class Judge(Protocol):
    """Decides what is done about what a rehearsal finds. Methods return what of it is kept, or raise where it must end."""

    def look(self, backup: Backup, progress: Progress) -> list[Finding]:
        """What is seen beside the payload, before it is fetched."""

    def of_bytes(self, findings: list[Finding]) -> list[Finding]:
        """Of what arrived."""

    def of_copy(self, findings: list[Finding]) -> list[Finding]:
        """Of the loaded copy."""

    def of_error(self, error: OpsError, phase: str) -> Finding:
        """Of an error that ended the loading, or the checks."""

    def remains(self, folder: Path) -> Payload | None:
        """What is taken in the place of a payload that did not arrive whole; None: nothing."""


class Looking:
    """The judge of a verify and of a drill: everything is collected."""

    def look(self, backup: Backup, progress: Progress) -> list[Finding]:
        """Return what is wrong beside the payload, too."""
        return look_beside(backup, progress)

    def of_bytes(self, findings: list[Finding]) -> list[Finding]:
        """Return all."""
        return findings

    def of_copy(self, findings: list[Finding]) -> list[Finding]:
        """Return all."""
        return findings

    def of_error(self, error: OpsError, phase: str) -> Finding:
        """Return what it says of the backup."""
        return judged(error, phase)

    def remains(self, folder: Path) -> None:
        """Return nothing: what is left of a damaged payload proves nothing."""


@dataclass(slots=True)
class Rehearsal:
    """A backup on its way to a checked copy: what was found so far, and how long each phase took.

    `member`: only this one of a backup of several sources is loaded; empty: all.
    """

    backup: Backup
    job: Job
    judge: Judge = field(default_factory=Looking)
    member: str = ""
    found: list[Finding] = field(default_factory=list)
    phases: list[Phase] = field(default_factory=list)

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time the block."""
        started = time.monotonic()
        try:
            yield
        finally:
            self.phases.append(Phase(name=name, duration_ms=round((time.monotonic() - started) * 1000)))

    @contextlib.contextmanager
    def copy(self, folder: Path, loading: Loading) -> Iterator[Copy | None]:
        """Yield the checked copy, for as long as the block runs; None where something came in between: see `found`.

        `folder`: private and empty; the payload is fetched into it. Raises what the judge raises.
        """
        with self.phase("fetch"):
            payload = self._fetch(folder)
        with contextlib.ExitStack() as stack:
            yield None if payload is None else self._load(payload, loading, stack)

    def _fetch(self, folder: Path) -> Payload | None:
        progress = self.job.progress
        self.found += self.judge.of_bytes(self.judge.look(self.backup, progress))
        if stops(self.found):
            return None
        payload, arrived = fetch_whole(self.backup, folder, progress)
        self.found += self.judge.of_bytes(arrived)
        return None if stops(self.found) else payload or self.judge.remains(folder)

    def _load(self, payload: Payload, loading: Loading, stack: contextlib.ExitStack) -> Copy | None:
        phase = "load"
        try:
            if self.member:
                payload = payload.member(self.member, payload.folder / "member")
                make_private_folder(payload.folder)
            with self.phase(phase):
                copy = stack.enter_context(loading(payload))
            phase = "check"
            with self.phase(phase):
                checked = check_restored(copy, payload.manifest, self.job.progress)
        except OpsError as error:
            self.found.append(self.judge.of_error(error, phase))
            return None
        self.found += self.judge.of_copy(checked)
        return copy


@contextlib.contextmanager
def judging(backup: Backup, step: str, action: str, job: Job) -> Iterator[Rehearsal]:
    """Yield a rehearsal of a look that ends with a verdict: an error on the way to it is part of what was found.

    Prunes keep away from the backup meanwhile. Raises BackupError when it was deleted a moment ago.
    """
    with job.step(step) as facts, being_judged(backup, action, job) as unleased:
        rehearsal = Rehearsal(backup, job, found=[*unleased])
        try:
            yield rehearsal
        except OpsError as error:
            rehearsal.found.append(judged(error))
        facts.rows, facts.bytes = backup.manifest.rows, backup.manifest.size
        facts.checksum = payload_sha256(backup.manifest)


def room_to_open(backup: Backup, source: Source, member: str = "") -> int:
    """Bytes that restoring it into a scratch place needs, with all that it needs; a sealed one lies there twice for a moment."""
    sealed = backup.manifest.size if is_sealed(backup.manifest) else 0
    needed = sum(need.size for need in needs_of(backup.manifest))
    if is_closed(backup.manifest):
        # What the kind would say is encrypted as well: whoever cannot open that opens no payload either.
        return 2 * (sealed + needed)
    plain = backup.plain
    loaded = source.room_to_load(plain.member(member)) + plain.size if member else source.room_to_load(plain)
    return loaded + sealed + needed * (2 if sealed else 1)


def check_in_place(backup: Backup, source: Source, scratch: Path, progress: Progress) -> list[Finding]:
    """The kind's look at the stored payload, where it lies if it can be opened there."""
    openable = can_be_opened(backup)
    needed, findings = (
        fetch_needed(backup, scratch, progress) if openable else ([], look_at_needed(backup, progress))
    )
    if stops(findings):
        return findings
    place = None if is_sealed(backup.manifest) else path_in_store(backup)
    if place is not None:
        payload = Payload(place, place.parent, backup.manifest, tuple(needed))
        return [*findings, *source.inspect(payload)]
    if not openable:
        message = f"sealed with {cipher_kind(backup.manifest)}: nobody looked inside, because no key is here"
        return [*findings, Finding(severity=Severity.OK, code="backup.sealed", message=message)]
    path, arrived = fetch_payload(backup, scratch, progress)
    findings += arrived
    if stops(findings):
        return findings
    return [*findings, *source.inspect(Payload(path, scratch, backup.plain, tuple(needed)))]


def check_restored(copy: Copy, manifest: Manifest, progress: Progress) -> list[Finding]:
    """All checks of the kind on a restored copy, and its measures against those of the manifest; the same of each member.

    Both run at once, mostly inside the database.
    """
    progress.step("checking and measuring the restored copy")
    recorded = manifest.measures
    with ThreadPoolExecutor(1) as pool:
        checking = pool.submit(copy.check)
        # Of members alone nothing is measured outside of them.
        is_empty = bool(manifest.members) and not (recorded.tables or recorded.facts)
        measured = [] if is_empty else _compare(copy, recorded)
        found = [*copy.findings, *checking.result(), *measured]
    copies = copy.members if isinstance(copy, CopyOfMembers) else {}
    for member in manifest.members:
        found += of_member(member.name, _check_member(copies, manifest, member.name, progress))
    return found


def _check_member(
    copies: Mapping[str, Copy], manifest: Manifest, name: str, progress: Progress
) -> list[Finding]:
    if name not in copies:
        message = "the restored copy does not have this member of the backup"
        return [Finding(severity=Severity.CRITICAL, code="members.missing", message=message)]
    try:
        return check_restored(copies[name], manifest.member(name), progress)
    except OpsError as error:
        return [judged(error, "check")]


def _compare(copy: Copy, recorded: Measures) -> list[Finding]:
    try:
        expected = copy.expected(recorded)
        found = copy.measure(expected)
    except OpsError as error:
        return [judged(error, "measure")]
    return compare_measures(expected, found)
