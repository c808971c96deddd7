"""A second look into segments that were checked: which hash an event has, where a hash is, which time stamps there are.

Nothing that grows with the number of events is held. Who looks reads the text to its end, so that whoever gives it can
say whether it is still what was checked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from ops.sources.eventlog.chain.chain import Chain, Neighbours, explained, walk
from ops.sources.eventlog.chain.event_hash import InstantError, canonical_instant
from ops.sources.eventlog.chain.segment import SegmentFacts, elements_in, shown

Text = Iterator[bytes]
"""The text of a segment in parts, once."""


def walk_explained(
    segments: Mapping[int, SegmentFacts], texts: Callable[[], Iterable[tuple[int, Text]]]
) -> Chain:
    """The chain of the segments with these numbers; where a link is broken, with what `explained` finds in the texts.

    `texts`: number and text of each segment, in any order.
    """
    chain = walk(segments)
    if chain.broken is None:
        return chain
    position = explained(chain.broken, lambda wanted, index: _neighbours(wanted, index, segments, texts()))
    return replace(chain, broken=position)


def hash_at(
    segments: Mapping[int, SegmentFacts], number: int, index: int, text: Callable[[], Text]
) -> str | None:
    """The `current_hash` of the event at an index (from 0 on) of a segment; None when there is none."""
    facts = segments.get(number)
    if facts is None or not 0 <= index < facts.events:
        return None
    if index == facts.events - 1:
        return facts.last_hash
    found = None
    for place, event in enumerate(_events(text(), facts.size)):
        if place == index:
            found = _hash_of(event)
    return found


@dataclass(frozen=True, slots=True)
class Named:
    """What names an event: its id and `current_hash`, ABSENT where they are not text, and its time stamp as it stands."""

    id: str
    timestamp: object
    hash: str


def event_at(
    segments: Mapping[int, SegmentFacts], number: int, index: int, text: Callable[[], Text]
) -> Named | None:
    """Return what names the event at an index (from 0 on) of a segment; None when there is none."""
    facts = segments.get(number)
    if facts is None or not 0 <= index < facts.events:
        return None
    found = None
    for place, event in enumerate(_events(text(), facts.size)):
        if place == index and isinstance(event, dict):
            stamp = event.get("timestamp", "")  # the program hashes one that is not there like an empty one
            found = Named(shown(event.get("id")), stamp, shown(event.get("current_hash")))
    return found


def newest_timestamp(text: Text, size: int) -> str | None:
    """The greatest time stamp in a segment, as text; None when it has none."""
    stamps = (event.get("timestamp") for event in _events(text, size) if isinstance(event, dict))
    return max((stamp for stamp in stamps if isinstance(stamp, str)), default=None)


def _neighbours(
    wanted: str, index: int, segments: Mapping[int, SegmentFacts], texts: Iterable[tuple[int, Text]]
) -> Neighbours:
    """Find the positions nearest to `index` whose hash is that one, and see which event there is the later one."""
    starts, start = {}, 0
    for number in sorted(segments):
        starts[number] = start
        start += segments[number].events
    before: int | None = None
    behind: int | None = None
    stamps: dict[int, object] = {}
    for number, text in texts:
        if segments[number].events == 0:
            continue  # it may be unreadable only behind some events
        for place, event in enumerate(_events(text, segments[number].size), starts[number]):
            if place in {index - 1, index} and isinstance(event, dict):
                stamps[place] = event.get("timestamp")
            if _hash_of(event) != wanted:
                continue
            if place < index:
                before = place if before is None else max(before, place)
            elif place > index:
                behind = place if behind is None else min(behind, place)
    begins = index in starts.values()
    overtaken = begins and _is_later(stamps.get(index - 1), stamps.get(index))
    return Neighbours(before, behind, begins, overtaken)


def _is_later(one: object, other: object) -> bool:
    """Whether one time stamp is later than another; False where either cannot be read."""
    try:
        return canonical_instant(one) > canonical_instant(other)
    except InstantError:
        return False


def _hash_of(event: object) -> str:
    return shown(event.get("current_hash") if isinstance(event, dict) else None)


def _events(text: Text, size: int) -> Iterator[object]:
    """Each event; none behind what is no event, but the text is read all the same."""
    try:
        yield from elements_in(text, size)
    except ValueError:
        for _ in text:
            pass
