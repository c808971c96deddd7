"""The second look into segments that were checked: where a hash is, and that the whole text is read for it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest

from ops.sources.eventlog.chain import segment
from ops.sources.eventlog.chain.lookup import hash_at, newest_timestamp, walk_explained
from ops.sources.eventlog.chain.segment import SegmentFacts, check_segment
from tests.sources.eventlog.writing import Event, made_events, segment_text

pytestmark = pytest.mark.long

EVENTS = made_events(40)


def facts_of(contents: dict[int, bytes]) -> dict[int, SegmentFacts]:
    """What is known of segments."""
    return {number: check_segment(f"s{number}", content) for number, content in contents.items()}


def reason(events: list[Event], size: int, order: list[int]) -> str:
    """Why the first broken event is wrong, when the texts of the segments come in that order."""
    contents = {
        number: segment_text(events[start : start + size])
        for number, start in enumerate(range(0, len(events), size))
    }
    chain = walk_explained(
        facts_of(contents), lambda: ((number, iter([contents[number]])) for number in order)
    )
    assert chain.broken is not None
    return chain.broken.broken.reason


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]])
def test_the_nearest_place_is_named(order: list[int]) -> None:
    """Of several events with the hash that is asked for the nearest one counts, whichever segment is read first."""
    twice = [EVENTS[0], EVENTS[2], *EVENTS[1:16], EVENTS[1], *EVENTS[19:30], EVENTS[1], *EVENTS[30:39]]
    assert reason(twice, 10, order) == "the event that it follows stands behind it, at 2"
    unclear = {**EVENTS[0], "timestamp": "2026-03-01T10:00:00"}
    hashes = [None, "a", "b", "a", "c"]
    links = [{**unclear, "previous_hash": one, "current_hash": two} for one, two in pairwise(hashes)]
    copies = [*links, {**unclear, "previous_hash": "a", "current_hash": "a"}, *EVENTS]
    assert (
        reason(copies, 2, [0, 1, 2]) == "1 event between it and the one that it follows do not belong there"
    )
    assert (
        reason(copies, 2, [1, 0, 2]) == "1 event between it and the one that it follows do not belong there"
    )
    behind = [*EVENTS[:5], *EVENTS[4:12], EVENTS[3], *EVENTS[13:20], EVENTS[3], *EVENTS[20:38]]
    assert reason(behind, 10, order) == "1 event between it and the one that it follows do not belong there"


def test_the_hash_of_an_event() -> None:
    """Each event of a segment has its hash, the last one without another look; outside of it there is none."""
    facts = facts_of({1: segment_text(EVENTS), 2: b"[]", 3: b"{"})
    for index, event in enumerate(EVENTS):
        assert hash_at(facts, 1, index, lambda: iter([segment_text(EVENTS)])) == event["current_hash"]
    assert hash_at(facts, 1, 39, lambda: iter([])) == EVENTS[39]["current_hash"]
    for number, index in ((1, -1), (1, 40), (2, 0), (3, 0), (4, 0)):
        assert hash_at(facts, number, index, lambda: iter([segment_text(EVENTS)])) is None


@pytest.mark.parametrize("damage", [b"", b"}"])
def test_the_text_is_read_to_its_end(monkeypatch: pytest.MonkeyPatch, damage: bytes) -> None:
    """Whoever gives the text can say at its end that it has changed: also when it is no array any more by then."""
    monkeypatch.setattr(segment, "_WHOLE_UP_TO", 0)
    facts = facts_of({1: segment_text(EVENTS)})
    content = segment_text(EVENTS[:20])[:-2] + damage + segment_text(EVENTS[20:])[1:]
    ended: list[bool] = []

    def text() -> Iterator[bytes]:
        yield from (content[start : start + 1000] for start in range(0, len(content), 1000))
        ended.append(True)

    assert hash_at(facts, 1, 3, text) == EVENTS[3]["current_hash"]
    assert ended == [True]


def test_the_newest_time_stamp() -> None:
    """The greatest of the texts counts, wherever it stands; a segment without one has none."""
    events = [EVENTS[5], {**EVENTS[6], "timestamp": 9}, EVENTS[7], EVENTS[4]]
    content = segment_text(events)
    assert newest_timestamp(iter([content]), len(content)) == EVENTS[7]["timestamp"]
    assert newest_timestamp(iter([b"[{}]"]), 4) is None
