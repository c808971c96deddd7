from __future__ import annotations

import os
from pathlib import Path

import pytest

from ops.errors import ToolError
from ops.proc import Answer, ask_program
from ops.proc.query import MOST_BYTES
from tests.proc.test_run import lives, wait_for

pytestmark = [pytest.mark.alone, pytest.mark.long]


def ask(*argv: str, folder: Path, timeout_s: float = 60) -> Answer:
    """What the program answers, with one variable around it."""
    environment = {"PATH": os.defpath, "WORD": "a word"}
    return ask_program(argv, timeout_s=timeout_s, environment=environment, folder=folder)


def test_an_answer(tmp_path: Path) -> None:
    """All that it prints comes back with its exit code; its folder and environment are those that were given."""
    script = 'pwd; echo "$WORD"; env | wc -l; read -r line || echo nothing; echo secret >&2; exit 7'
    answer = ask("sh", "-c", script, folder=tmp_path)
    lines = answer.printed.decode().splitlines()
    assert (answer.exit_code, lines[:2], lines[3:]) == (7, [str(tmp_path), "a word"], ["nothing"])
    assert int(lines[2]) <= 4
    assert "a word" not in repr(answer)


def test_nothing_of_it_is_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its output is a pipe, and the folder for temporary files stays untouched."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    answer = ask("sh", "-c", "readlink /proc/self/fd/1; ls -A", folder=tmp_path)
    assert answer.printed.startswith(b"pipe:")
    assert answer.printed.count(b"\n") == 1


@pytest.mark.parametrize("size", [MOST_BYTES, MOST_BYTES + 1])
def test_how_much_it_may_say(tmp_path: Path, size: int) -> None:
    """64 KiB come back whole; of more nothing does."""
    answer = ask("head", "-c", str(size), "/dev/zero", folder=tmp_path)
    whole = Answer(0, bytes(size))
    assert answer == (whole if size == MOST_BYTES else Answer(None, b""))


def test_one_that_does_not_end(tmp_path: Path) -> None:
    """After the time-out it is ended with all that it started, and what it had said does not count."""
    script = "echo secret; sleep 1000 & echo $! >pid; wait"
    assert ask("sh", "-c", script, folder=tmp_path, timeout_s=1) == Answer(None, b"")
    pid = int((tmp_path / "pid").read_text())
    assert wait_for(lambda: not lives(pid))


def test_one_that_is_not_there(tmp_path: Path) -> None:
    """A program that cannot be started is an error, and so is a folder that is not there."""
    with pytest.raises(ToolError) as caught:
        ask("no-such-program", folder=tmp_path)
    assert caught.value.code == "tool.missing"
    with pytest.raises(ToolError):
        ask("true", folder=tmp_path / "gone")
