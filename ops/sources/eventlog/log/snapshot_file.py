"""The snapshot file beside a log: never trusted, only compared with the log. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ops.model.findings import Finding, Severity
from ops.sources.eventlog.chain.event_hash import InstantError, canonical_instant, parse_json
from ops.sources.eventlog.chain.lookup import Named
from ops.sources.eventlog.chain.segment import SegmentFacts
from ops.sources.eventlog.log.layout import SNAPSHOT

EventAt = Callable[[int, int], Named | None]
"""What names the event at an index of a segment."""


def judge_snapshot(
    content: bytes | None, segments: Mapping[int, SegmentFacts], event_at: EventAt
) -> list[Finding]:
    """At most one finding: what the program that writes the log would stumble over, or be misled by."""
    if content is None:
        return []
    try:
        document = parse_json(content.decode("utf-8", "replace"))
        why = None if isinstance(document, dict) else "it is no JSON object"
    except ValueError as error:
        document, why = {}, str(error)
    if why is not None:
        message = (
            f"the snapshot can not be read ({why}): the program would not open the log; without it, it does"
        )
        return [_warning("eventlog.snapshot_unreadable", message)]
    if (why := _disagrees(document, segments, event_at)) is not None:
        message = f"the snapshot does not fit the log: {why}; the log decides"
        return [_warning("eventlog.snapshot_disagrees", message)]
    message = "the snapshot names an event of the log, with its id, time and hash"
    return [Finding(severity=Severity.OK, code="eventlog.snapshot", message=message, where=SNAPSHOT)]


def _disagrees(
    document: Mapping[str, Any], segments: Mapping[int, SegmentFacts], event_at: EventAt
) -> str | None:
    number, index = document.get("last_segment"), document.get("last_index_in_segment")
    if type(number) is not int or type(index) is not int:
        return "it names no event"
    found = event_at(number, index)
    if found is None:
        return f"there is no event {index} in segment {number:06}"
    for key, what, there in (
        ("last_current_hash", "hash", found.hash),
        ("last_event_id", "id", found.id),
    ):
        if document.get(key) != there:
            return f"event {index} of segment {number:06} has another {what}"
    if not _is_same_instant(document.get("last_timestamp"), found.timestamp):
        return f"event {index} of segment {number:06} has another time stamp"
    first = min(segments)
    counted = sum(facts.events for item, facts in segments.items() if item < number) + index + 1
    if segments[first].first_previous is None and document.get("total_events") != counted:
        return f"it counts {document.get('total_events')} events up to one that is number {counted}"
    return None


def _is_same_instant(told: object, there: str) -> bool:
    """Whether both mean one moment; True where nobody here can tell what the event's means."""
    try:
        instant = canonical_instant(there)
    except InstantError:
        return True
    try:
        return canonical_instant(told) == instant
    except InstantError:
        return False


def _warning(code: str, message: str) -> Finding:
    return Finding(severity=Severity.WARNING, code=code, message=message, where=SNAPSHOT)
