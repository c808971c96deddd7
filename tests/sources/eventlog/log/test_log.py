"""A log on this disk: read whole, judged with its snapshot, and put in the place of another."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ops.errors import RefusedError, SourceError
from ops.model.findings import Finding
from ops.sources.eventlog import swap as promote
from ops.sources.eventlog.copy import LogCopy, measures_of
from ops.sources.eventlog.log.log import read_log
from tests.sources.eventlog.writing import made_events, snapshot_of, written_log

EVENTS = made_events(35)


def codes(findings: list[Finding]) -> dict[str, str]:
    """Severity by code."""
    return {item.code: str(item.severity) for item in findings}


def test_a_right_log_can_be_continued(tmp_path: Path) -> None:
    """The chain, the snapshot, and an event more: all is well, and nothing was written."""
    folder = written_log(tmp_path / "data", EVENTS, 10)
    before = {path: path.read_bytes() for path in folder.rglob("*.json")}
    copy = LogCopy(read_log(folder))
    assert codes(copy.check()) == {
        "eventlog.snapshot": "ok", "eventlog.chain": "ok", "eventlog.can_continue": "ok",
    }  # fmt: skip
    assert copy.measure(copy.measure(measures_of(copy.log.chain))).rows == copy.count_rows("events") == 35
    assert {path: path.read_bytes() for path in folder.rglob("*.json")} == before


@pytest.mark.parametrize("size", [35, 40])
def test_an_empty_one_and_one_of_a_segment(tmp_path: Path, size: int) -> None:
    """An empty log, with a folder or without, and a log of one segment can be continued as well."""
    for events in ([], EVENTS):
        copy = LogCopy(read_log(written_log(tmp_path / f"{len(events)}", events, size)))
        assert codes(copy.check())["eventlog.can_continue"] == "ok"
    assert read_log(tmp_path / "nowhere").chain.events == 0


def test_what_was_broken_before_is_inherited(tmp_path: Path) -> None:
    """The same damage as at the backup is a warning, another one critical; both name the event."""
    events = [dict(event) for event in EVENTS]
    events[12]["actor"] = "x"
    log = read_log(written_log(tmp_path / "data", events, 10))
    known = str(measures_of(log.chain).facts["first_broken"])
    assert codes(LogCopy(log, known).check())["eventlog.hash_mismatch"] == "warning"
    (finding,) = [item for item in LogCopy(log).check() if item.code == "eventlog.hash_mismatch"]
    assert (str(finding.severity), finding.where) == ("critical", "event-log/segment-000002.json")
    assert "event 12 (evt-0000000c-abc)" in finding.message


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"last_current_hash": "0" * 64}, "eventlog.snapshot_disagrees"),
        ({"last_segment": 9}, "eventlog.snapshot_disagrees"),
        ({"last_index_in_segment": 99}, "eventlog.snapshot_disagrees"),
        ({"last_index_in_segment": "4"}, "eventlog.snapshot_disagrees"),
        ({"total_events": 0}, "eventlog.snapshot_disagrees"),
        ({"total_events": 36}, "eventlog.snapshot_disagrees"),
        (None, "eventlog.snapshot_unreadable"),
    ],
)
def test_the_snapshot_decides_nothing(tmp_path: Path, change: dict[str, object] | None, code: str) -> None:
    """A snapshot that is wrong, or no JSON, is a warning; the chain is right all the same."""
    folder = written_log(tmp_path / "data", EVENTS, 10)
    text = "{" if change is None else str({**snapshot_of(EVENTS, 10), **change}).replace("'", '"')
    (folder / "event-log-snapshot.json").write_text(text)
    found = codes(LogCopy(read_log(folder)).check())
    assert (found[code], found["eventlog.chain"]) == ("warning", "ok")


def test_odd_files_are_no_segments(tmp_path: Path) -> None:
    """A link, a pipe or a folder with a segment's name is an error that ends at once."""
    folder = written_log(tmp_path / "data", EVENTS, 10)
    place = folder / "event-log/segment-000009.json"
    place.symlink_to(folder / "event-log/segment-000001.json")
    with pytest.raises(SourceError):
        read_log(folder)
    place.unlink()
    os.mkfifo(place)
    with pytest.raises(SourceError):
        read_log(folder)
    place.unlink()
    place.mkdir()
    with pytest.raises(SourceError):
        read_log(folder)


