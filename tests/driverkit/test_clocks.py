"""Clocks beside ours."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ops.driverkit.clocks import compare_clocks


@pytest.mark.parametrize(
    ("ahead", "says"),
    [
        (timedelta(minutes=5), None),
        (timedelta(minutes=-5), None),
        (timedelta(minutes=6), "ahead of"),
        (timedelta(days=-365), "behind"),
    ],
)
def test_more_than_five_minutes_apart(ahead: timedelta, says: str | None) -> None:
    """Less is no finding; more says whose clock it is, how far apart, and in which direction."""
    found = compare_clocks(ahead, "store 'far'")
    assert [says in item.message for item in found if says] == ([True] if says else [])
    assert all((item.code, "store 'far'" in item.message) == ("clock.differs", True) for item in found)
