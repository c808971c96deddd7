"""One capture of a log: packed, its chain walked, compared with its former backup, and put on record."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from ops.formats import own_manifest
from ops.formats.dependencies import KEY as NEEDS
from ops.formats.dependencies import Need, needs_document
from ops.model.findings import Finding, Severity
from ops.model.manifest import Captured
from ops.run.progress import Progress
from ops.sources.eventlog.archive.pack import FoundLog, pack_log
from ops.sources.eventlog.archive.shared_segments import Sharing
from ops.sources.eventlog.chain.chain import Chain
from ops.sources.eventlog.chain.continuity import FormerLog, compare, recorded
from ops.sources.eventlog.chain.lookup import Named, event_at, hash_at, walk_explained
from ops.sources.eventlog.copy import (
    UNDECIDED,
    broken_finding,
    measures_of,
    start_undecided,
    unverified_finding,
)
from ops.sources.eventlog.log.snapshot_file import judge_snapshot


def capture_log(  # noqa: PLR0913, PLR0917 - from where, to where, what came before, and two listeners
    folder: Path,
    into: Path,
    former: FormerLog | None,
    sharing: Sharing,
    retention: int | None,
    clock: Callable[[], datetime],
    progress: Progress,
) -> Captured:
    """The log below `folder` packed into the empty private file `into`; raises as `pack_log` does.

    Segments that earlier backups hold as they are now are checked like all others, and left to those. A log that is
    broken, cut or rewritten is captured all the same: that is what the findings say.
    """
    look = _Look(folder, former, sharing, retention)
    packed = pack_log(folder, into, look.manifest_of, clock, progress, held=sharing.held)
    return Captured(
        (packed.archive,),
        packed.found.settled.moment,
        "settled",
        measures_of(look.chain),
        {
            **look.document,
            "eventlog": recorded(packed.found.segments),
            **({UNDECIDED: True} if look.undecided else {}),
        },
        tuple(look.findings),
    )


@dataclass(slots=True)
class _Look:
    """What is seen while the log is as it was at the moment of the capture."""

    folder: Path
    former: FormerLog | None
    sharing: Sharing
    retention: int | None = None
    undecided: bool = False
    chain: Chain = field(default_factory=Chain)
    document: dict[str, Any] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def manifest_of(self, found: FoundLog) -> bytes:
        """The manifest inside the archive; what else was seen stays here."""
        self.chain = _chain_of(found)
        self.findings = [*_noticed(found), *self._judged(found)]
        members = [{"path": entry.path, "size": entry.size, "sha256": entry.sha256} for entry in found.files]
        about = {
            "source_dir": str(self.folder),
            "eventlog_summary": _summary(self.chain, snapshot=found.snapshot is not None),
            "chain_valid_at_backup": self.chain.valid,
        }
        if needs := self.sharing.needs(found.left_out):
            about[NEEDS] = needs_document(needs)
            self.findings.append(_shared(needs, found))
        document = {**about, "members": members}
        inside = own_manifest.own_manifest(found.settled.moment, document)
        self.document = {**document, own_manifest.KEY: own_manifest.about(inside)}
        return inside

    def _judged(self, found: FoundLog) -> list[Finding]:
        """What is said of the chain, of the snapshot, and of what came before."""

        def hash_of(number: int, index: int) -> str | None:
            return hash_at(found.segments, number, index, lambda: found.parts_of(number))

        def event_of(number: int, index: int) -> Named | None:
            return event_at(found.segments, number, index, lambda: found.parts_of(number))

        chain, findings = self.chain, []
        if chain.broken is not None:
            findings.append(broken_finding(chain.broken, Severity.WARNING, inherited=True))
        if chain.unclear is not None:
            findings.append(unverified_finding(chain, chain.unclear, blocking=False))
        looked = judge_snapshot(found.snapshot, found.segments, event_of)
        findings += [item for item in looked if item.severity is not Severity.OK]
        if self.former is not None:
            return findings + compare(self.former, found.segments, hash_of)
        return findings + self._start(found)

    def _start(self, found: FoundLog) -> list[Finding]:
        """Whether the front of a log without a former backup was pruned: the program keeps so many of the newest segments."""
        if self.chain.starts is not False or self.chain.broken is not None:
            return []
        if self.retention is None:
            self.undecided = True
            return [start_undecided()]
        count = len(found.segments)
        if count >= self.retention:
            message = f"the log begins with segment {min(found.segments):06}, and {count} of the {self.retention} segments that the program keeps are there: it was pruned"
            return [Finding(severity=Severity.OK, code="eventlog.pruned", message=message)]
        message = (
            f"the log begins with segment {min(found.segments):06} and has {count} segments, though the program keeps"
            f" {self.retention}: its front was cut"
        )
        return [Finding(severity=Severity.CRITICAL, code="eventlog.front_cut", message=message)]


def _chain_of(found: FoundLog) -> Chain:
    return walk_explained(
        found.segments, lambda: ((number, found.parts_of(number)) for number in found.segments)
    )


def _summary(chain: Chain, *, snapshot: bool) -> Mapping[str, object]:
    """What the program's own tools read."""
    return {
        "total_events": chain.events,
        "total_segments": chain.segments,
        "first_event_id": chain.first_id,
        "last_event_id": chain.last_id,
        "last_current_hash": chain.last_hash,
        "snapshot_exists": snapshot,
    }


def _shared(needs: Sequence[Need], found: FoundLog) -> Finding:
    """How much was left to others."""
    message = (
        f"{len(found.left_out)} of {len(found.segments)} segments are as in {len(needs)} earlier backups"
        f" and were left to them: {', '.join(need.backup for need in needs)}"
    )
    return Finding(severity=Severity.OK, code="eventlog.incremental", message=message)


def _noticed(found: FoundLog) -> list[Finding]:
    """Files that are not in the backup."""
    findings = []
    if found.settled.ignored:
        message = f"not packed, because the program does not see them: {', '.join(found.settled.ignored)}"
        findings.append(Finding(severity=Severity.WARNING, code="eventlog.ignored", message=message))
    if found.settled.oversized is not None:
        message = f"the snapshot has {found.settled.oversized} bytes, is none, and was not packed"
        findings.append(
            Finding(severity=Severity.WARNING, code="eventlog.snapshot_unreadable", message=message)
        )
    return findings
