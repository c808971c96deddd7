"""One segment, checked by itself: every event's hash, and every link but the first. Pure, and quick.

Segments are independent until their ends are compared, so that each can be checked in a process of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, Final

from ops.sources.eventlog.elements import array_elements
from ops.sources.eventlog.quick import ends_of_right, ends_of_right_in_parts
from ops.sources.eventlog.rule import InstantError, event_hash, parse_json

ABSENT: Final = "(absent)"
"""Stands for a previous hash that is not there at all, or is neither text nor null."""
_WHOLE_UP_TO: Final = 16 * 1024 * 1024
"""Bytes of a segment whose events are held together; of a larger one, one event is held at a time."""
_PART: Final = 1024 * 1024
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
    is_small = size <= _WHOLE_UP_TO
    ends = ends_of_right(content) if is_small else ends_of_right_in_parts(content, _PART)
    if ends is not None:
        return SegmentFacts(name, size, digest, *ends)
    walk = _Walk()
    try:
        for event in elements_of(content):
            if not isinstance(event, dict):
                return SegmentFacts(name, size, digest, unreadable=_NO_JSON)
            walk.take(event)
    except ValueError as error:
        return SegmentFacts(name, size, digest, unreadable=f"{_NO_JSON}: {error}")
    return walk.facts(SegmentFacts(name, size, digest))


def elements_of(content: bytes) -> Iterable[object]:
    """What is in the array; raises ValueError, perhaps behind some of it, when it is none."""
    if len(content) > _WHOLE_UP_TO:
        return array_elements(content[start : start + _PART] for start in range(0, len(content), _PART))
    events = parse_json(content.decode("utf-8", "replace"))
    if events is None:
        return []  # the program takes it for an empty segment
    if not isinstance(events, list):
        raise ValueError("it is no array")  # noqa: TRY004 - what the text says, not what a caller gave
    return events


class _Walk:
    """What is known of a segment after some of its events."""

    def __init__(self) -> None:
        self._events = 0
        self._first: dict[str, Any] = {}
        self._last: dict[str, Any] = {}
        self._broken: Broken | None = None
        self._unclear: Broken | None = None

    def take(self, event: dict[str, Any]) -> None:
        """The next event. Behind the first that is wrong none is judged."""
        if self._broken is None:
            self._judge(event)
        self._first = event if self._events == 0 else self._first
        self._last, self._events = event, self._events + 1

    def _judge(self, event: dict[str, Any]) -> None:
        """The link is looked at first."""
        index, name, before = self._events, shown(event.get("id")), self._last.get("current_hash")
        if index and (event.get("previous_hash", ABSENT) != before or before is None):
            reason = "its previous_hash is not the current_hash of the event before it"
            self._broken = Broken(index, name, "eventlog.link_broken", reason, said_previous(event))
            return
        try:
            if event.get("current_hash") != event_hash(event):
                reason = "its current_hash is not that of its content"
                self._broken = Broken(index, name, "eventlog.hash_mismatch", reason)
        except InstantError as error:
            unclear = Broken(index, name, "eventlog.timestamp_unclear", str(error))
            self._unclear = self._unclear or unclear

    def facts(self, about: SegmentFacts) -> SegmentFacts:
        """The same file with all that was seen of its events."""
        if self._events == 0:
            return about
        return replace(
            about,
            events=self._events,
            first_id=shown(self._first.get("id")),
            last_id=shown(self._last.get("id")),
            first_previous=said_previous(self._first),
            last_hash=shown(self._last.get("current_hash")),
            broken=self._broken,
            unclear=self._unclear,
        )


def hashes_of(content: bytes) -> list[str]:
    """The `current_hash` of each event of a segment; empty for one that can not be read."""
    try:
        return [shown(_hash_in(event)) for event in elements_of(content)]
    except ValueError:
        return []


def _hash_in(event: object) -> object:
    if not isinstance(event, dict):
        raise ValueError(_NO_JSON)  # noqa: TRY004 - what the text says, not what a caller gave
    return event.get("current_hash")


def said_previous(event: dict[str, Any]) -> str | None:
    """The previous hash of an event: text, None for null, ABSENT for all else."""
    previous = event.get("previous_hash", ABSENT)
    return previous if previous is None or isinstance(previous, str) else ABSENT


def shown(value: object) -> str:
    """A value that should be a text, as one."""
    return value if isinstance(value, str) else ABSENT
