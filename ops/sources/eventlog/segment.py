"""One segment, checked by itself: every event's hash, and every link but the first. Pure, and quick.

Segments are independent until their ends are compared, so that each can be checked in a process of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from ops.sources.eventlog.quick import ends_of_right
from ops.sources.eventlog.rule import InstantError, event_hash, parse_json

ABSENT: Final = "(absent)"
"""Stands for a previous hash that is not there at all, or is neither text nor null."""
_NO_JSON: Final = "it is no JSON array of events"


@dataclass(frozen=True, slots=True)
class Broken:
    """The first event of a segment that is wrong: its index there, its id, why as a code, and in words.

    `previous`: what it says that came before, where that is what is wrong.
    """

    index: int
    event_id: str
    code: str
    reason: str
    previous: str | None = None


@dataclass(frozen=True, slots=True)
class SegmentFacts:
    """What is known of a segment: size in bytes and SHA-256 of its file, its events, both ends of its chain.

    `first_previous` None: the first event says that nothing came before. `unreadable`: why it has no events.
    `unclear`: an event whose hash nobody but the program itself can compute, and why.
    """

    name: str
    size: int
    sha256: str
    events: int = 0
    first_id: str | None = None
    last_id: str | None = None
    first_previous: str | None = None
    last_hash: str | None = None
    broken: Broken | None = None
    unclear: Broken | None = None
    unreadable: str | None = None


def check_segment(name: str, content: bytes) -> SegmentFacts:
    """All that `content` says for itself."""
    size, digest = len(content), sha256(content).hexdigest()
    if (ends := ends_of_right(content)) is not None:
        return SegmentFacts(name, size, digest, *ends)
    try:
        events = parse_json(content.decode("utf-8", "replace"))
    except ValueError as error:
        return SegmentFacts(name, size, digest, unreadable=f"{_NO_JSON}: {error}")
    if events is None:
        events = []  # the program takes it for an empty segment
    if not isinstance(events, list) or not all(isinstance(event, dict) for event in events):
        return SegmentFacts(name, size, digest, unreadable=_NO_JSON)
    if not events:
        return SegmentFacts(name, size, digest)
    broken, unclear = _first_broken(events)
    return SegmentFacts(
        name,
        size,
        digest,
        events=len(events),
        first_id=shown(events[0].get("id")),
        last_id=shown(events[-1].get("id")),
        first_previous=said_previous(events[0]),
        last_hash=shown(events[-1].get("current_hash")),
        broken=broken,
        unclear=unclear,
    )


def _first_broken(events: list[dict[str, Any]]) -> tuple[Broken | None, Broken | None]:
    """The first event that is wrong, and the first before it that is unclear. The link is looked at first."""
    unclear: Broken | None = None
    before: object = None
    for index, event in enumerate(events):
        name = shown(event.get("id"))
        if index and (event.get("previous_hash", ABSENT) != before or before is None):
            reason = "its previous_hash is not the current_hash of the event before it"
            return Broken(index, name, "eventlog.link_broken", reason, said_previous(event)), unclear
        try:
            if event.get("current_hash") != event_hash(event):
                reason = "its current_hash is not that of its content"
                return Broken(index, name, "eventlog.hash_mismatch", reason), unclear
        except InstantError as error:
            unclear = unclear or Broken(index, name, "eventlog.timestamp_unclear", str(error))
        before = event.get("current_hash")
    return None, unclear


def hashes_of(content: bytes) -> list[str]:
    """The `current_hash` of each event of a segment; empty for one that can not be read."""
    try:
        events = parse_json(content.decode("utf-8", "replace"))
        return [shown(event.get("current_hash")) for event in events or ()]
    except (ValueError, AttributeError, TypeError):
        return []


def said_previous(event: dict[str, Any]) -> str | None:
    """The previous hash of an event: text, None for null, ABSENT for all else."""
    previous = event.get("previous_hash", ABSENT)
    return previous if previous is None or isinstance(previous, str) else ABSENT


def shown(value: object) -> str:
    """A value that should be a text, as one."""
    return value if isinstance(value, str) else ABSENT
