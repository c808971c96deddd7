"""Time stamps in several forms."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.ingest_monitor.timestamps import EPOCH, moment_of

MOMENT = datetime(2026, 3, 15, 8, 15, 30, tzinfo=UTC)
SECONDS = int(MOMENT.timestamp())


@pytest.mark.parametrize(
    "value",
    [
        "2026-03-15T08:15:30Z",
        "2026-03-15T08:15:30+00:00",
        "2026-03-15T05:15:30-03:00",
        "2026-03-15T08:15:30.000000Z",
        "2026-03-15 08:15:30",
        "2026-03-15 08:15:30 UTC",
        " 2026-03-15T08:15:30 ",
        SECONDS,
        float(SECONDS),
        SECONDS * 1000,
        SECONDS * 1_000_000,
        str(SECONDS),
        str(SECONDS * 1000),
    ],
)
def test_one_moment_in_many_forms(value: object) -> None:
    """Each form that programs store means the same moment; text without a zone is UTC, as for SQLite."""
    assert moment_of(value) == MOMENT


@pytest.mark.parametrize(
    "value", [None, "", "   ", "soon", "2026-13-45", True, b"2026", float("nan"), float("inf"), 10**40, []]
)
def test_what_means_no_moment(value: object) -> None:
    """Whatever else a column may hold is no moment, and no error."""
    assert moment_of(value) is None


def test_dates_and_julian_days() -> None:
    """A date is its midnight, with or without dashes; Julian days are what SQLite's julianday() gives."""
    assert moment_of("2026-03-15") == moment_of("20260315") == datetime(2026, 3, 15, tzinfo=UTC)
    found = moment_of(2461114.84409722)
    assert found is not None
    assert abs(found - MOMENT) < timedelta(seconds=1)


@given(st.integers(0, 4 * 10**9), st.integers(-14 * 60, 14 * 60))
def test_iso_text_of_any_zone(seconds: int, minutes: int) -> None:
    """What Python writes is read as the same moment, whatever the zone."""
    moment = (EPOCH + timedelta(seconds=seconds)).astimezone(timezone(timedelta(minutes=minutes)))
    assert moment_of(moment.isoformat()) == moment


@given(st.integers(10**8, 10**10))
def test_seconds_and_milliseconds(seconds: int) -> None:
    """Units are told apart by size, from 1973 to 2286."""
    assert moment_of(seconds) == EPOCH + timedelta(seconds=seconds)
    assert moment_of(seconds * 1000) == EPOCH + timedelta(seconds=seconds)
