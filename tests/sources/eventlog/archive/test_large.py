"""Segments that are too large to be held: the same archive, the same findings, and the same care for files that change."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from ops.errors import BackupError
from ops.model.findings import Finding
from ops.model.manifest import Captured, Manifest, Payload, SourceInfo
from ops.run.progress import silent
from ops.sources.eventlog.archive import pack as packing
from ops.sources.eventlog.archive import read as archive
from ops.sources.eventlog.archive.inspect import inspect_archive
from ops.sources.eventlog.archive.pack import FoundLog, pack_log
from ops.sources.eventlog.archive.read import check_archive
from ops.sources.eventlog.archive.shared_segments import Sharing
from ops.sources.eventlog.archive.unpack import unpack_archive
from ops.sources.eventlog.capture import capture_log
from ops.sources.eventlog.chain import segment
from ops.sources.eventlog.chain.chain import walk
from ops.sources.eventlog.chain.continuity import read_former
from ops.sources.eventlog.chain.lookup import walk_explained
from ops.sources.eventlog.copy import LogCopy
from ops.sources.eventlog.log import open_files as marked
from ops.sources.eventlog.log.log import read_log
from ops.sources.eventlog.log.open_files import MovedError, open_still
from tests.sources.eventlog.capturing import MOMENT, Hook, contents, files_of, once, packed
from tests.sources.eventlog.capturing import segment as file_of
from tests.sources.eventlog.writing import (
    Event,
    hash_of,
    made_events,
    segment_text,
    snapshot_of,
    written_log,
)

EVENTS = made_events(45)
PART = 1500


def make_large(patch: pytest.MonkeyPatch) -> None:
    """No segment is held; each comes in several parts."""
    patch.setattr(segment, "_WHOLE_UP_TO", 0)
    patch.setattr(segment, "_GROUP", PART)
    patch.setattr(marked, "PART", PART)


@pytest.fixture
def all_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a whole test."""
    make_large(monkeypatch)


def changed(index: int, **values: object) -> list[Event]:
    """The events with other values in one of them."""
    return [*EVENTS[:index], {**EVENTS[index], **values}, *EVENTS[index + 1 :]]


def linked_anew(events: list[Event]) -> list[Event]:
    """The same events as a right chain, which is written into `events`."""
    previous = None
    for index, old in enumerate(events):
        events[index] = event = dict(old)
        event["previous_hash"] = previous
        event["current_hash"] = previous = hash_of(event)
    return events


def number_for_a_text() -> list[Event]:
    """A right chain that only the exact rule reads: a number counts as the program prints it."""
    events = changed(23, entidade_id="7")
    linked_anew(events)
    events[23]["entidade_id"] = 7
    return events


LOGS: dict[str, list[Event]] = {
    "right": EVENTS,
    "changed": changed(23, actor="x"),
    "removed": [*EVENTS[:23], *EVENTS[24:]],
    "inserted": [*EVENTS[:23], *made_events(2, previous=EVENTS[22]["current_hash"], first=90), *EVENTS[23:]],
    "begun anew": [*EVENTS[:23], *made_events(4, first=90), *EVENTS[23:]],
    "reordered": [*EVENTS[:23], EVENTS[25], EVENTS[23], EVENTS[24], *EVENTS[26:]],
    "unclear": changed(23, timestamp="2026-03-01T10:00:00"),
    "no time": changed(23, timestamp="yesterday"),
    "a number for a text": number_for_a_text(),
    "no event": [*EVENTS[:23], [], *EVENTS[23:]],  # type: ignore[list-item] # that is what is wrong
    "rewritten": linked_anew(made_events(45, actor="somebody else")),
    "cut": EVENTS[:38],
    "longer": made_events(49),
}


RIGHT = {"right", "a number for a text", "rewritten", "cut", "longer", "unclear"}


def looked_at(folder: Path, place: Path, former: Captured) -> tuple[Captured, list[Finding], list[Finding]]:
    """A capture of the log, what is found in its archive, and what is found in the log that comes out of it."""
    place.mkdir()
    payload = place / "log.tar.gz"
    payload.touch()
    known = read_former("former", former.extra["eventlog"])
    captured = capture_log(folder, payload, known, Sharing(), None, lambda: MOMENT, silent)
    manifest = manifest_like(captured)
    unpack_archive(payload, place / "out")
    return (
        captured,
        inspect_archive(Payload(payload, place, manifest)),
        LogCopy(read_log(place / "out")).check(),
    )


