"""A log against its former backup: what a chain that is right in itself cannot show."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from ops.model.findings import Severity
from ops.sources.eventlog.chain.continuity import FormerLog, compare, read_former, recorded
from ops.sources.eventlog.chain.lookup import hash_at
from ops.sources.eventlog.chain.segment import SegmentFacts, check_segment
from tests.sources.eventlog.writing import Event, made_events, segment_text, segments_of

pytestmark = pytest.mark.long


def facts_of(segments: Mapping[int, bytes]) -> dict[int, SegmentFacts]:
    """What each segment says for itself."""
    return {number: check_segment(f"segment-{number:06}.json", text) for number, text in segments.items()}


def former_of(events: list[Event], size: int = 10) -> FormerLog:
    """What a backup of that log would have recorded, through JSON and back."""
    document = json.loads(json.dumps(recorded(facts_of(segments_of(events, size)))))
    former = read_former("former.tar.gz", document)
    assert former is not None
    return former


def codes(former: FormerLog, segments: Mapping[int, bytes]) -> list[tuple[str, str]]:
    """Severity and code of each finding about the log as it is now."""
    facts = facts_of(segments)

    def hash_of(number: int, index: int) -> str | None:
        return hash_at(facts, number, index, lambda: iter([segments[number]]))

    return [(str(item.severity), item.code) for item in compare(former, facts, hash_of)]


GOES_ON = [("ok", "eventlog.continues")]
BEFORE = made_events(35)
MORE = made_events(25, previous=BEFORE[-1]["current_hash"], first=35)


@pytest.mark.parametrize("more", [0, 1, 5, 25])
def test_a_log_that_goes_on(more: int) -> None:
    """Nothing, one event, a full segment, several segments more: it goes on."""
    assert codes(former_of(BEFORE), segments_of(BEFORE + MORE[:more], 10)) == GOES_ON


def test_a_full_segment_may_grow_by_one() -> None:
    """After a restart on a full segment the next event goes into it."""
    events, more = BEFORE[:30], MORE
    segments = segments_of(events, 10)
    more = made_events(1, previous=events[-1]["current_hash"], first=30)
    segments[3] = segment_text(events[20:] + more)
    assert codes(former_of(events), segments) == GOES_ON


def test_a_pruned_log() -> None:
    """That the oldest segments are gone is legitimate, and said; as long as one is left that both hold."""
    segments = segments_of(BEFORE + MORE, 10)
    late = {number: text for number, text in segments.items() if number > 2}
    assert codes(former_of(BEFORE), late) == [*GOES_ON, ("ok", "eventlog.pruned")]
    apart = {number: text for number, text in segments.items() if number > 4}
    assert codes(former_of(BEFORE), apart) == [("warning", "eventlog.unconnected"), ("ok", "eventlog.pruned")]


@pytest.mark.parametrize("left", [0, 1, 29, 30, 34])
def test_a_truncated_log(left: int) -> None:
    """Events at the end are gone: the chain is right in itself, and this is critical all the same."""
    assert ("critical", "eventlog.truncated") in codes(former_of(BEFORE), segments_of(BEFORE[:left], 10))


@pytest.mark.parametrize("from_event", [0, 5, 9, 10, 25, 34])
def test_a_rewritten_log(from_event: int) -> None:
    """From some event on everything was made anew with right hashes: the chain is right, and it is another one."""
    kept = BEFORE[:from_event]
    previous = kept[-1]["current_hash"] if kept else None
    events = kept + made_events(60 - from_event, previous=previous, first=from_event, actor="Mallory")
    assert codes(former_of(BEFORE), segments_of(events, 10)) == [("critical", "eventlog.rewritten")]


def test_what_no_hash_covers() -> None:
    """A changed id, or text that moved across a separator, keeps every hash; the digest of the file tells."""
    for change in ({"id": "evt-x"}, {"actor": "a|b", "evento": "c"}):
        events = [dict(event) for event in BEFORE]
        events[12]["actor"], events[12]["evento"] = "a", "b|c"
        events = made_events(12) + relinked(events[12:], BEFORE[11]["current_hash"])
        former = former_of(events)
        events[12].update(change)
        segments = segments_of(events, 10)
        assert all(facts.broken is None for facts in facts_of(segments).values())
        assert codes(former, segments) == [("critical", "eventlog.rewritten")]


def relinked(events: list[Event], previous: str | None) -> list[Event]:
    """The events with right hashes behind `previous`."""
    from tests.sources.eventlog.writing import hash_of

    for event in events:
        event["previous_hash"] = previous
        event["current_hash"] = previous = hash_of(event)
    return events


def test_a_segment_in_the_middle_is_gone() -> None:
    """That is no pruning."""
    segments = segments_of(BEFORE + MORE, 10)
    del segments[2]
    assert codes(former_of(BEFORE), segments) == [("critical", "eventlog.truncated")]


@pytest.mark.parametrize(
    "document", [None, {}, [], {"events": 1}, {"events": 1, "segments": [[1]]}, {"events": 1, "segments": "x"},
                 {"events": 1, "segments": [["a", "b", "c", "d"]]}]
)  # fmt: skip
def test_a_record_that_is_none(document: object) -> None:
    """A manifest without that record, or with something else there, is no former log, and no error."""
    assert read_former("x", document) is None


def test_an_empty_log_goes_on_to_anything() -> None:
    """What follows an empty backup is its continuation."""
    assert codes(former_of([]), segments_of(BEFORE, 10)) == GOES_ON
    assert codes(former_of([]), {}) == GOES_ON
    assert Severity.OK.value == GOES_ON[0][0]
