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
            f"the snapshot cannot be read ({why}): the program would not open the log; without it, it does"
        )
        return [_warning("eventlog.snapshot_unreadable", message)]
    if any(facts.cut for facts in segments.values()):
        return []  # where its event is, and how many there are before it, was not read
    found = _named_event(document, event_at)
    if isinstance(found, str) or (why := _disagrees(document, segments, found)) is not None:
        message = (
            f"the snapshot does not fit the log: {found if isinstance(found, str) else why}; the log decides"
        )
        return [_warning("eventlog.snapshot_disagrees", message)]
    return [
        _agrees(compared_time=_is_same_instant(document.get("last_timestamp"), found.timestamp) is not None)
    ]


def _named_event(document: Mapping[str, Any], event_at: EventAt) -> Named | str:
    """Return the event that the snapshot names, or why there is none."""
    number, index = document.get("last_segment"), document.get("last_index_in_segment")
    if type(number) is not int or type(index) is not int:
        return "it names no event"
    return event_at(number, index) or f"there is no event {index} in segment {number:06}"


def _disagrees(document: Mapping[str, Any], segments: Mapping[int, SegmentFacts], found: Named) -> str | None:
    """Return in what the snapshot differs from the event `found` that it names."""
    number, index = document["last_segment"], document["last_index_in_segment"]
    for key, what, there in (
        ("last_current_hash", "hash", found.hash),
        ("last_event_id", "id", found.id),
    ):
        if document.get(key) != there:
            return f"event {index} of segment {number:06} has another {what}"
    if _is_same_instant(document.get("last_timestamp"), found.timestamp) is False:
        return f"event {index} of segment {number:06} has another time stamp"
    first = min(segments)
    counted = sum(facts.events for item, facts in segments.items() if item < number) + index + 1
    if segments[first].first_previous is None and document.get("total_events") != counted:
        return f"it counts {document.get('total_events')} events up to one that is number {counted}"
    return None


def _is_same_instant(told: object, there: object) -> bool | None:
    """Return whether both mean one moment; None where only the program can tell what the event's stamp means."""
    try:
        instant = canonical_instant(there)
    except InstantError:
        return None
    try:
        return canonical_instant(told) == instant
    except InstantError:
        return False


def _agrees(*, compared_time: bool) -> Finding:
    """Return the finding that names what was compared, and nothing else."""
    message = "the snapshot names an event of the log, with its id, time and hash"
    if not compared_time:
        message = (
            "the snapshot names an event of the log, with its id and hash; its time was not compared,"
            " because the time stamp of the event cannot be read here"
        )
    return Finding(severity=Severity.OK, code="eventlog.snapshot", message=message, where=SNAPSHOT)


def _warning(code: str, message: str) -> Finding:
    return Finding(severity=Severity.WARNING, code=code, message=message, where=SNAPSHOT)
