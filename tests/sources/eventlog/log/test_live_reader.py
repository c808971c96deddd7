"""A log that is written while it is read: what is packed is what it was at one moment."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from ops.errors import SourceError
from ops.sources.eventlog.archive import pack as packing
from ops.sources.eventlog.archive.pack import PackedLog, pack_log
from ops.sources.eventlog.chain.chain import walk
from ops.sources.eventlog.log.live_reader import Settled, settle
from ops.sources.eventlog.log.open_files import MovedError, open_still, read_opened
from tests.sources.eventlog.capturing import MOMENT, Hook, contents, once, packed, segment
from tests.sources.eventlog.writer import State
from tests.sources.eventlog.writing import made_events, segment_text, written_log

ROOT = Path(__file__).parents[4]


@contextlib.contextmanager
def writing(folder: Path, prune_every: int) -> Iterator[list[State]]:
    """A writer at work; its states are there when the block has ended."""
    states: list[State] = []
    record = folder.with_name("states.json")
    command = [
        sys.executable,
        "-m",
        "tests.sources.eventlog.writer",
        str(folder),
        str(record),
        str(prune_every),
    ]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdin is not None
        assert writer.stdout.readline() == "writing\n"
        yield states
        writer.stdin.close()
        assert writer.wait(30) == 0
    states += [tuple(state) for state in json.loads(record.read_text())]


def state_of(log: PackedLog) -> State:
    """Which state of the writer was captured."""
    numbers, snapshot = list(log.found.segments), log.found.snapshot
    head = walk(log.found.segments).last_hash
    seen = None if snapshot is None else json.loads(snapshot)["last_current_hash"]
    return (numbers[0] if numbers else 1, numbers[-1] if numbers else 0, head, seen)


def require_whole(log: PackedLog, archive: Path) -> None:
    """The chain is right, without gaps, and the archive holds just these files."""
    chain = walk(log.found.segments)
    assert (chain.broken, chain.gaps, chain.unclear) == (None, (), None)
    assert [*contents(archive)] == [*(entry.path for entry in log.found.files), "manifest.json"]


def test_every_capture_is_a_state_that_was(tmp_path: Path) -> None:
    """While thousands of events a second are appended, rotated and pruned, each capture is one state of the log, whole."""
    captures = []
    with writing(tmp_path / "data", prune_every=100) as states:
        for number in range(100):
            archive = tmp_path / f"{number}.tar.gz"
            captures.append(packed(tmp_path / "data", archive))
            require_whole(captures[-1], archive)
    known = set(states)
    assert [state for log in captures if (state := state_of(log)) not in known] == []
    assert len({state_of(log) for log in captures}) > 50
    assert any(log.found.settled.older and 1 not in log.found.segments for log in captures)


def test_workers_capture_a_state_that_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same where worker processes read, long after the moment, while the log goes on."""
    monkeypatch.setattr(packing, "ALONE_UP_TO", 0)
    captures = []
    with writing(tmp_path / "data", prune_every=1_000_000) as states:
        for number in range(2):
            archive = tmp_path / f"{number}.tar.gz"
            captures.append(packed(tmp_path / "data", archive))
            require_whole(captures[-1], archive)
    assert {state_of(log) for log in captures} <= set(states)


@pytest.mark.parametrize("read", [0, 1, 2])
def test_pruned_before_it_was_read(tmp_path: Path, read: int) -> None:
    """Segments that pruning removes before they were read are left out, and with them those that were read before."""
    folder = written_log(tmp_path / "data", made_events(50), 10)

    def prune() -> None:
        for number in (1, 2, 3):
            segment(folder, number).unlink()

    log = packed(folder, tmp_path / "a", Hook(once(prune), read))
    assert [*log.found.segments] == [4, 5]
    require_whole(log, tmp_path / "a")


def test_pruned_after_it_was_read(tmp_path: Path) -> None:
    """Segments that were there at the moment, and were read, stay in although they are pruned a moment later."""
    folder = written_log(tmp_path / "data", made_events(50), 10)
    log = packed(folder, tmp_path / "a", Hook(once(segment(folder, 1).unlink), 1))
    assert [*log.found.segments] == [1, 2, 3, 4, 5]


def test_the_moment_is_kept(tmp_path: Path) -> None:
    """What is appended and rotated after the moment is not in the capture, and what was there is."""
    events = made_events(60)
    folder = written_log(tmp_path / "data", events[:45], 10)

    def go_on() -> None:
        for number, start in ((5, 40), (6, 50)):
            beside = segment(folder, number).with_suffix(".json.tmp")
            beside.write_bytes(segment_text(events[start : start + 10]))
            beside.rename(segment(folder, number))

    log = packed(folder, tmp_path / "a", Hook(once(go_on)))
    assert walk(log.found.segments).last_hash == events[44]["current_hash"]
    assert contents(tmp_path / "a")["event-log/segment-000005.json"] == segment_text(events[40:45])


def settled_with(folder: Path, act: Callable[[], object], call: int) -> Settled:
    """What is settled when something happens between two looks: the clock is asked before each opening."""
    calls: list[int] = []

    def clock() -> datetime:
        calls.append(1)
        if len(calls) == call:
            act()
        return MOMENT + timedelta(seconds=len(calls))

    with contextlib.ExitStack() as opened:
        return settle(folder, clock, opened)


def put(path: Path, content: bytes) -> None:
    """Write a file as the program does."""
    beside = path.with_name(path.name + ".tmp")
    beside.write_bytes(content)
    beside.rename(path)