@pytest.mark.parametrize("exchanges", [True, False])
def test_a_log_is_exchanged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exchanges: bool) -> None:
    """The new log is there whole, the old one is kept as it was, with the system's help and without."""
    if not exchanges:
        monkeypatch.setattr(promote, "_exchanged", lambda *_: False)
    live, new = written_log(tmp_path / "live", EVENTS, 10), written_log(tmp_path / "new", EVENTS[:12], 5)
    old = {path.name: path.read_bytes() for path in live.rglob("*.json")}
    wanted = {path.name: path.read_bytes() for path in new.rglob("*.json")}
    (finding,) = promote.swap_log(new, live, "20260101T000000Z", unchanged_since=promote.change_mark(live))
    kept = live / "event-log-before-20260101T000000Z"
    assert finding.where == str(kept)
    assert {path.name: path.read_bytes() for path in kept.rglob("*.json")} == old
    present = [*(live / "event-log").iterdir(), live / "event-log-snapshot.json"]
    assert {path.name: path.read_bytes() for path in present} == wanted


def test_the_old_log_is_never_where_it_would_be_swept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the moment of the exchange the old log gets the name under which it is kept, and no other on the way."""
    live, new = written_log(tmp_path / "live", EVENTS, 10), written_log(tmp_path / "new", EVENTS[:12], 5)
    real = promote._exchanged

    def die_behind_it(one: Path, other: Path) -> bool:
        assert real(one, other)
        raise KeyboardInterrupt

    monkeypatch.setattr(promote, "_exchanged", die_behind_it)
    with pytest.raises(KeyboardInterrupt):
        promote.swap_log(new, live, "x", unchanged_since=None)
    assert read_log(live).chain.events == 12
    assert read_log(live / "event-log-before-x").chain.events == 35


def test_a_log_that_is_written_is_not_replaced(tmp_path: Path) -> None:
    """An append since the mark was taken refuses the exchange, and nothing was touched."""
    live, new = written_log(tmp_path / "live", EVENTS, 10), written_log(tmp_path / "new", EVENTS[:12], 5)
    mark = promote.change_mark(live)
    written_log(live, EVENTS + made_events(1, previous=EVENTS[-1]["current_hash"], first=35), 10)
    before = {path: path.read_bytes() for path in live.rglob("*.json")}
    with pytest.raises(RefusedError) as caught:
        promote.swap_log(new, live, "20260101T000000Z", unchanged_since=mark)
    assert caught.value.code == "refused.target_in_use"
    assert {path: path.read_bytes() for path in live.rglob("*.json")} == before


def test_into_an_empty_place(tmp_path: Path) -> None:
    """A data folder that is not there is made; an empty log and one without a snapshot are logs too."""
    for number, events in enumerate(([], EVENTS)):
        new = written_log(tmp_path / f"new-{number}", events, 10, snapshot=False)
        live = tmp_path / f"live-{number}"
        assert promote.swap_log(new, live, "x", unchanged_since=None) == []
        assert sorted(path.name for path in live.iterdir()) == ["event-log"]
        assert read_log(live).chain.events == len(events)


def test_what_can_not_be_backed_up_is_copied(tmp_path: Path) -> None:
    """A damaged log is kept file by file, and the command that is shown goes back to it."""
    live = written_log(tmp_path / "live", EVENTS, 10)
    (live / "event-log/segment-000002.json").write_bytes(b"{")
    before = {path.name: path.read_bytes() for path in (live / "event-log").iterdir()}
    kept, undo = promote.keep_damaged(live, "x")
    promote.swap_log(written_log(tmp_path / "new", EVENTS, 10), live, "y", unchanged_since=None)
    assert os.system(undo) == 0
    assert {path.name: path.read_bytes() for path in (live / "event-log").iterdir()} == before
    assert kept.is_dir()
