"""A log that was restored: its findings, its measures, and the proof that it can be continued."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import BinaryIO

from ops.errors import ConfigError
from ops.model.findings import Finding, Severity
from ops.model.manifest import Measures, TableMeasure
from ops.sources.eventlog.chain.chain import Chain, Position, walk
from ops.sources.eventlog.chain.event_hash import event_hash
from ops.sources.eventlog.chain.segment import check_segment, check_text
from ops.sources.eventlog.log.layout import segment_path
from ops.sources.eventlog.log.log import StillLog, opened_file
from ops.sources.eventlog.log.open_files import PART
from ops.sources.eventlog.log.snapshot_file import judge_snapshot

UNDECIDED = "start_undecided"
"""Where a manifest says that nobody knew whether the front of the log was pruned or cut."""
EVENTS = "events"
"""The one table of a log."""
_TIMESTAMP = f"{EVENTS}.timestamp"
_DIGEST = "sha256-chain"
_VERIFIED = "verified_events"


def measures_of(chain: Chain) -> Measures:
    """Comparable facts about a log; the head of its chain stands for all its events."""
    at = chain.broken
    return Measures(
        tables={EVENTS: TableMeasure(chain.events, chain.last_hash)},
        facts={
            "segments": chain.segments,
            "first_event_id": chain.first_id or "",
            "last_event_id": chain.last_id or "",
            _VERIFIED: chain.verified,
            "first_broken": "" if at is None else f"{at.index} {at.broken.event_id} {at.broken.code}",
        },
        engine={},
        digest_algorithm=_DIGEST,
    )


def broken_finding(position: Position, severity: Severity, *, inherited: bool = False) -> Finding:
    """The first event that is wrong, by position, id and segment, and why."""
    broken = position.broken
    message = f"event {position.index} ({broken.event_id or 'no id'}): {broken.reason}"
    return Finding(
        severity=severity, code=broken.code, message=message, where=position.segment, inherited=inherited
    )


def unverified_finding(chain: Chain, position: Position, *, blocking: bool) -> Finding:
    """Return the warning that events of a chain could not be verified: the first of them, why, and how many there are."""
    broken = position.broken
    message = (
        f"{chain.unverified} of {chain.events} events were not verified: the hash of event {position.index}"
        f" ({broken.event_id or 'no id'}) cannot be computed here, because {broken.reason}"
    )
    if broken.code == "eventlog.not_checked":
        message = f"event {position.index} was not checked: {broken.reason}"
    return Finding(
        severity=Severity.WARNING,
        code=broken.code,
        message=message,
        where=position.segment,
        blocking=blocking,
    )


def chain_findings(chain: Chain, was_broken: str) -> list[Finding]:
    """Return what is wrong with a chain of a backup, or was not verified; `was_broken`: what was wrong with it at the backup."""
    findings = []
    if chain.unclear is not None:
        findings.append(unverified_finding(chain, chain.unclear, blocking=True))
    if chain.broken is not None:
        known = measures_of(chain).facts["first_broken"] == was_broken
        severity = Severity.WARNING if known else Severity.CRITICAL
        findings.append(broken_finding(chain.broken, severity, inherited=known))
    return findings


def comparable(recorded: Measures, chain: Chain) -> Measures:
    """Return what was recorded, as far as it can be compared: events that were not verified were once counted as if."""
    if not chain.unverified:
        return recorded
    facts = {name: value for name, value in recorded.facts.items() if name != _VERIFIED}
    return replace(recorded, facts=facts)


@dataclass(frozen=True, slots=True)
class LogCopy:
    """The log in a folder that nobody else uses.

    `was_broken`: what was wrong with it already when it was backed up. `undecided`: whether it was not known then if its
    front was pruned or cut.
    """

    log: StillLog
    was_broken: str = ""
    undecided: bool = False
    findings: Sequence[Finding] = field(default=())

    @property
    def place(self) -> str:
        """The data folder."""
        return str(self.log.folder)

    @property
    def environment(self) -> Mapping[str, str]:
        """A path is enough."""
        return {}

    def expected(self, recorded: Measures) -> Measures:
        """Return all of it that can be compared."""
        return comparable(recorded, self.log.chain)

    def measure(self, like: Measures) -> Measures:
        """Events, both ends, and what is wrong, as far as `like` has it."""
        found = measures_of(self.log.chain)
        return replace(
            found, facts={name: value for name, value in found.facts.items() if name in like.facts}
        )

    def check(self) -> list[Finding]:
        """The whole chain, the snapshot, and whether the log can be continued."""
        chain = self.log.chain
        findings = judge_snapshot(self.log.snapshot, self.log.segments, self.log.event_at)
        findings += [
            *chain_findings(chain, self.was_broken),
            *([start_undecided()] if self.undecided else []),
        ]
        if chain.broken is not None or chain.cut:
            return findings
        if chain.valid:
            message = f"{chain.verified} events in {chain.segments} segments, each with its hash and its link"
            findings.append(Finding(severity=Severity.OK, code="eventlog.chain", message=message))
        return [*findings, _continued(self.log)]

    def count_rows(self, table: str) -> int:
        """Events; raises ConfigError for another table than `events`."""
        _require_known(table, EVENTS)
        return self.log.chain.events

    def newest(self, column: str) -> object:
        """The greatest time stamp of the last segment that has events; raises ConfigError for another column.

        Nothing makes the program write in the order of time. What is told is then too old, never too new.
        """
        _require_known(column, _TIMESTAMP)
        for number in sorted(self.log.segments, reverse=True):
            if self.log.segments[number].events:
                return self.log.newest_timestamp_in(number)
        return None

    def query(self, sql: str) -> list[tuple[object, ...]]:
        """Nothing: raises ConfigError."""
        del sql
        raise _no_such_question("a log cannot be asked in SQL")


def _require_known(asked: str, known: str) -> None:
    if asked != known:
        raise _no_such_question(f"a log has no {asked!r}, only {known!r}")


def _no_such_question(message: str) -> ConfigError:
    hint = f"ask by row_count = {EVENTS!r}, by fresh = {_TIMESTAMP!r}, or by command"
    return ConfigError(message, hint=hint)


def start_undecided() -> Finding:
    """Return the warning that nobody knows whether the front of a log was pruned or cut."""
    message = (
        "the log does not begin with its first event, and there was no former backup: whether it was pruned or cut at its"
        " front cannot be told. retention_segments in the configuration, the program's own, decides it"
    )
    return Finding(severity=Severity.WARNING, code="eventlog.start_undecided", message=message)


def _continued(log: StillLog) -> Finding:
    """Append one event by the rules of the program, to a text that is not written, and look whether the log is still right."""
    number = max(log.segments, default=1)
    event = {
        "id": "evt-drill",
        "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "actor": "drillbook",
        "evento": "DRILL",
        "entidade": "EventLog",
        "entidade_id": "drill",
        "payload_hash": sha256(b"{}").hexdigest(),
        "previous_hash": log.chain.last_hash,
    }
    event["current_hash"] = event_hash(event)
    appended = json.dumps(event).encode()
    if number in log.segments and log.segments[number].events:
        with opened_file(log.path_of(number)) as file:
            size = log.segments[number].size
            facts = check_text(segment_path(number), _appended_to(file, appended), size)
    else:
        facts = check_segment(segment_path(number), b"[" + appended + b"]")
    chain = walk({**log.segments, number: facts})
    if chain.broken is None and (chain.events, chain.last_id) == (log.chain.events + 1, event["id"]):
        message = "an event that is appended by the rules of the program continues the chain"
        return Finding(severity=Severity.OK, code="eventlog.can_continue", message=message)
    why = chain.broken.broken.reason if chain.broken else "it is not the last one"
    message = f"an event that is appended does not continue the chain: {why}"
    return Finding(severity=Severity.CRITICAL, code="eventlog.can_not_continue", message=message)


def _appended_to(file: BinaryIO, element: bytes) -> Iterator[bytes]:
    """The text of a right array that is not empty, with an element more; it ends with its bracket, and perhaps white space."""
    left = _place_of_last_bracket(file)
    file.seek(0)
    while part := file.read(min(PART, left)):
        left -= len(part)
        yield part
    yield b"," + element + b"]"


def _place_of_last_bracket(file: BinaryIO) -> int:
    """Where it stands; 0 where there is none."""
    start = file.seek(0, os.SEEK_END)
    while start:
        end, start = start, max(0, start - PART)
        file.seek(start)
        if (at := file.read(end - start).rfind(b"]")) >= 0:
            return start + at
    return 0
