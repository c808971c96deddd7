"""A large segment is read in parts: the same is found in it as in the whole, wherever the parts are cut."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.sources.eventlog.chain import json_elements as elements
from ops.sources.eventlog.chain import segment
from ops.sources.eventlog.chain.event_hash import parse_json
from ops.sources.eventlog.chain.fast_segment import Ends, RightGroups, ends_of_right
from ops.sources.eventlog.chain.json_elements import array_elements
from ops.sources.eventlog.chain.segment import SegmentFacts, check_parts, check_segment, elements_in
from tests.sources.eventlog.writing import made_events, segment_text

pytestmark = pytest.mark.long

TEXTS = [
    b"[]", b" [ ] \n", b"null", b" null ", b"nul", b"nullx", b"null null", b"", b"  ", b"[", b"]", b"{}", b"1", b'"a"',
    b"[1]", b"[1,]", b"[,1]", b"[1 2]", b"[1,2]", b"[1,2]]", b"[1,2] x", b"[1.5e3, -0, 12345678901234567890]", b"[-]",
    b"[true,false,null]", b"[tru]", b"[NaN]", b"[Infinity]", b"[-Infinity]", b"[nulll]", b"[01]", b"[1.]", b"[1e]",
    b'["a', b'["a]', b'["a\\"]"]', b'["\\u00e9\\ud83d\\ude00\\ud83d"]', b'["\\u00g0"]', b'["\\x"]', b'["\n"]',
    b'[{"a": "}],[{"}, {"b": [[{}]]}]', b'[{"a": 1, "a": 2}]', b'[{"a" 1}]', b'[{"a": 1,}]', b"[{a: 1}]", b"[{}{}]",
    "\ufeff[]".encode(), '["é😀"]'.encode(), b'["\xff\xc3"]', b'["\xf0\x9f\x98', b'["\xf0\x9f\x98"]', b"[]\xff", b"[\xff]",
    b"[" * 5000, b"[" + b" " * 50 + b"]", b"[1]" + b"\t\r\n" * 9, b'[{"a": ' + b"[" * 100_000,
]  # fmt: skip


def parts_of(content: bytes, size: int) -> list[bytes]:
    """The content, cut everywhere."""
    return [content[start : start + size] for start in range(0, len(content), size)]


def in_parts(content: bytes, size: int) -> list[Any] | None:
    """The elements as they come in parts; None when that is an error."""
    try:
        return [*array_elements(parts_of(content, size))]
    except ValueError:
        return None


def as_a_whole(content: bytes) -> list[Any] | None:
    """The elements by the exact rule; None when there are none because it is no array."""
    try:
        value = parse_json(content.decode("utf-8", "replace"))
    except ValueError:
        return None
    return [] if value is None else value if isinstance(value, list) else None


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1 << 20])
@pytest.mark.parametrize("content", TEXTS, ids=range(len(TEXTS)))
def test_every_form_of_an_array(content: bytes, size: int) -> None:
    """What is an array, and what is in it, does not depend on where it is cut."""
    found = in_parts(content, size)
    assert repr(found) == repr(as_a_whole(content))


def test_the_list_of_forms_has_both() -> None:
    """Some of the texts are arrays with elements, and many are none: the comparison could fail either way."""
    verdicts = [as_a_whole(content) for content in TEXTS]
    assert sum(verdict is None for verdict in verdicts) > 20
    assert sum(bool(verdict) for verdict in verdicts) > 8


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=6)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.lists(VALUES, max_size=4), st.sampled_from([None, 0, 2]), st.booleans(), st.integers(1, 9), st.data()
)
def test_any_array_and_any_damage(
    values: list[Any], indent: int | None, ascii_only: bool, size: int, data: st.DataObject
) -> None:
    """Any array in any form, and the same with a byte that was changed, put in or taken out, is read as the whole is."""
    content = json.dumps(values, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    assert repr(in_parts(content, size)) == repr(as_a_whole(content))
    at, taken = data.draw(st.integers(0, len(content))), data.draw(st.integers(0, 1))
    put = data.draw(st.sampled_from([b"", b"]", b",", b'"', b"\\", b"{", b"}", b"\xff", b"\xc3", b" ", b"1"]))
    damaged = content[:at] + put + content[at + taken :]
    assert repr(in_parts(damaged, size)) == repr(as_a_whole(damaged))


def without_words(facts: SegmentFacts) -> SegmentFacts:
    """The same, whatever the words are in which a segment is called unreadable."""
    return facts if facts.unreadable is None else replace(facts, unreadable="")


FIELDS = ["id", "timestamp", "actor", "previous_hash", "current_hash", "extra"]


@given(
    st.lists(st.tuples(st.integers(0, 4), st.sampled_from(FIELDS), VALUES), max_size=2),
    st.integers(1, 1400),
    st.integers(1, 1400),
    st.integers(0, 2000),
    st.sampled_from([b"", b"}", b'"', b"\xff", b"null,", b"[],"]),
)
def test_the_same_is_found_in_a_large_segment(
    changes: list[tuple[int, str, object]], size: int, group: int, at: int, put: bytes
) -> None:
    """Whatever a segment holds, its facts and its elements are those that are found when it is read as a whole."""
    events = made_events(5)
    for index, name, value in changes:
        events[index][name] = value
    content = json.dumps(events, indent=2, ensure_ascii=False).encode("utf-8", "surrogatepass")
    content = content[:at] + put + content[at:]
    whole, wanted = check_segment("s", content), as_a_whole(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segment, "_WHOLE_UP_TO", 0)
        patch.setattr(segment, "_GROUP", group)
        assert without_words(check_parts("s", parts_of(content, size))) == without_words(whole)
        if wanted is not None:
            assert repr([*elements_in(parts_of(content, size), len(content))]) == repr(wanted)


def quick_groups(content: bytes, size: int, least: int | None = None) -> tuple[list[Ends], bytes | None]:
    """The groups that are right, and what is to be looked at by the exact rule: with all that was not read."""
    parts = iter(parts_of(content, size))
    groups = RightGroups(parts, least or size)
    found = [*groups]
    return found, None if groups.rest is None else b"".join([groups.rest, *parts])


def test_an_ordinary_large_segment_goes_the_quick_way() -> None:
    """It is cut where the program ends an event, for any size of the parts that holds one; its ends are the same."""
    content = segment_text(made_events(20))
    whole = ends_of_right(content)
    assert whole is not None
    for size in (600, 601, 1000, 5000, len(content), len(content) * 2):
        groups, rest = quick_groups(content, size)
        assert rest is None
        assert (len(groups) > 1) == (size <= len(content))
        assert sum(group.events for group in groups) == whole.events
        assert (groups[0].first_previous, groups[-1].last_hash) == (whole.first_previous, whole.last_hash)
    assert quick_groups(content, 100) == ([], content)
    assert quick_groups(content, 1, 600) == quick_groups(content, 600)


def test_the_exact_rule_begins_where_the_quick_way_ends() -> None:
    """Behind the last group that is right stands an array of all other events, and nothing but these."""
    events = made_events(20)
    events[11]["actor"] = "x"
    groups, rest = quick_groups(segment_text(events), 1000)
    assert rest is not None
    seen = sum(group.events for group in groups)
    assert 5 < seen <= 11
    assert parse_json(rest.decode()) == events[seen:]
    assert [event["id"] for event in events[:seen]][-1] == groups[-1].last_id


@pytest.mark.parametrize("cut", [0, 1, 3, 19])
def test_a_part_that_does_not_follow_is_seen(cut: int) -> None:
    """Parts that are right in themselves are no right segment when one does not follow the other."""
    events = made_events(20)
    content = segment_text([*events[:cut], *events[cut + 1 :]])
    for size in (600, 1000, 5000, 20_000):
        _, rest = quick_groups(content, size)
        assert (rest is not None) == (0 < cut < 19)
        assert check_parts("s", parts_of(content, size)) == check_segment("s", content)


def test_an_event_that_is_too_large_is_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reading of an element ends soon behind the limit, and what is left of the segment still counts for its digest."""
    monkeypatch.setattr(elements, "_LARGEST", 10_000)
    asked = []

    def parts() -> Iterator[bytes]:
        for part in [b'[{"id": "', *[b"x" * 1000] * 100, b'"}]']:
            asked.append(part)
            yield part

    with pytest.raises(elements.TooLargeError, match="more than 10000 characters"):
        [*array_elements(parts())]
    assert len(asked) < 30
    facts = check_parts("s", parts())
    assert (facts.events, facts.unverified, facts.cut, facts.broken, facts.unreadable) == (
        1,
        1,
        True,
        None,
        None,
    )
    assert facts.unclear is not None
    assert "more than 10000 characters" in facts.unclear.reason
    assert facts.size == len(b"".join(parts()))


