from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.formats.names import (
    checksum_line,
    evidence_key,
    parse_checksum_line,
    payload_name,
    payload_of_evidence,
)
from ops.units import (
    format_duration,
    format_size,
    format_time,
    parse_duration,
    parse_size,
    parse_time,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("24h", timedelta(hours=24)),
        ("1d12h", timedelta(hours=36)),
        ("1d 12h", timedelta(hours=36)),
        ("3mo", timedelta(days=90)),
        ("2y", timedelta(days=730)),
        ("15m", timedelta(minutes=15)),
        ("1.5h", timedelta(minutes=90)),
        ("250ms", timedelta(milliseconds=250)),
        ("2W", timedelta(days=14)),
    ],
)
def test_durations(text: str, expected: timedelta) -> None:
    """Durations are read as people write them."""
    assert parse_duration(text) == expected


@pytest.mark.parametrize(
    "text", ["", "24", "h", "24 parsecs", "-1h", "0s", "1h banana", "1e9y", "9" * 400 + "d"]
)
def test_no_durations(text: str) -> None:
    """What is no duration is refused with an example, never guessed."""
    with pytest.raises(ValueError, match="write it like"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("50GB", 50 * 10**9), ("1GiB", 2**30), ("512", 512), ("1.5 MiB", 3 * 2**19), ("7k", 7000)],
)
def test_sizes(text: str, expected: int) -> None:
    """Sizes are read in decimal and binary units."""
    assert parse_size(text) == expected


@pytest.mark.parametrize("text", ["", "GB", "12 elephants", "-5MB", "²"])
def test_no_sizes(text: str) -> None:
    """What is no size is refused."""
    with pytest.raises(ValueError, match="write it like"):
        parse_size(text)


@given(
    st.datetimes(
        timezones=st.sampled_from([UTC, timezone(timedelta(hours=-3)), timezone(timedelta(hours=14))])
    )
)
def test_times_survive(moment: datetime) -> None:
    """A time that was written and read back is the same instant, to the millisecond."""
    if not datetime(2, 1, 1, tzinfo=UTC) < moment < datetime(9998, 1, 1, tzinfo=UTC):
        return
    assert abs(parse_time(format_time(moment)) - moment) < timedelta(milliseconds=1)


def test_a_time_without_offset_is_refused() -> None:
    """A time that does not say where it is valid is no time."""
    with pytest.raises(ValueError, match="offset"):
        parse_time("2026-01-01T00:00:00")


@pytest.mark.parametrize(
    ("size", "expected"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1 KiB"), (331776, "324 KiB"), (2**30, "1 GiB"), (2**41, "2 TiB")],
)
def test_sizes_for_people(size: int, expected: str) -> None:
    """Sizes are shown with three digits at most."""
    assert format_size(size) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0.04, "0.04 s"), (1.44, "1.4 s"), (59, "59 s"), (65, "1m 05s"), (7200, "2h 00m"), (200_000, "2d 7h")],
)
def test_durations_for_people(seconds: float, expected: str) -> None:
    """Durations are shown with two units at most."""
    assert format_duration(seconds) == expected


@given(st.text(st.characters(exclude_characters="\0/", codec=None), min_size=1))
def test_checksum_lines_survive(name: str) -> None:
    """Whatever the payload is called, the checksum line that we write says its name when we read it."""
    if name != name.strip("\r\n \t\ufeff") or name.startswith(("*", " ")):
        return
    digest, read = parse_checksum_line(checksum_line("ab" * 32, name))
    assert (digest, read) == ("ab" * 32, name)


@pytest.mark.parametrize("text", ["", "xyz", "ab" * 31, "ab" * 32 + "\n" + "cd" * 32, "ab" * 32 + "name"])
def test_no_checksum_lines(text: str) -> None:
    """What holds no single digest is refused."""
    with pytest.raises(ValueError, match="SHA-256"):
        parse_checksum_line(text)


def test_evidence_names_lead_back() -> None:
    """The name of an evidence file says which payload it is about, also for odd payload names."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    for payload in (payload_name("backup", now, ".db"), "x.drill-y.db", "new\nline"):
        assert payload_of_evidence(evidence_key(payload, "drill", now, "0123456789ab")) == payload
    assert payload_of_evidence("backup.db.manifest.json") is None
