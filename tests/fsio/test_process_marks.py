from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.fsio.process_marks import end_marked_processes, mark_process
from ops.fsio.scratch import SCRATCH_PREFIX, remove_stale_scratch, scratch_folder

pytestmark = [
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="marks need Linux's /proc"),
    pytest.mark.alone,
]


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process that does nothing, for a long time."""
    with subprocess.Popen(["sleep", "1000"]) as process:
        yield process
        process.kill()


def test_the_marked_process_is_ended(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    """It gets the signal that its mark names, even when it was stopped."""
    mark_process(tmp_path, sleeper.pid, signal.SIGQUIT)
    sleeper.send_signal(signal.SIGSTOP)
    assert end_marked_processes(tmp_path) == [sleeper.pid]
    assert sleeper.wait() == -signal.SIGQUIT


def test_one_that_does_not_hear_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A marked process that ignores its signal is killed."""
    monkeypatch.setattr("ops.fsio.process_marks._PATIENCE_MS", 100)
    script = "trap '' QUIT; echo; while :; do sleep 0.05; done"
    with subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        mark_process(tmp_path, process.pid, signal.SIGQUIT)
        end_marked_processes(tmp_path)
        assert process.wait() == -signal.SIGKILL


@pytest.mark.parametrize("part", [2, 3, 4])
def test_only_provably_the_same(tmp_path: Path, sleeper: subprocess.Popen[bytes], part: int) -> None:
    """With another start time, boot or namespace the process of that id is somebody else's, and lives on."""
    mark_process(tmp_path, sleeper.pid, signal.SIGKILL)
    marks = tmp_path / ".processes"
    fields = marks.read_text().split()
    fields[part] += "1"
    marks.write_text(" ".join(fields) + "\n")
    assert end_marked_processes(tmp_path) == []
    assert sleeper.poll() is None


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe", b"1\n", b"x y z\n", b"-1 9 1 b n\n", b"1 9999 1 b n\n", b"0 9 \n"]
)
def test_nonsense_ends_nothing(tmp_path: Path, content: bytes) -> None:
    """A damaged mark names no process."""
    (tmp_path / ".processes").write_bytes(content)
    assert end_marked_processes(tmp_path) == []


def test_damage_does_not_hide_the_rest(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    """Marks beside a damaged one still count."""
    (tmp_path / ".processes").write_text("1 2\n")
    mark_process(tmp_path, sleeper.pid, signal.SIGTERM)
    assert end_marked_processes(tmp_path) == [sleeper.pid]


def test_no_marks(tmp_path: Path) -> None:
    """A folder without marks, or none at all, is nothing to do."""
    assert end_marked_processes(tmp_path) == []
    assert end_marked_processes(tmp_path / "none") == []


def test_one_that_has_ended(tmp_path: Path) -> None:
    """A process that ended before, reaped or not, is not marked and not ended."""
    with subprocess.Popen(["true"]) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        mark_process(tmp_path, process.pid, signal.SIGKILL)
        assert end_marked_processes(tmp_path) == []


def test_scratch_folders_take_their_processes_along(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    """At the end of the block, what is marked in the folder is gone with it."""
    with scratch_folder(tmp_path) as folder:
        mark_process(folder, sleeper.pid, signal.SIGTERM)
    assert sleeper.wait() == -signal.SIGTERM


def test_the_folder_of_a_dead_run(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    """What a dead run left running is ended before its folder is removed; a kept folder's is left."""
    dead = tmp_path / f"{SCRATCH_PREFIX}dead"
    dead.mkdir()
    mark_process(dead, sleeper.pid, signal.SIGTERM)
    (dead / ".keep").touch()
    assert remove_stale_scratch(tmp_path) == []
    assert sleeper.poll() is None
    (dead / ".keep").unlink()
    assert remove_stale_scratch(tmp_path) == [dead]
    assert sleeper.wait() == -signal.SIGTERM
    assert not dead.exists()
