"""The hash of an event: every text that the program would hash, and no other."""

from __future__ import annotations

import json
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.sources.eventlog.chain import fast_segment as quick
from ops.sources.eventlog.chain.event_hash import InstantError, event_hash, number_text, parse_json
from ops.sources.eventlog.chain.segment import check_segment
from ops.sources.eventlog.log.layout import looks_like_a_segment, segment_number, segment_path
from tests.sources.eventlog.writing import hash_of, made_events, segment_text

pytestmark = pytest.mark.long

VECTORS = json.loads((Path(__file__).parents[1] / "vectors.json").read_text())


@pytest.mark.parametrize("number", range(len(VECTORS)))
def test_as_node_computes_it(number: int) -> None:
    """What Node.js 20 computed for odd times, numbers, lists, surrogates and missing fields is computed here."""
    event, expected = parse_json(VECTORS[number]["event"]), VECTORS[number]["hash"]
    if expected is None:
        with pytest.raises(InstantError):
            event_hash(event)
    else:
        assert event_hash(event) == expected


@pytest.mark.parametrize(
    "stamp", ["2026-03-01T10:00:00", "2026-03-01T10:00", "1,2", "Mar 1 2026", "2026/03/01"]
)
def test_what_depends_on_the_machine_is_not_guessed(stamp: str) -> None:
    """Times without a zone, and forms that only an engine knows, have no hash here."""
    event = {**made_events(1)[0], "timestamp": stamp}
    with pytest.raises(InstantError):
        event_hash(event)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1e21, "1e+21"),
        (10**23, "1e+23"),
        (123456789012345680000, "123456789012345680000"),
        (0.000001, "0.000001"),
        (1e-7, "1e-7"),
        (1.5e300, "1.5e+300"),
        (-0.0, "0"),
        (100.0, "100"),
        (2**53 + 1, "9007199254740992"),
        (-12.5, "-12.5"),
        (5e-324, "5e-324"),
        (sys.float_info.max, "1.7976931348623157e+308"),
        (10**400, "Infinity"),
    ],
)
def test_numbers_as_javascript_prints_them(number: float, text: str) -> None:
    """Whole numbers without a point up to 21 digits, exponents beyond, the shortest digits that mean the number."""
    assert number_text(number) == text


@pytest.mark.parametrize(
    "text", ["NaN", "[Infinity]", '{"a": -Infinity}', "[" * 100_000, "\ufeff[]", "[1,]", ""]
)
def test_only_json(text: str) -> None:
    """What JSON.parse refuses is refused, also where Python would read it."""
    with pytest.raises(ValueError, match=r"JSON|Expecting|nested|BOM|Illegal|Extra"):
        parse_json(text)


FIELDS = [
    "id",
    "timestamp",
    "actor",
    "evento",
    "entidade",
    "entidade_id",
    "payload_hash",
    "previous_hash",
    "current_hash",
]
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**60), 2**60),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=5),
    st.sampled_from(
        ["2026-02-30T00:00:00.000Z", "2026-03-01T10:00:00Z", "2026-02-28T24:00:00.000Z", "\ud83d", "a\\b"]
    ),
)


@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from(FIELDS), VALUES), max_size=3), st.booleans())
def test_the_quick_look_never_says_more(changes: list[tuple[int, str, object]], ascii_only: bool) -> None:
    """A segment that the quick decoder calls right is right by the exact rule, with the same ends."""
    events = made_events(5)
    for index, name, value in changes:
        events[index][name] = value
    content = json.dumps(events, indent=2, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    quickly = quick.ends_of_right(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ops.sources.eventlog.chain.segment.ends_of_right", lambda _: None)
        exactly = check_segment("s", content)
    if quickly is not None:
        assert (exactly.broken, exactly.unclear, exactly.unreadable) == (None, None, None)
        assert quickly == (
            exactly.events, exactly.first_id, exactly.last_id, exactly.first_previous, exactly.last_hash
        )  # fmt: skip
    elif not changes:
        pytest.fail("a right segment of the usual form goes the quick way")


@pytest.mark.parametrize(
    "stamp",
    [
        "2026-03-01T10:00:00Z",
        "2026-03-01T10:00:00.000-03:00",
        "2026-03-01t10:00:00.000z",
        "2026-03-01T10:00:00.0001Z",
        "2026-02-28T24:00:00.000Z",
        "2026-02-30T00:00:00.000Z",
        "2026-03-01",
    ],
)
def test_a_hash_over_the_text_of_a_time_stamp_is_wrong(stamp: str) -> None:
    """The program hashes the instant as it prints it: a chain over another form is broken, and not quickly right."""
    events = made_events(3)
    events[1]["timestamp"] = stamp
    for before, event in pairwise(events):
        event["previous_hash"] = before["current_hash"]
        event["current_hash"] = hash_of(event)
    broken = check_segment("s", segment_text(events)).broken
    assert broken is not None
    assert (broken.index, broken.code) == (1, "eventlog.hash_mismatch")


def test_ordinary_segments_go_the_quick_way() -> None:
    """What the program writes is read by the quick decoder; else the speed that is promised would be lost unnoticed."""
    assert quick.ends_of_right(segment_text(made_events(50))) is not None


def test_which_files_are_segments() -> None:
    """Exactly six digits; others that look like one are known as such."""
    assert (segment_number("segment-000001.json"), segment_number("segment-999999.json")) == (1, 999_999)
    for name in (
        "segment-0000001.json",
        "segment-00001.json",
        "segment-abc.json",
        "segment-00000\u0661.json",
    ):
        assert segment_number(name) is None
        assert looks_like_a_segment(name)
    for name in ("segment-000001.json.tmp", "x.json", "segment-000001.json\n"):
        assert segment_number(name) is None
        assert not looks_like_a_segment(name)
    assert segment_path(7) == "event-log/segment-000007.json"
