from __future__ import annotations

import os
import signal
import threading
import time
from array import array
from pathlib import Path

import pytest

from ops.fsio import file_stamps as stamps
from ops.fsio.file_stamps import NO_FILE, UNSETTLED, WIDTH, file_stamps, file_stamps_of_child, names_in
from ops.proc import start_copies
from tests.listings import by_key

pytestmark = pytest.mark.alone


def stamps_of(folder: Path, *names: str) -> dict[str, tuple[int, ...]]:
    """The numbers of each file."""
    found = by_key(names, file_stamps(folder, names))
    return {name: tuple(array("Q", stamp)) for name, stamp in found.items()}


def stamp_of(path: Path) -> tuple[int, ...]:
    """The numbers of one file."""
    return stamps_of(path.parent, path.name)[path.name]


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file counts as settled, however young."""
    monkeypatch.setattr(stamps, "_SETTLED_AFTER_NS", -(10**12))


@pytest.fixture
def alone() -> None:
    """No other thread is at work here: one of an earlier test may need a moment to end."""
    for other in set(threading.enumerate()) - {threading.current_thread()}:
        other.join(30)


def test_young_files_have_no_stamp_yet(tmp_path: Path) -> None:
    """A file that was changed within the last two seconds, or is from the future, is unsettled, whatever its own time says."""
    file = tmp_path / "a.json"
    file.write_bytes(b"1")
    os.utime(file, (1, 1))
    assert stamp_of(file) == UNSETTLED
    time.sleep(2.1)
    assert stamp_of(file) not in {UNSETTLED, NO_FILE}
    os.utime(file, (10**11, 10**11))
    time.sleep(2.1)
    assert stamp_of(file) == UNSETTLED


def test_what_is_no_file(tmp_path: Path, at_once: None) -> None:
    """Folders, links and what is gone have the stamp of no file, beside files that have theirs."""
    (tmp_path / "a.json").write_bytes(b"1")
    (tmp_path / "b.json").mkdir()
    (tmp_path / "c.json").symlink_to("a.json")
    names = ["a.json", "b.json", "c.json", "gone.json"]
    found = stamps_of(tmp_path, *names)
    assert [stamp == NO_FILE for stamp in found.values()] == [False, True, True, True]


def test_names(tmp_path: Path) -> None:
    """Names are parted by their ending, and hidden ones are left out."""
    for name in ("a.json", "b", ".tmp-c.json", "d.json"):
        (tmp_path / name).touch()
    wanted, others = names_in(tmp_path, ".json")
    assert (sorted(wanted), others) == (["a.json", "d.json"], ["b"])


def test_a_time_before_1970(tmp_path: Path, at_once: None) -> None:
    """A time that is no number of 64 bits leaves its file without a stamp, and the others with theirs."""
    for name in ("a.json", "b.json"):
        (tmp_path / name).touch()
    os.utime(tmp_path / "a.json", (-5, -5))
    found = stamps_of(tmp_path, "a.json", "b.json")
    assert found["a.json"] == UNSETTLED
    assert found["b.json"] not in {UNSETTLED, NO_FILE}


def test_copies_of_the_process_say_the_same(tmp_path: Path, at_once: None, alone: None) -> None:
    """Asked by several processes the stamps are those that this one finds, and its own folder is the same as before."""
    names = [f"{number}.json" for number in range(50)]
    for name in names:
        (tmp_path / name).write_text(name)
    here = Path.cwd()
    shares = [names[:20], names[20:]]
    answers = start_copies(lambda share: file_stamps_of_child(tmp_path, share), shares)()
    assert b"".join(answer or b"" for answer in answers) == file_stamps(tmp_path, names)
    assert all(
        len(answer or b"") == WIDTH * 8 * len(share) for answer, share in zip(answers, shares, strict=True)
    )
    assert Path.cwd() == here


def test_a_copy_that_dies_gives_no_answer(alone: None) -> None:
    """Killed, or stopped by an error, a copy answers with nothing, and the others with theirs."""

    def work(what: str) -> bytes:
        if what == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if what == "error":
            os._exit(3)
        return what.encode()

    assert start_copies(work, ["fine", "killed", "error"])() == [b"fine", None, None]


def test_no_copies_beside_threads() -> None:
    """With other threads at work nothing is copied: a lock that one holds would stay locked in the copy."""
    done = threading.Event()
    other = threading.Thread(target=done.wait)
    other.start()
    try:
        assert start_copies(str.encode, ["a", "b"])() == [None, None]
    finally:
        done.set()
        other.join()
