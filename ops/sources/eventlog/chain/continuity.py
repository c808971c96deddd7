"""Whether a log continues what its former backup held. Pure.

A chain can be right in itself and yet not be the log of yesterday: cut off at its end, rewritten from some event on with new
hashes, begun anew. What the former backup recorded of each segment shows that, and tells pruning from a segment that somebody
took away.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ops.model.findings import Finding, Severity
from ops.sources.eventlog.chain.segment import ABSENT, SegmentFacts

HashAt = Callable[[int, int], str | None]
"""The `current_hash` of the event at an index (from 0 on) of the segment with a number; None when there is none."""
_WHERE: Final = "former backup"


@dataclass(frozen=True, slots=True)
class FormerSegment:
    """What was recorded of one segment: digest of its file, how many events it had, and the hash of its last one."""

    sha256: str
    events: int
    last_hash: str | None


@dataclass(frozen=True, slots=True)
class FormerLog:
    """What was recorded of the log in a backup called `backup`: its segments by number.

    `restored`: the same of the backup that a restore put in the place of the log since then.
    """

    backup: str
    events: int
    segments: Mapping[int, FormerSegment]
    restored: FormerLog | None = None

    @property
    def last_hash(self) -> str | None:
        """Return the hash of the last event; None where there was none."""
        held = [number for number, item in self.segments.items() if item.events]
        return self.segments[max(held)].last_hash if held else None


def recorded(segments: Mapping[int, SegmentFacts]) -> dict[str, Any]:
    """What `read_former` will need of this log, as plain JSON values."""
    return {
        "events": sum(facts.events for facts in segments.values()),
        "segments": [
            [number, facts.sha256, facts.events, facts.last_hash]
            for number, facts in sorted(segments.items())
        ],
    }


def read_former(backup: str, document: object) -> FormerLog | None:
    """What `recorded` wrote into the manifest of that backup; None when it is not there or not that."""
    if not isinstance(document, dict):
        return None
    try:
        segments = {
            int(number): FormerSegment(str(sha256), int(count), last_hash)
            for number, sha256, count, last_hash in document["segments"]
        }
        return FormerLog(backup, int(document["events"]), segments)
    except (KeyError, TypeError, ValueError):
        return None


def compare(former: FormerLog, segments: Mapping[int, SegmentFacts], hash_at: HashAt) -> list[Finding]:
    """Return what a log is in relation to its former backup, or to the one that replaced it since then; empty never."""
    findings = _compare(former, segments, hash_at)
    if former.restored is None or not any(item.severity is Severity.CRITICAL for item in findings):
        return findings
    since = _compare(former.restored, segments, hash_at)
    if any(item.severity is not Severity.OK for item in since):
        return findings
    message = (
        f"it goes on from {former.restored.backup}, which a restore put in its place after {former.backup} was made:"
        " what only that one holds is not in the log any more"
    )
    return [
        _finding(Severity.OK, "eventlog.continues_restored", message),
        *(item for item in since if item.code != "eventlog.continues"),
    ]


def _compare(former: FormerLog, segments: Mapping[int, SegmentFacts], hash_at: HashAt) -> list[Finding]:
    kept = {number: item for number, item in former.segments.items() if number in segments}
    findings = [*_rewritten(former, kept, segments, hash_at)]
    findings += _gone(former, segments)
    none_left = segments and former.events and not any(item.events for item in kept.values())
    if not findings and none_left and not _begins_behind(former, segments):
        message = (
            f"nothing is left of what {former.backup} holds: whether it goes on from there cannot be told"
        )
        findings = [_finding(Severity.WARNING, "eventlog.unconnected", message)]
    if not findings:
        findings = [_finding(Severity.OK, "eventlog.continues", f"it goes on where {former.backup} ended")]
    return findings + _pruned(former, segments)


def _begins_behind(former: FormerLog, segments: Mapping[int, SegmentFacts]) -> bool:
    """Whether the first event that is left follows the last one that the former backup holds, by that one's hash."""
    first = min((number for number, facts in segments.items() if facts.events), default=None)
    return (
        first is not None
        and first > max(former.segments)
        and segments[first].first_previous == former.last_hash not in {None, ABSENT}
    )


def _rewritten(
    former: FormerLog,
    kept: Mapping[int, FormerSegment],
    segments: Mapping[int, SegmentFacts],
    hash_at: HashAt,
) -> list[Finding]:
    """At most one finding: the first segment that does not hold any more what it held."""
    last = max(former.segments, default=0)
    for number in sorted(kept):
        before, now = kept[number], segments[number]
        if before.sha256 == now.sha256 or before.events == 0:
            continue
        where = now.name
        if now.events < before.events:
            message = (
                f"{where} held {before.events} events in {former.backup}, and holds {now.events} now:"
                " events were taken away"
            )
            return [_finding(Severity.CRITICAL, "eventlog.truncated", message, where)]
        if hash_at(number, before.events - 1) != before.last_hash:
            message = f"the events of {where} are not those that {former.backup} held: the log was rewritten"
            return [_finding(Severity.CRITICAL, "eventlog.rewritten", message, where)]
        if number != last and now.events != before.events:
            message = (
                f"{where} was followed by another segment in {former.backup}, and was changed since then"
            )
            return [_finding(Severity.CRITICAL, "eventlog.rewritten", message, where)]
        if now.events == before.events and now.cut:
            message = f"whether {where} holds what it held in {former.backup} was not checked: it has an event that is too large"
            return [_finding(Severity.WARNING, "eventlog.not_checked", message, where)]
        if now.events == before.events:
            # The same events by their hashes: changed is what no hash covers, like an id, or only the form.
            message = f"{where} holds the same chain as in {former.backup}, in other bytes"
            return [_finding(Severity.CRITICAL, "eventlog.rewritten", message, where)]
    return []


def _gone(former: FormerLog, segments: Mapping[int, SegmentFacts]) -> list[Finding]:
    """A finding when segments at the end, or in the middle, are not there any more."""
    held = [number for number, item in former.segments.items() if item.events]
    gone = sorted(number for number in held if number not in segments)
    first = min(segments, default=None)
    behind = [number for number in gone if first is None or number > first]
    if not behind:
        return []
    message = f"segment {behind[0]:06}, which {former.backup} holds, is not there: the log was cut"
    return [_finding(Severity.CRITICAL, "eventlog.truncated", message)]


def _pruned(former: FormerLog, segments: Mapping[int, SegmentFacts]) -> list[Finding]:
    """That the oldest segments were pruned since then."""
    first = min(segments, default=None)
    gone = [number for number in former.segments if first is not None and number < first]
    if not gone:
        return []
    message = f"{len(gone)} segments that {former.backup} holds were pruned since then"
    return [_finding(Severity.OK, "eventlog.pruned", message)]


def _finding(severity: Severity, code: str, message: str, where: str = _WHERE) -> Finding:
    return Finding(severity=severity, code=code, message=message, where=where)
