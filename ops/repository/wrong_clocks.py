"""Which times of backups are not believed, because a clock was wrong. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

FUTURE: Final = timedelta(hours=1)
"""How far ahead a clock may be, or fall, without being called wrong."""


def out_of_order(times: Sequence[datetime], now: datetime) -> set[int]:
    """Return which of the times, in the order of the backups, contradict that order: a clock was wrong, nobody knows when.

    A time is believed when it is in the longest run of backups whose times do not fall, or within an hour of the one
    before it there. What is from the future is in no run, and not told here.
    """
    present = [place for place, moment in enumerate(times) if moment - now <= FUTURE]
    if all(times[later] >= times[earlier] - FUTURE for earlier, later in pairwise(present)):
        return set()
    run = _longest_run([times[place] for place in present])
    inside, found = {present[number] for number in run}, set[int]()
    last = times[present[run[0]]]
    for place in present:
        if place in inside:
            last = times[place]
        elif abs(times[place] - last) > FUTURE:
            found.add(place)
    return found


def _longest_run(times: Sequence[datetime]) -> list[int]:
    """The places of a longest run of times that do not fall, in their order."""
    ends: list[datetime] = []
    at: list[int] = []
    before: list[int] = []
    for place, moment in enumerate(times):
        length = bisect_right(ends, moment)
        before.append(at[length - 1] if length else -1)
        ends[length : length + 1] = [moment]
        at[length : length + 1] = [place]
    run, place = [], at[-1]
    while place >= 0:
        run.append(place)
        place = before[place]
    return run[::-1]
