from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ops.fsio import scratch
from ops.fsio.scratch import SCRATCH_PREFIX, remove_stale_scratch, scratch_folder

pytestmark = pytest.mark.alone

WRITER = 'cd "$0" && for i in $(seq 500); do echo x > "$i" || exit; done'


def test_what_dying_children_still_write_is_removed_too(tmp_path: Path) -> None:
    """A dead run's folder is gone although children of it wrote there while it was being removed."""
    folder = tmp_path / f"{SCRATCH_PREFIX}dead"
    with contextlib.ExitStack() as stack:
        for number in range(8):
            place = folder / str(number)
            place.mkdir(mode=0o700, parents=True)
            writer = subprocess.Popen(["/bin/sh", "-c", WRITER, str(place)], stderr=subprocess.DEVNULL)
            stack.enter_context(writer)
        while not all((folder / str(number) / "5").exists() for number in range(8)):
            pass
        assert remove_stale_scratch(tmp_path) == [folder]
        assert list(tmp_path.iterdir()) == []


def test_a_dead_folder_is_locked_while_it_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who made a folder and has not locked it yet cannot get the lock of one that is about to go."""
    folder, entered, go = tmp_path / f"{SCRATCH_PREFIX}new", threading.Event(), threading.Event()
    folder.mkdir()

    def wait_first(path: Path) -> None:
        entered.set()
        go.wait(20)
        path.rmdir()

    monkeypatch.setattr(scratch, "_remove", wait_first)
    sweeping = threading.Thread(target=remove_stale_scratch, args=(tmp_path,))
    sweeping.start()
    assert entered.wait(20)
    descriptor = os.open(folder, os.O_RDONLY)
    with pytest.raises(BlockingIOError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    go.set()
    sweeping.join()
    os.close(descriptor)
    assert not folder.exists()


def test_nobody_sweeps_what_is_alive(tmp_path: Path) -> None:
    """Eight threads make scratch folders in one place again and again; each keeps its own to the end."""

    def work(number: int) -> None:
        for _ in range(60):
            with scratch_folder(tmp_path) as folder:
                (folder / "mine").write_text(str(number))
                assert (folder / "mine").read_text() == str(number)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert list(tmp_path.iterdir()) == []
