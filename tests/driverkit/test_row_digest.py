from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.driverkit.row_digest import Row, add_sums, document_seal, sum_rows, table_digest

VALUES = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(st.characters(codec=None)),
    st.binary(max_size=40),
)
ROWS = st.lists(st.tuples(VALUES, VALUES), max_size=30)


@given(ROWS, st.randoms())
def test_order_does_not_matter(rows: list[Row], chance: random.Random) -> None:
    """Any order and any partition of the rows give the same sum."""
    shuffled = list(rows)
    chance.shuffle(shuffled)
    cut = chance.randint(0, len(rows))
    assert (
        sum_rows(shuffled) == sum_rows(rows) == add_sums([sum_rows(shuffled[:cut]), sum_rows(shuffled[cut:])])
    )


@given(ROWS, st.tuples(VALUES, VALUES))
def test_every_row_counts(rows: list[Row], extra: Row) -> None:
    """A row more, even one that is there already, changes the digest; so does its absence."""
    without = table_digest(("a", "b"), len(rows), sum_rows(rows))
    with_it = table_digest(("a", "b"), len(rows) + 1, sum_rows([*rows, extra]))
    assert without != with_it


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((0.0,), (-0.0,)),
        ((1,), (1.0,)),
        ((1,), ("1",)),
        (("1",), (b"1",)),
        ((None,), ("",)),
        (("",), (b"",)),
        (("a", "bc"), ("ab", "c")),
        (("a\0b",), ("a",)),
        (("\udcff",), ("ÿ",)),
        ((2**31,), (-(2**31),)),
        ((math.inf,), (1.7976931348623157e308,)),
        ((5e-324,), (0.0,)),
    ],
)
def test_alike_is_not_equal(one: Row, other: Row) -> None:
    """Values that look alike and are not the same have different digests."""
    assert sum_rows([one]) != sum_rows([other])


def test_swapped_values_are_seen() -> None:
    """Two rows that exchange a value are other rows, although every column holds the same values."""
    assert sum_rows([(1, "a"), (2, "b")]) != sum_rows([(1, "b"), (2, "a")])


def test_known_digest() -> None:
    """The digest of a known table never changes."""
    rows: list[Row] = [(1, None, -0.0, "é", b"\0"), (2**40, 1.5, "x", "", b"")]
    assert table_digest(("a", "b", "c", "d", "e"), 2, sum_rows(rows)) == (
        "4c877556657cc894ef7e763c91cb364daca0a1f149925548fd362469e45569c0"
    )


def test_seal_ignores_form_only() -> None:
    """The seal of a document is that of its content: order of keys does not matter, every value does."""
    assert document_seal({"a": 1, "b": [2]}) == document_seal({"b": [2], "a": 1, "seal": "anything"})
    assert document_seal({"a": 1, "b": [2]}) != document_seal({"a": 1, "b": [3]})
