"""The chain as a whole: what is wrong is named, with the first event that shows it."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from ops.sources.eventlog.chain.chain import Chain
from ops.sources.eventlog.chain.lookup import walk_explained
from ops.sources.eventlog.chain.segment import check_segment
from ops.sources.eventlog.log.layout import FOLDER, segment_number
from tests.sources.eventlog.writing import Event, hash_of, made_events, segment_text, segments_of

pytestmark = pytest.mark.long

HERE = Path(__file__).parents[1]


def chain_of(segments: dict[int, bytes]) -> Chain:
    """The chain of a log in memory, with its first broken event explained."""
    facts = {
        number: check_segment(f"segment-{number:06}.json", content) for number, content in segments.items()
    }
    return walk_explained(
        facts, lambda: ((number, iter([segments[number]])) for number in reversed(segments))
    )


def found(chain: Chain) -> tuple[str, int, str, str] | None:
    """Code, position, id and segment of what is broken."""
    at = chain.broken
    return None if at is None else (at.broken.code, at.index, at.broken.event_id, at.segment)


@pytest.mark.parametrize("size", [1, 7, 20, 100])
def test_a_right_log(size: int) -> None:
    """However it is cut into segments, every event counts, and both ends are told."""
    events = made_events(60)
    chain = chain_of(segments_of(events, size))
    assert (chain.valid, chain.events, chain.verified, chain.starts) == (True, 60, 60, True)
    assert (chain.first_id, chain.last_id) == (events[0]["id"], events[-1]["id"])
    assert chain.last_hash == events[-1]["current_hash"]


def test_an_empty_log() -> None:
    """No segment, or one without events, is right and begins nowhere."""
    for segments in ({}, {1: b"[]"}, {1: b"null"}):
        chain = chain_of(segments)
        assert (chain.valid, chain.events, chain.starts, chain.last_hash) == (True, 0, None, None)


def read_fixture(name: str) -> dict[int, bytes]:
    """The segments of a log that the real program wrote."""
    segments = {}
    with tarfile.open(HERE / name) as archive:
        for member in archive:
            number = segment_number(Path(member.name).name)
            content = archive.extractfile(member)
            if number is not None and content is not None and FOLDER in member.name:
                segments[number] = content.read()
    return segments


def test_logs_of_the_real_program() -> None:
    """A whole log of the program that writes such logs is right; a pruned one is right from where it begins."""
    whole, pruned = chain_of(read_fixture("base256.tar.gz")), chain_of(read_fixture("pruned.tar.gz"))
    assert (whole.valid, whole.verified, whole.segments, whole.starts) == (True, 256, 7, True)
    assert (pruned.valid, pruned.verified, pruned.starts) == (True, 75, False)
    assert chain_of(read_fixture("empty_dir.tar.gz")).events == 0


def change(name: str, value: object) -> Callable[[list[Event]], None]:
    """Change a field of event 13."""
    return lambda events: events[13].update({name: value})


def rehash(events: list[Event]) -> None:
    """Change event 13 and its own hash, as who knows the rule would."""
    events[13]["actor"] = "somebody else"
    events[13]["current_hash"] = hash_of(events[13])


def insert(events: list[Event]) -> None:
    """Put a right event behind event 12."""
    events[13:13] = made_events(1, previous=events[12]["current_hash"], first=1000)


@pytest.mark.parametrize(
    ("damage", "code", "index"),
    [
        (change("payload_hash", "0" * 64), "eventlog.hash_mismatch", 13),
        (change("actor", "x"), "eventlog.hash_mismatch", 13),
        (change("timestamp", "2026-03-01T00:00:00.000Z"), "eventlog.hash_mismatch", 13),
        (change("current_hash", "0" * 64), "eventlog.hash_mismatch", 13),
        (change("previous_hash", "0" * 64), "eventlog.event_removed", 13),
        (change("previous_hash", None), "eventlog.event_inserted", 13),
        (rehash, "eventlog.event_removed", 14),
        (lambda events: events.pop(13), "eventlog.event_removed", 13),
        (lambda events: events.insert(13, events.pop(14)), "eventlog.event_reordered", 13),
        (lambda events: events.insert(20, events.pop(13)), "eventlog.event_reordered", 13),
        (insert, "eventlog.event_inserted", 14),
        (lambda events: events.insert(13, events[12]), "eventlog.event_inserted", 13),
        (lambda events: events[13].pop("previous_hash"), "eventlog.link_broken", 13),
    ],
)
@pytest.mark.parametrize("size", [10, 14, 100])
def test_each_damage_has_its_name(
    damage: Callable[[list[Event]], object], code: str, index: int, size: int
) -> None:
    """Changed, removed, reordered and inserted events are told apart, inside a segment and between two."""
    events = made_events(40)
    damage(events)
    chain = chain_of(segments_of(events, size))
    assert found(chain) == (code, index, events[index]["id"], f"segment-{index // size + 1:06}.json")
    assert chain.verified == index


def test_segments_that_are_gone() -> None:
    """A gap in the numbers is named by the first that is missing; a log that begins late is not called broken."""
    segments = segments_of(made_events(60), 10)
    gone = chain_of({number: content for number, content in segments.items() if number not in {3, 4}})
    assert found(gone) == ("eventlog.segment_missing", 20, "evt-00000028-abc", "segment-000005.json")
    assert (gone.gaps, gone.verified) == ((3, 4), 20)
    late = chain_of({number: content for number, content in segments.items() if number > 2})
    assert (late.valid, late.starts, late.verified) == (True, False, 40)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[1]",
        b"[null]",
        b"\xef\xbb\xbf[]",
        b"[{]",
        b'"x"',
        b"[[]]",
        b"\x00",
        b"[" * 5000,
        b"[NaN]",
    ],
)
def test_segments_that_can_not_be_read(content: bytes) -> None:
    """What is no array of events ends what can be verified, whatever comes after it."""
    segments = segments_of(made_events(30), 10)
    segments[2] = content
    at = found(chain_of(segments))
    assert at == ("eventlog.segment_unreadable", 10, "", "segment-000002.json")


def test_invalid_utf8_is_a_changed_event() -> None:
    """A byte that is no UTF-8 is read as the program reads it, and then the hash is not that of the content."""
    segments = segments_of(made_events(30), 10)
    segments[2] = segments[2].replace("José".encode(), b"Jos\xe9", 1)
    assert found(chain_of(segments)) == (
        "eventlog.hash_mismatch",
        10,
        "evt-0000000a-abc",
        "segment-000002.json",
    )


def test_form_does_not_matter() -> None:
    """Other white space, escapes, key order, further and doubled keys are the same log to the program, and to us."""
    events = made_events(12)
    segments = segments_of(events, 4)
    segments[1] = json.dumps(events[:4], ensure_ascii=True).encode()
    segments[2] = json.dumps(
        [dict(reversed(event.items())) | {"extra": [1]} for event in events[4:8]]
    ).encode()
    segments[3] = segments[3].replace(b'"actor": ', b'"actor": "x", "actor": ', 1)
    assert chain_of(segments).verified == 12


def test_a_time_that_only_the_program_knows() -> None:
    """An event whose time stamp has no zone is neither right nor wrong, and is named; what follows is checked."""
    events = made_events(10)
    events[4]["timestamp"] = "2026-03-01T10:00:00"
    chain = chain_of({1: segment_text(events)})
    assert chain.broken is None
    assert not chain.valid
    assert (chain.events, chain.verified, chain.unverified) == (10, 9, 1)
    assert chain.unclear is not None
    assert (chain.unclear.index, chain.unclear.broken.code) == (4, "eventlog.timestamp_unclear")
    events[7]["actor"] = "x"
    assert found(chain_of({1: segment_text(events)})) == (
        "eventlog.hash_mismatch", 7, events[7]["id"], "segment-000001.json",
    )  # fmt: skip


def test_a_large_segment() -> None:
    """Two hundred thousand events in one segment, which the program itself could not read, are checked."""
    content = io.BytesIO(segment_text(made_events(200_000))).getvalue()
    assert chain_of({1: content}).verified == 200_000


def code_of(segments: dict[int, bytes]) -> str:
    """What is wrong with a log; empty where nothing is."""
    at = found(chain_of(segments))
    return "" if at is None else at[0]


class Program:
    """The program that writes a log, with all that it remembers: its segment, and how many events there are."""

    def __init__(self, log: dict[int, bytes], size: int) -> None:
        self.log, self.size = log, size
        self.number = max(log, default=1)
        self.segment: list[Event] = json.loads(log.get(self.number, b"[]"))
        self.last = self.segment[-1]["current_hash"] if self.segment else None

    def append(self, moment: int) -> None:
        """One more event: the whole segment is written anew, over whatever is there."""
        if len(self.segment) >= self.size:
            self.number, self.segment = self.number + 1, []
        (event,) = made_events(1, previous=self.last, first=moment)
        self.segment.append(event)
        self.last = event["current_hash"]
        self.log[self.number] = segment_text(self.segment)


@pytest.mark.parametrize(
    ("turns", "code"),
    [
        ("AABAAABABB", "eventlog.forked"),
        ("AAAABABAAB", "eventlog.forked"),
        ("AAAAABBAA", "eventlog.event_removed"),
        ("AAAAABBBB", ""),
    ],
)
def test_two_programs_on_one_log(turns: str, code: str) -> None:
    """Each goes on from what it knew: a fork, where the times show it; else that is told as possible, or cannot be seen."""
    log: dict[int, bytes] = {}
    programs = {"A": Program(log, 4)}
    for moment in range(3):
        programs["A"].append(moment)
    programs["B"] = Program(log, 4)
    for moment, turn in enumerate(turns, 3):
        programs[turn].append(moment)
    assert code_of(log) == code
    assert bool(code) is ("program" in str(chain_of(log).broken))


def test_segments_in_another_order_are_no_fork() -> None:
    """Segments that were exchanged are reordered, though what stands in front is later; one that lost its end lost events."""
    segments = segments_of(made_events(12), 4)
    segments[2], segments[3] = segments[3], segments[2]
    assert code_of(segments) == "eventlog.event_reordered"
    segments = segments_of(made_events(12), 4)
    segments[2] = segment_text(made_events(12)[4:7])
    assert code_of(segments) == "eventlog.event_removed"