def manifest_like(captured: Captured) -> Manifest:
    """The manifest of a backup that was captured so."""
    return Manifest(
        version=1, job_id="j", created_at=MOMENT, source=SourceInfo("log", "eventlog", "/"), payload="log.tar.gz",
        files=captured.files, measures=captured.measures, tool={}, scope="full", tags=(), data_as_of=MOMENT,
        started_at=MOMENT, finished_at=MOMENT, duration_ms=1, extra=captured.extra,
    )  # fmt: skip


@pytest.mark.parametrize("name", LOGS)
def test_the_same_is_found(name: str, tmp_path: Path) -> None:
    """Whatever is wrong with a log, capture, archive and restored copy say the same of large segments as of small ones."""
    former_log = written_log(tmp_path / "former", EVENTS[:42], 30)
    (tmp_path / "f.tar.gz").touch()
    former = capture_log(former_log, tmp_path / "f.tar.gz", None, Sharing(), None, lambda: MOMENT, silent)
    folder = written_log(tmp_path / "data", LOGS[name], 30)
    (folder / "event-log-snapshot.json").write_text(json.dumps(snapshot_of(EVENTS[:37], 30)))
    small, small_found, small_copy = looked_at(folder, tmp_path / "small", former)
    with pytest.MonkeyPatch.context() as patch:
        make_large(patch)
        large, large_found, large_copy = looked_at(folder, tmp_path / "large", former)
    assert replace(large, files=()) == replace(small, files=())
    assert (large_found, large_copy) == (small_found, small_copy)
    wanted = contents(tmp_path / "small/log.tar.gz")
    assert contents(tmp_path / "large/log.tar.gz") == wanted
    is_right = any(item.code == "eventlog.can_continue" for item in large_copy)
    assert is_right == (name in RIGHT)


def test_the_list_of_logs_has_every_verdict(tmp_path: Path) -> None:
    """The logs that are compared are broken in each way that a chain can be, and some are right."""
    broken = {
        name: at.broken.code
        if (at := read_log(written_log(tmp_path / name, events, 30)).chain.broken)
        else ""
        for name, events in LOGS.items()
    }
    assert set(broken.values()) == {
        "", "eventlog.hash_mismatch", "eventlog.event_removed", "eventlog.event_inserted", "eventlog.event_reordered",
        "eventlog.segment_unreadable",
    }  # fmt: skip