@pytest.mark.parametrize("size", [1, 7, 100, 10_000, 30_000])
@pytest.mark.parametrize("behind", [b"]", b', 1, "' + b"y" * 5000 + b'"]'])
def test_the_limit_does_not_depend_on_the_parts(
    monkeypatch: pytest.MonkeyPatch, size: int, behind: bytes
) -> None:
    """An element of just as many characters as are allowed is read, and one with one more is not, wherever it is cut."""
    monkeypatch.setattr(elements, "_LARGEST", 10_000)
    for element in (
        b'"' + b"x" * 9998 + b'"',
        b'{"a":"' + "é".encode() * 9992 + b'"}',
        b"[" + b"1 , " * 2499 + b"1 ]",
    ):
        assert len(element.decode()) in {10_000, 9999}
        assert in_parts(b"[" + element + behind, size) == as_a_whole(b"[" + element + behind)
        longer = element[:1] + (b"xx" if element[:1] == b'"' else b"  ") + element[1:]
        assert in_parts(b"[" + longer + behind, size) is None


def test_a_large_segment_is_held_one_event_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A part is asked for only when all events of the former one were given out."""
    content = segment_text(made_events(200))
    given_out, asked_at = 0, []

    def parts() -> Any:  # noqa: ANN401 - a generator of bytes
        for part in parts_of(content, 1000):
            asked_at.append(given_out)
            yield part

    for _ in array_elements(parts()):
        given_out += 1
    assert given_out == 200
    assert len(asked_at) == len(parts_of(content, 1000))
    assert all(number * 1000 <= (seen + 3) * 500 for number, seen in enumerate(asked_at))