def test_rotated_before_it_was_opened(tmp_path: Path) -> None:
    """When the segment that was the newest is full and followed by another by then, that one is the newest of the moment."""
    events = made_events(41)
    folder = written_log(tmp_path / "data", events[:38], 10)

    def rotate() -> None:
        put(segment(folder, 4), segment_text(events[30:40]))
        put(segment(folder, 5), segment_text(events[40:]))

    settled = settled_with(folder, rotate, 2)
    assert settled.newest is not None
    assert (settled.newest[0], [*settled.newest[1].parts()]) == (5, [segment_text(events[40:])])
    assert settled.older[4].size == len(segment_text(events[30:40]))
    assert settled.moment == MOMENT + timedelta(seconds=3)


def test_snapshot_of_the_same_moment(tmp_path: Path) -> None:
    """A snapshot that is replaced, appears or goes away between the looks is the one that lay beside the newest segment."""
    folder = written_log(tmp_path / "data", made_events(38), 10)
    snapshot = folder / "event-log-snapshot.json"
    settled = settled_with(folder, lambda: put(snapshot, b"{}"), 2)
    assert settled.snapshot is not None
    assert settled.snapshot.content == b"{}"
    assert settled_with(folder, snapshot.unlink, 2).snapshot is None
    again = settled_with(folder, lambda: put(snapshot, b"[]"), 2).snapshot
    assert again is not None
    assert again.content == b"[]"


def test_segments_that_were_not_listed(tmp_path: Path) -> None:
    """A segment that a listing did not show, as can happen while names change, and the first one of all, are not left out."""
    folder = written_log(tmp_path / "data", made_events(30), 10)
    content = segment(folder, 2).read_bytes()
    segment(folder, 2).unlink()
    settled = settled_with(folder, lambda: put(segment(folder, 2), content), 2)
    assert [*settled.older] == [1, 2]
    empty = written_log(tmp_path / "empty", [], 10)
    first = settled_with(empty, lambda: put(segment(empty, 1), b"[]"), 1).newest
    assert first is not None
    assert first[0] == 1


def test_gone_before_it_was_opened(tmp_path: Path) -> None:
    """A log that is replaced by another, shorter one between the looks is that other one."""
    folder = written_log(tmp_path / "data", made_events(30), 10)

    def replace() -> None:
        (folder / "event-log").rename(folder / "old")
        written_log(folder, made_events(3, actor="another"), 10)

    settled = settled_with(folder, replace, 2)
    assert (settled.newest and settled.newest[0], settled.older) == (1, {})


def test_replaced_segment_is_read_again(tmp_path: Path) -> None:
    """An older segment that is replaced under the capture is read as it is at a later moment."""
    folder = written_log(tmp_path / "data", made_events(50), 10)

    def replace() -> None:
        new = tmp_path / "new"
        new.write_bytes(b"[]")
        new.rename(segment(folder, 3))

    log = packed(folder, tmp_path / "a", Hook(once(replace), 1))
    assert log.found.segments[3].events == 0
    assert contents(tmp_path / "a")["event-log/segment-000003.json"] == b"[]"


def test_a_log_that_never_holds_still(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When older segments change at each try, the capture ends after its time, and says what to look for."""
    monkeypatch.setattr(packing, "_PATIENCE_S", 0.2)
    folder = written_log(tmp_path / "data", made_events(50), 10)
    hook = Hook(lambda: segment(folder, 4).write_bytes(b"[]"), 1)
    with pytest.raises(SourceError, match="changed each time") as caught:
        packed(folder, tmp_path / "a", hook)
    assert caught.value.code == "source.changed"
    assert "let it end" in caught.value.hint


def test_the_manifest_may_ask_for_a_segment(tmp_path: Path) -> None:
    """Who makes the manifest gets the text of every segment; when one is gone by then, all is done again."""
    folder = written_log(tmp_path / "data", made_events(50), 10)
    asked: list[Mapping[int, bytes]] = []
    prune = once(segment(folder, 1).unlink)

    def manifest_of(found: packing.FoundLog) -> bytes:
        prune()
        asked.append({number: b"".join(found.parts_of(number)) for number in found.segments})
        return b"{}"

    (tmp_path / "a").touch()
    log = pack_log(folder, tmp_path / "a", manifest_of, lambda: MOMENT)
    assert [*log.found.segments] == [2, 3, 4, 5]
    (texts,) = asked
    assert texts == {number: segment(folder, number).read_bytes() for number in (2, 3, 4, 5)}


def test_held_files_are_left_out(tmp_path: Path) -> None:
    """A segment that is held elsewhere with the same digest is checked, listed, and not packed; a changed one is packed."""
    folder = written_log(tmp_path / "data", made_events(50), 10)
    held = {entry.path: entry for entry in packed(folder, tmp_path / "a").found.files}
    segment(folder, 2).write_bytes(b"[]")
    log = pack_log(folder, tmp_path / "a", lambda found: b"{}", lambda: MOMENT, held=held)
    kept = ["event-log/segment-000002.json", "event-log-snapshot.json", "manifest.json"]
    assert [*contents(tmp_path / "a")] == kept
    assert len(log.found.files) == 6
    assert log.found.left_out == tuple(f"event-log/segment-{number:06}.json" for number in (1, 3, 4, 5))


def test_writing_into_an_open_file_is_noticed(tmp_path: Path) -> None:
    """A file that is written to while it is read is not taken for what it was; one that only lost its name is."""
    path = tmp_path / "file"
    path.write_bytes(b"content")
    with path.open("r+b", buffering=0) as other, contextlib.ExitStack() as stack:
        opened = open_still(path, stack)
        assert opened is not None
        path.unlink()
        assert read_opened(opened).content == b"content"
        other.write(b"CONTENT")
        with pytest.raises(MovedError):
            read_opened(opened)
