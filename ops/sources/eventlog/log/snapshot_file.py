"""The snapshot file beside a log: never trusted, only compared with the log. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ops.model.findings import Finding, Severity
from ops.sources.eventlog.chain.continuity import HashAt
from ops.sources.eventlog.chain.event_hash import parse_json
from ops.sources.eventlog.chain.segment import SegmentFacts
from ops.sources.eventlog.log.layout import SNAPSHOT


def judge_snapshot(
    content: bytes | None, segments: Mapping[int, SegmentFacts], hash_at: HashAt
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
    if (why := _disagrees(document, segments, hash_at)) is not None:
        message = f"the snapshot does not fit the log: {why}; the log decides"
        return [_warning("eventlog.snapshot_disagrees", message)]
    message = "the snapshot names an event of the log, with its hash"
    return [Finding(severity=Severity.OK, code="eventlog.snapshot", message=message, where=SNAPSHOT)]


def _disagrees(
    document: Mapping[str, Any], segments: Mapping[int, SegmentFacts], hash_at: HashAt
) -> str | None:
    number, index = document.get("last_segment"), document.get("last_index_in_segment")
    if type(number) is not int or type(index) is not int:
        return "it names no event"
    found = hash_at(number, index)
    if found is None:
        return f"there is no event {index} in segment {number:06}"
    if found != document.get("last_current_hash"):
        return f"event {index} of segment {number:06} has another hash"
    first = min(segments)
    counted = sum(facts.events for item, facts in segments.items() if item < number) + index + 1
    if segments[first].first_previous is None and document.get("total_events") != counted:
        return f"it counts {document.get('total_events')} events up to one that is number {counted}"
    return None


def _warning(code: str, message: str) -> Finding:
    return Finding(severity=Severity.WARNING, code=code, message=message, where=SNAPSHOT)
