"""Logs that are empty, odd, or none."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from ops.errors import SourceError
from ops.sources.eventlog.archive.pack import pack_log
from ops.sources.eventlog.log.live_reader import settle
from tests.sources.eventlog.capturing import MOMENT, contents, packed, segment
from tests.sources.eventlog.writing import made_events, segment_text, written_log


def test_empty_logs(tmp_path: Path) -> None:
    """A folder without segments is an empty log; names that the program ignores are named, leftovers are not."""
    folder = written_log(tmp_path / "data", [], 10)
    names = ["segment-0000001.json", "segment-abc.json", "segment-000001.json.tmp", "notes.txt"]
    for name in names:
        (folder / "event-log" / name).write_bytes(b"[]")
    (folder / "event-log" / os.fsdecode(b"segment-\xff.json")).write_bytes(b"[]")
    log = packed(folder, tmp_path / "a")
    assert log.found.settled.ignored == ("segment-0000001.json", "segment-abc.json", "segment-\\xff.json")
    assert (log.found.files, dict(log.found.segments), log.found.snapshot) == ((), {}, None)
    assert [*contents(tmp_path / "a")] == ["manifest.json"]


def test_the_last_number_and_a_large_snapshot(tmp_path: Path) -> None:
    """Number 999999 is a segment and the next is none; a snapshot that is no snapshot by its size is not read."""
    folder = written_log(tmp_path / "data", [], 10)
    segment(folder, 999_999).write_bytes(segment_text(made_events(3)))
    (folder / "event-log/segment-1000000.json").write_bytes(b"[]")
    with (folder / "event-log-snapshot.json").open("wb") as file:
        file.truncate(2 << 20)
    settled = packed(folder, tmp_path / "a").found.settled
    assert settled.newest is not None
    assert settled.newest[0] == 999_999
    assert (settled.ignored, settled.oversized) == (("segment-1000000.json",), 2 << 20)


def linked_elsewhere(folder: Path) -> None:
    """The folder of the segments is a link to one that lies elsewhere."""
    (folder / "event-log").rename(folder / "elsewhere")
    (folder / "event-log").symlink_to(folder / "elsewhere")


def giant(folder: Path) -> None:
    """A segment with a byte more than a header of an archive can say."""
    with segment(folder, 1).open("wb") as file:
        file.truncate(1 << 33)


BAD: dict[str, tuple[str, Callable[[Path], object]]] = {
    "nothing": ("source.missing", lambda folder: (folder / "event-log").rmdir()),
    "legacy": ("source.not_migrated", lambda folder: (folder / "event-log.json").touch()),
    "link": ("source.not_a_file", lambda folder: segment(folder, 1).symlink_to("/etc/passwd")),
    "linked folder": ("source.not_a_file", linked_elsewhere),
    "pipe": ("source.not_a_file", lambda folder: os.mkfifo(segment(folder, 2))),
    "folder": ("source.not_a_file", lambda folder: segment(folder, 1).mkdir()),
    "snapshot pipe": ("source.not_a_file", lambda folder: os.mkfifo(folder / "event-log-snapshot.json")),
    "snapshot link": (
        "source.not_a_file",
        lambda folder: (folder / "event-log-snapshot.json").symlink_to("x"),
    ),
    "giant": ("source.unreadable", giant),
}


@pytest.mark.parametrize("what", BAD)
def test_what_is_no_log(tmp_path: Path, what: str) -> None:
    """What is missing, is no regular file, or cannot be read is said at once, with what to do; nothing hangs."""
    code, make = BAD[what]
    folder = written_log(tmp_path / "data", [], 10)
    make(folder)
    with pytest.raises(SourceError) as caught:
        packed(folder, tmp_path / "a")
    assert caught.value.code == code
    assert caught.value.hint


def test_only_the_old_form(tmp_path: Path) -> None:
    """A log in a single file, without a folder, is an error that says how it becomes segments."""
    (tmp_path / "event-log.json").touch()
    with pytest.raises(SourceError, match=r"event-log\.json") as caught:
        settle(tmp_path, lambda: MOMENT, contextlib.ExitStack())
    assert caught.value.code == "source.not_migrated"


@pytest.mark.parametrize("name", ["gone", "file"])
def test_no_data_folder(tmp_path: Path, name: str) -> None:
    """A data folder that is not there, or is a file, is an error that names it."""
    (tmp_path / "file").touch()
    with pytest.raises(SourceError, match=name):
        settle(tmp_path / name, lambda: MOMENT, contextlib.ExitStack())


@pytest.mark.needs_root
def test_no_permission() -> None:
    """A user who may not read a segment is told which, and nothing is left out silently."""
    # Not below pytest's own folders, which nobody else may enter.
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        place.chmod(0o755)
        folder = written_log(place / "data", made_events(20), 10)
        segment(folder, 1).chmod(0o600)
        (place / "a").touch()
        (place / "a").chmod(0o666)
        _read_as_nobody(folder, place / "a")


def _read_as_nobody(folder: Path, into: Path) -> None:
    child = os.fork()
    if child == 0:
        os.setgid(65534)
        os.setuid(65534)
        try:
            pack_log(folder, into, lambda found: b"{}", lambda: MOMENT)
        except SourceError as error:
            os._exit(7 if error.code == "source.unreadable" and "segment-000001" in error.message else 8)
        os._exit(9)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
