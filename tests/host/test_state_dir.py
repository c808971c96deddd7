"""Where this machine remembers, and when that place cannot be used."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ops.errors import LockHeldError, StateError
from ops.host.state_dir import StateDir, state_dir

ABOUT = ("app", "place", "/store")


def hold(state: StateDir, about: tuple[str, ...] = ABOUT, wait_s: float = 0) -> str:
    """Take the lock and let it go; the name of its file."""
    with state.lock(about, source="app", job_id="j", now=datetime.now(UTC), wait_s=wait_s):
        return state.lock_path(about).name


@pytest.mark.parametrize(
    ("configured", "environ", "uid", "expected"),
    [
        ("/srv/state", {"OPS_STATE_DIR": "/run/other"}, 1000, "/run/other"),
        ("/srv/state", {"XDG_STATE_HOME": "/xdg"}, 0, "/srv/state"),
        (None, {"XDG_STATE_HOME": "/xdg", "HOME": "/root"}, 0, "/var/lib/drillbook"),
        (None, {"XDG_STATE_HOME": "/xdg", "HOME": "/home/a"}, 1000, "/xdg/drillbook"),
        (None, {"XDG_STATE_HOME": "xdg", "HOME": "/home/a"}, 1000, "/home/a/.local/state/drillbook"),
        (None, {"OPS_STATE_DIR": "", "HOME": "/home/a"}, 1000, "/home/a/.local/state/drillbook"),
    ],
)
def test_which_folder(
    monkeypatch: pytest.MonkeyPatch, configured: str | None, environ: dict[str, str], uid: int, expected: str
) -> None:
    """The variable comes before the configuration, root's folder before a home folder, whole paths before others."""
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    assert state_dir(Path(configured) if configured else None, environ).path == Path(expected)


def test_no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user without a home folder and without a word about the place has no state folder, and is told how to get one."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    with pytest.raises(StateError, match="no home folder") as raised:
        state_dir(None, {}).usable()
    assert "OPS_STATE_DIR" in raised.value.hint


@pytest.mark.parametrize("given", ["state", "~/state", " "])
def test_relative_path(given: str) -> None:
    """A relative path in the variable would be another folder for each caller: it is no place, which stops no backup."""
    with pytest.raises(StateError, match="no whole path"):
        state_dir(None, {"OPS_STATE_DIR": given}).usable()


def test_made_private(tmp_path: Path) -> None:
    """The folder is made on first use, with what is above it, for this user alone."""
    folder = tmp_path / "a" / "b"
    hold(StateDir(folder))
    assert [path.stat().st_mode & 0o777 for path in (folder.parent, folder, folder / "locks")] == [0o700] * 3


def test_named_by_nothing_is_not_made(tmp_path: Path) -> None:
    """To know which folder it is makes nothing."""
    assert state_dir(tmp_path / "state", {}).path == tmp_path / "state"
    assert not (tmp_path / "state").exists()


def pipe(path: Path) -> None:
    """A named pipe, with the folder that it lies in."""
    path.parent.mkdir(mode=0o700, parents=True)
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (lambda path: path.write_bytes(b""), "no folder has its name"),
        (lambda path: (path.mkdir(), path.chmod(0o777)), "other users can change"),
        (lambda path: path.symlink_to(path.parent / "nowhere"), "is its disk mounted"),
        (lambda path: path.symlink_to(path), "is its disk mounted"),
        (lambda path: (path.mkdir(), (path / "locks").write_bytes(b"")), "cannot be used"),
        (lambda path: StateDir(path).lock_path(ABOUT).mkdir(parents=True), "cannot be used"),
        (lambda path: pipe(StateDir(path).lock_path(ABOUT)), "no file has its name"),
    ],
    ids=[
        "file",
        "open to others",
        "dangling link",
        "loop",
        "locks is a file",
        "lock is a folder",
        "lock is a pipe",
    ],
)
def test_unusable(tmp_path: Path, build: object, says: str) -> None:
    """What stands in the place of the folder, or of a part of it, is named; nothing of it is changed."""
    path = tmp_path / "state"
    build(path)  # type: ignore[operator]
    before = sorted(str(item) for item in tmp_path.rglob("*"))
    with pytest.raises(StateError, match=says) as raised:
        hold(StateDir(path))
    assert str(path) in raised.value.message
    assert sorted(str(item) for item in tmp_path.rglob("*")) == before


def test_a_probe_sees_what_a_lock_meets(tmp_path: Path) -> None:
    """What stands in the place of the locks is found by `doctor` too, and a probe leaves nothing."""
    StateDir(tmp_path / "good").probe()
    assert list((tmp_path / "good").rglob("*")) == [tmp_path / "good" / "locks"]
    (tmp_path / "bad").mkdir(mode=0o700)
    (tmp_path / "bad" / "locks").write_bytes(b"")
    with pytest.raises(StateError):
        StateDir(tmp_path / "bad").probe()


@pytest.mark.needs_root
def test_of_another_user(tmp_path: Path) -> None:
    """Root could write into another user's folder, and would leave files there that its owner cannot open."""
    folder = tmp_path / "theirs"
    folder.mkdir(mode=0o700)
    os.chown(folder, 65534, 65534)
    with pytest.raises(StateError, match="belongs to the user with number 65534"):
        hold(StateDir(folder))
    assert list(folder.iterdir()) == []


def test_link_to_a_folder(tmp_path: Path) -> None:
    """An operator may put the folder on another disk and leave a link."""
    (tmp_path / "disk").mkdir(mode=0o700)
    (tmp_path / "state").symlink_to(tmp_path / "disk")
    hold(StateDir(tmp_path / "state"))
    assert (tmp_path / "disk" / "locks").is_dir()


def test_one_at_a_time(tmp_path: Path) -> None:
    """Who comes second is told who holds the lock; what is about another source or store is not kept waiting."""
    state = StateDir(tmp_path / "state")
    with state.lock(ABOUT, source="app", job_id="first", now=datetime.now(UTC), wait_s=0):
        with pytest.raises(LockHeldError, match=rf"source 'app' is locked: held by process {os.getpid()}"):
            hold(state)
        assert len({hold(state, ("app", "place", "/other")), hold(state, ("app", "other", "/store"))}) == 2
    hold(state)


def test_ends_with_its_holder(tmp_path: Path) -> None:
    """The lock of a run that was killed is free at once."""
    script = (
        "import os, sys\n"
        "from datetime import UTC, datetime\n"
        "from pathlib import Path\n"
        "from ops.host.state_dir import StateDir\n"
        "state = StateDir(Path(sys.argv[1]))\n"
        f"with state.lock({ABOUT!r}, source='app', job_id='j', now=datetime.now(UTC), wait_s=0):\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path / "s")], check=False, timeout=60)
    assert done.returncode == -9
    hold(StateDir(tmp_path / "s"))
