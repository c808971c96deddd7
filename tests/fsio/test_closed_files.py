"""Files that another program writes are told when it has closed them."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path

import pytest

from ops.fsio.closed_files import telling_closed

pytestmark = pytest.mark.alone

_PATIENCE_S = 30


def test_a_file_is_told_while_the_next_is_written(tmp_path: Path) -> None:
    """Each with its content, in the order in which they were closed, while the writer goes on."""
    told: list[tuple[str, str]] = []
    heard = threading.Semaphore(0)

    def done(path: Path) -> None:
        told.append((path.name, path.read_text()))
        heard.release()

    script = 'cd "$1"; exec 3>second; printf begin >&3; printf whole >first; read go; printf end >&3'
    with (
        telling_closed(tmp_path, done),
        subprocess.Popen(["sh", "-c", script, "sh", tmp_path], stdin=subprocess.PIPE) as writer,
    ):
        assert heard.acquire(timeout=_PATIENCE_S)
        assert told == [("first", "whole")]
        writer.communicate(b"go\n", timeout=_PATIENCE_S)
    assert told == [("first", "whole"), ("second", "beginend")]


def test_everything_is_told_before_the_block_ends(tmp_path: Path) -> None:
    """Also of very many files, and of one that is written twice."""
    told: list[str] = []
    with telling_closed(tmp_path, lambda path: told.append(path.name)):
        for number in range(3000):
            (tmp_path / f"file {number}").write_text("x")
        (tmp_path / "file 0").write_text("again")
    assert told == [*(f"file {number}" for number in range(3000)), "file 0"]


def test_an_error_is_raised_where_the_block_ends(tmp_path: Path) -> None:
    """What went wrong with a file is not lost in a thread; an error of the block itself comes first."""

    def fail(path: Path) -> None:
        raise ValueError(path.name)

    with pytest.raises(ValueError, match="one"), telling_closed(tmp_path, fail):
        (tmp_path / "one").write_text("x")
    with pytest.raises(KeyError), telling_closed(tmp_path, fail):
        write_and_fail(tmp_path / "two")


def write_and_fail(path: Path) -> None:
    """Write a file, and fail."""
    path.write_text("x")
    raise KeyError


def test_a_folder_that_is_not_there_tells_nothing(tmp_path: Path) -> None:
    """Whoever asks looks when all is done."""
    with telling_closed(tmp_path / "nowhere", lambda path: pytest.fail(str(path))):
        (tmp_path / "file").write_text("x")
