"""One segment, checked by itself: every event's hash, and every link but the first. Pure, and quick.

Segments are independent until their ends are compared, so that each can be checked in a process of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import chain
from typing import Any, Final

from ops.sources.eventlog.chain.event_hash import (
    InstantError,
    NoInstantError,
    event_hash,
    parse_json,
)
from ops.sources.eventlog.chain.fast_segment import Ends, RightGroups, ends_of_right
from ops.sources.eventlog.chain.json_elements import TooLargeError, array_elements

ABSENT: Final = "(absent)"
"""Stands for a previous hash that is not there at all, or is neither text nor null."""
_WHOLE_UP_TO: Final = 16 * 1024 * 1024
_GROUP: Final = 1024 * 1024
"""Bytes of a larger segment that are decoded together."""
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
    `unclear`: the first event whose hash nobody but the program itself can compute, or that is too large to be read, and why;
    `unverified`: how many such. `cut`: the last one that is counted is too large, and what follows it was not read.
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
    unverified: int = 0
    unreadable: str | None = None
    cut: bool = False

    @property
    def first_unread(self) -> bool:
        """Whether not even its first event was read."""
        return self.cut and self.events == 1


def linked(facts: SegmentFacts, before: str | None) -> SegmentFacts:
    """Return the same, which shares with the segment before it the text of the hash that stands between them.

    Workers send each its own; of many small segments that is a large part of what is held.
    """
    if before is None or facts.first_previous != before:
        return facts
    return replace(facts, first_previous=before)


def in_a_row(segments: Iterable[SegmentFacts]) -> Iterator[SegmentFacts]:
    """Return the segments of a log, each `linked` to the one before it."""
    before: str | None = None
    for facts in segments:
        yield linked(facts, before)
        before = facts.last_hash


def is_large(size: int) -> bool:
    """Whether a segment of so many bytes is never held as a whole, but a few events at a time."""
    return size > _WHOLE_UP_TO


def check_segment(name: str, content: bytes) -> SegmentFacts:
    """All that `content` says for itself, held as a whole."""
    size, digest = len(content), sha256(content).hexdigest()
    if (ends := ends_of_right(content)) is not None:
        return SegmentFacts(name, size, digest, *ends)
    walk = _Walk()
    return walk.facts(SegmentFacts(name, size, digest), walk.take_all(lambda: _elements_of(content)))


def check_parts(name: str, parts: Iterable[bytes]) -> SegmentFacts:
    """The same of a segment of any size whose text comes in parts, once; all of them are read. Raises what `parts` raises.

    `parts` must not raise ValueError: that is what is wrong with a text.
    """
    read = _Counted(parts)
    walk, right = _Walk(), RightGroups(iter(read), _GROUP)
    for ends in right:
        walk.take_right(ends)
    rest, unreadable = right.rest, None
    if rest is not None:
        unreadable = walk.take_all(lambda: array_elements(chain([rest], read)))
    size, digest = read.all_of_it()
    return walk.facts(SegmentFacts(name, size, digest), unreadable)


def check_text(name: str, parts: Iterable[bytes], size: int) -> SegmentFacts:
    """The same of a text of about that size, the quickest way that memory allows."""
    return check_parts(name, parts) if is_large(size) else check_segment(name, b"".join(parts))


def elements_in(parts: Iterable[bytes], size: int) -> Iterator[object]:
    """What is in the array that a text of about that size is; raises ValueError, perhaps behind some of it, when it is none."""
    yield from array_elements(parts) if is_large(size) else _elements_of(b"".join(parts))


def _elements_of(content: bytes) -> Iterable[object]:
    events = parse_json(content.decode("utf-8", "replace"))
    if events is None:
        return []  # the program takes it for an empty segment
    if not isinstance(events, list):
        raise ValueError("it is no array")  # noqa: TRY004 - what the text says, not what a caller gave
    return events


class _Counted:
    """The parts of a text, once, with their size and digest."""

    def __init__(self, parts: Iterable[bytes]) -> None:
        self._parts, self._size, self._digest = iter(parts), 0, sha256()

    def __iter__(self) -> Iterator[bytes]:
        for part in self._parts:
            self._size += len(part)
            self._digest.update(part)
            yield part

    def all_of_it(self) -> tuple[int, str]:
        """Size and SHA-256 of the whole; what nobody asked for is read."""
        for _ in self:
            pass
        return self._size, self._digest.hexdigest()


class _Walk:
    """What is known of a segment after some of its events."""

    def __init__(self) -> None:
        self._events = 0
        self._first: dict[str, Any] = {}
        self._last: dict[str, Any] = {}
        self._broken: Broken | None = None
        self._unclear: Broken | None = None
        self._unverified = 0
        self._cut = False

    def take_right(self, ends: Ends) -> None:
        """The next events, which are right and follow each other."""
        if self._events == 0:
            self._first = {"id": ends.first_id, "previous_hash": ends.first_previous}
        self._last = {"id": ends.last_id, "current_hash": ends.last_hash}
        self._events += ends.events

    def take_all(self, elements: Callable[[], Iterable[object]]) -> str | None:
        """The rest of the events; why it is no array of events, if it is none."""
        try:
            for event in elements():
                if not isinstance(event, dict):
                    return _NO_JSON
                self._take(event)
        except TooLargeError as error:
            self._leave(error)
        except ValueError as error:
            return f"{_NO_JSON}: {error}"
        return None

    def _take(self, event: dict[str, Any]) -> None:
        """The next event. Behind the first that is wrong none is judged."""
        if self._broken is None:
            self._judge(event)
        self._first = event if self._events == 0 else self._first
        self._last, self._events = event, self._events + 1

    def _leave(self, error: TooLargeError) -> None:
        """The next event is too large: it counts, and nothing is known of it, nor of what follows."""
        reason = f"{error}; neither was what follows it in its segment"
        unclear = Broken(self._events, "", "eventlog.not_checked", reason)
        self._unclear, self._unverified = self._unclear or unclear, self._unverified + 1
        self._last, self._events, self._cut = {}, self._events + 1, True

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
        except NoInstantError as error:
            reason = f"no program can compute its hash: {error}"
            self._broken = Broken(index, name, "eventlog.hash_mismatch", reason)
        except InstantError as error:
            self._unverified += 1
            unclear = Broken(index, name, "eventlog.timestamp_unclear", str(error))
            self._unclear = self._unclear or unclear

    def facts(self, about: SegmentFacts, unreadable: str | None) -> SegmentFacts:
        """The same file with all that was seen of its events."""
        if unreadable is not None:
            return replace(about, unreadable=unreadable)
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
            unverified=self._unverified,
            cut=self._cut,
        )


def said_previous(event: dict[str, Any]) -> str | None:
    """The previous hash of an event: text, None for null, ABSENT for all else."""
    previous = event.get("previous_hash", ABSENT)
    return previous if previous is None or isinstance(previous, str) else ABSENT


def shown(value: object) -> str:
    """A value that should be a text, as one."""
    return value if isinstance(value, str) else ABSENT