@pytest.mark.usefixtures("all_large")
def test_the_same_bytes_each_time(tmp_path: Path) -> None:
    """Two captures of the same large segments are the same bytes, and another tar reads them."""
    folder = written_log(tmp_path / "data", EVENTS, 20)
    first, second = packed(folder, tmp_path / "a"), packed(folder, tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert first.archive.sha256 == second.archive.sha256 == sha256((tmp_path / "a").read_bytes()).hexdigest()
    assert contents(tmp_path / "a") == files_of(folder) | {"manifest.json": b"{}"}
    assert check_archive(tmp_path / "a").segments == first.found.segments


def test_large_ones_among_small_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The order of an archive is that of the numbers, with workers too, whichever segments are large."""
    folder = written_log(tmp_path / "data", EVENTS, 10)
    for number, events in ((2, EVENTS[10:20]), (5, EVENTS[40:])):
        file_of(folder, number).write_bytes(segment_text(events) + b" " * 20_000)
    monkeypatch.setattr(segment, "_WHOLE_UP_TO", 20_000)
    alone = packed(folder, tmp_path / "a")
    monkeypatch.setattr(packing, "ALONE_UP_TO", 0)
    monkeypatch.setattr(archive, "_ALONE_UP_TO", 0)
    together = packed(folder, tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert alone.found.files == together.found.files
    assert [*contents(tmp_path / "a")][:5] == [
        f"event-log/segment-00000{number}.json" for number in range(1, 6)
    ]
    assert check_archive(tmp_path / "a").segments == alone.found.segments
    assert walk(alone.found.segments).verified == 45


@pytest.mark.usefixtures("all_large")
def test_held_elsewhere(tmp_path: Path) -> None:
    """A large segment that an earlier backup holds is left out; one of the same size with other bytes is packed."""
    folder = written_log(tmp_path / "data", EVENTS, 10)
    held = {entry.path: entry for entry in packed(folder, tmp_path / "a").found.files}
    content = file_of(folder, 2).read_bytes()
    file_of(folder, 2).write_bytes(content.replace(b"TEXTO_SALVO", b"TEXTO_SALVX", 1))
    log = pack_log(folder, tmp_path / "a", lambda found: b"{}", lambda: MOMENT, held=held)
    assert log.found.left_out == tuple(f"event-log/segment-00000{number}.json" for number in (1, 3, 4, 5))
    assert contents(tmp_path / "a")["event-log/segment-000002.json"] == file_of(folder, 2).read_bytes()


@pytest.mark.usefixtures("all_large")
def test_an_append_while_the_newest_is_read(tmp_path: Path) -> None:
    """The newest segment is what it was at the moment, also when its name has gone to a longer one by then."""
    folder = written_log(tmp_path / "data", EVENTS, 20)
    before = files_of(folder)

    def append() -> None:
        beside = folder / "event-log/beside"
        beside.write_bytes(segment_text(made_events(5)))
        beside.rename(file_of(folder, 3))

    log = packed(folder, tmp_path / "a", Hook(append))
    assert walk(log.found.segments).verified == 45
    assert contents(tmp_path / "a") == before | {"manifest.json": b"{}"}
    assert files_of(folder) != before


@pytest.mark.usefixtures("all_large")
@pytest.mark.parametrize("number", [1, 3])
@pytest.mark.parametrize("when", [0, 1])
def test_written_into_while_it_is_read(tmp_path: Path, number: int, when: int) -> None:
    """A large segment whose bytes change in place while the log is read is read again: none is taken half old, half new."""
    folder = written_log(tmp_path / "data", EVENTS, 20)
    new = segment_text(EVENTS[:20] if number == 1 else EVENTS[40:]) + b" "
    act = once(lambda: file_of(folder, number).write_bytes(new))
    log = packed(folder, tmp_path / "a", Hook(act, when))
    wanted = files_of(folder) | {"manifest.json": b"{}"}
    if (number, when) == (1, 1):
        wanted["event-log/segment-000001.json"] = new[:-1]  # it was read before, and was right then
    assert contents(tmp_path / "a") == wanted
    assert walk(log.found.segments).verified == 45


@pytest.mark.parametrize("look", [0, 1, 2])
def test_a_change_between_two_parts(tmp_path: Path, look: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whenever an open file is written to, made longer or cut between two parts, its reading ends with an error."""
    monkeypatch.setattr(marked, "PART", 10)
    changes: list[Callable[[Any], object]] = [
        lambda file: file.write(b"X"),
        lambda file: file.truncate(100),
        lambda file: file.truncate(12),
    ]
    path = tmp_path / "file"
    path.write_bytes(b"0123456789" * 5)
    with contextlib.ExitStack() as stack:
        opened = open_still(path, stack)
        assert opened is not None
        assert b"".join(opened.parts()) == b"0123456789" * 5
        parts = opened.parts()
        assert next(parts) == b"0123456789"
        with path.open("r+b", buffering=0) as other:
            changes[look](other)
        with pytest.raises(MovedError):
            b"".join(parts)
        with pytest.raises(MovedError):
            b"".join(opened.parts())


@pytest.mark.usefixtures("all_large")
def test_a_second_look_sees_a_change(tmp_path: Path) -> None:
    """When a large segment changes between its check and the look for a hash in it, everything is done again."""
    folder = written_log(tmp_path / "data", LOGS["removed"], 20)
    asked: list[int] = []
    act = once(lambda: file_of(folder, 2).write_bytes(b'[{"current_hash"'))

    def manifest_of(found: FoundLog) -> bytes:
        act()
        asked.append(len(found.segments))
        walk_explained(
            found.segments, lambda: ((number, found.parts_of(number)) for number in found.segments)
        )
        return b"{}"

    (tmp_path / "a").touch()
    log = pack_log(folder, tmp_path / "a", manifest_of, lambda: MOMENT)
    assert len(asked) == 2
    assert log.found.segments[2].unreadable is not None


@pytest.mark.usefixtures("all_large")
def test_damage_within_a_large_member(tmp_path: Path) -> None:
    """An archive that ends, or is damaged, in the middle of a large segment is damaged: not a log with an unreadable segment."""
    folder = written_log(tmp_path / "data", EVENTS, 45)
    packed(folder, tmp_path / "a")
    content = (tmp_path / "a").read_bytes()
    for damaged in (content[: len(content) // 2], content[:2000] + b"\0\0\0\0" + content[2004:]):
        (tmp_path / "b").write_bytes(damaged)
        with pytest.raises(BackupError) as caught:
            check_archive(tmp_path / "b")
        assert caught.value.code == "backup.archive_invalid"
