"""A state folder that is lost, read-only, full or another user's; and two users of one machine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import CONSOLE, ask, clean_environment, execute, run_drillbook
from tests.other_user import UID, as_other_user
from tests.stores.seaweed import Weed, running_weed

pytestmark = [pytest.mark.alone, pytest.mark.long]

CONFIG = """
state_dir = "state"

[source.app]
kind = "sqlite"
path = "app.db"

[store.home]
{store}

[policy.default]
keep_last = 1
"""
LOCAL = 'kind = "local"\npath = "store"'
BUCKET = 'kind = "s3"\nbucket = "{bucket}"\nendpoint_url = "{url}"'
KEYS = {"AWS_ACCESS_KEY_ID": "AK-full", "AWS_SECRET_ACCESS_KEY": "SK-full"}


@pytest.fixture(scope="module")
def weed() -> Iterator[Weed]:
    """A server for the buckets."""
    with running_weed() as server:
        yield server


def build(folder: Path, store: str = LOCAL) -> None:
    """A configuration with one small database."""
    execute(folder / "app.db", "CREATE TABLE t (x); INSERT INTO t VALUES (1), (2)")
    (folder / "ops.toml").write_text(CONFIG.format(store=store))


def run(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`drillbook ARGUMENTS` there, with the state folder of the configuration."""
    return run_drillbook(*arguments, cwd=folder, environment={**KEYS, "OPS_STATE_DIR": "", **environment})


def names(folder: Path, **environment: str) -> set[str]:
    """The backups that are listed."""
    listed = run(folder, "backup.list", "--format", "json", **environment)
    assert listed.returncode == 0, listed.stdout
    return {item["name"] for item in json.loads(listed.stdout)["results"]}


def require_limited(folder: Path, says: str) -> None:
    """What holds while the state folder cannot be used: backups go on with a warning, nothing is deleted."""
    before = names(folder)
    created = run(folder, "backup.create", "--verify")
    assert (created.returncode, "state.unusable" in created.stdout) == (1, True), created.stdout
    assert says in created.stdout
    assert "OPS_STATE_DIR" in created.stdout
    after = names(folder)
    assert len(after - before) == 1
    pruned = run(folder, "backup.prune", "--yes")
    assert (pruned.returncode, "nothing was deleted" in pruned.stdout) == (2, True), pruned.stdout
    assert names(folder) == after
    assert run(folder, "backup.prune", "--dry-run").returncode == 0
    assert run(folder, "backup.verify", "--source", "app").returncode == 0
    assert run(folder, "backup.drill", "--source", "app").returncode == 0
    assert run(folder, "backup.restore", "--to", "new.db").returncode in {0, 1}
    restored = run(folder, "backup.restore", "--source", "app", "--yes")
    assert (restored.returncode, "state.unusable" in restored.stdout) == (1, True), restored.stdout
    doctor = run(folder, "doctor")
    assert "state.unusable" in doctor.stdout


class TestUnusable:
    """Each way in which the folder fails an operator."""

    def test_another_users(self, tmp_path: Path) -> None:
        """Where others can change what is in it, it is not trusted."""
        build(tmp_path)
        (tmp_path / "state").mkdir()
        (tmp_path / "state").chmod(0o777)
        require_limited(tmp_path, "other users can change")

    @pytest.mark.needs_root
    def test_read_only(self, tmp_path: Path, small_disk: Callable[[int], Path]) -> None:
        """A disk that is mounted read-only, with locks of earlier runs on it."""
        build(tmp_path)
        disk = small_disk(1 << 20)
        (tmp_path / "state").symlink_to(disk)
        assert run(tmp_path, "backup.create").returncode == 0
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        require_limited(tmp_path, "Read-only file system")

    @pytest.mark.needs_root
    def test_full(self, tmp_path: Path, small_disk: Callable[[int], Path]) -> None:
        """A disk without room for one more file."""
        build(tmp_path)
        disk = small_disk(1 << 20)
        (tmp_path / "state").symlink_to(disk)
        subprocess.run(["mount", "-o", "remount,nr_inodes=2", disk], check=True)
        (disk / "x").touch()
        require_limited(tmp_path, "No space left")

    @pytest.mark.needs_root
    def test_full_of_bytes(self, tmp_path: Path, small_disk: Callable[[int], Path]) -> None:
        """A lock needs no byte: where only those are used up, all goes on as ever."""
        build(tmp_path)
        disk = small_disk(1 << 20)
        (tmp_path / "state").symlink_to(disk)
        with pytest.raises(OSError, match="No space"):
            (disk / "x").write_bytes(bytes(2 << 20))
        for _ in range(2):
            assert run(tmp_path, "backup.create", "--verify").returncode == 0
        assert run(tmp_path, "backup.prune", "--yes").returncode == 0
        assert len(names(tmp_path)) == 1

    def test_in_a_bucket(self, tmp_path: Path, weed: Weed) -> None:
        """Without the folder nothing keeps two runs on one bucket apart, and that is said."""
        build(tmp_path, BUCKET.format(bucket=weed.bucket(), url=weed.url))
        (tmp_path / "state").write_bytes(b"")
        created = run(tmp_path, "backup.create")
        assert created.returncode == 1
        assert "kept off by nothing" in " ".join(created.stdout.split())


def test_lost(tmp_path: Path) -> None:
    """Without what it remembered every verb goes on, and finds the same backups."""
    build(tmp_path)
    assert run(tmp_path, "backup.create", "--verify").returncode == 0
    before = names(tmp_path)
    shutil.rmtree(tmp_path / "state")
    assert names(tmp_path) == before
    assert run(tmp_path, "backup.drill").returncode == 0
    assert run(tmp_path, "backup.create").returncode == 0
    shutil.rmtree(tmp_path / "state")
    assert run(tmp_path, "backup.prune", "--yes").returncode == 0
    # The newest, and the one that was proven.
    assert len(names(tmp_path)) == 2


def test_one_run_at_a_time_in_a_bucket(tmp_path: Path, weed: Weed) -> None:
    """Two runs of one source into one bucket on one machine: the second says who is at work, or waits; doctor tells it."""
    build(tmp_path, BUCKET.format(bucket=weed.bucket(), url=weed.url))
    assert run(tmp_path, "backup.create").returncode == 0
    (lock,) = (tmp_path / "state" / "locks").iterdir()
    with holding(lock):
        second = run(tmp_path, "backup.create")
        assert (second.returncode, "source 'app' is locked" in second.stdout) == (2, True), second.stdout
        assert run(tmp_path, "backup.prune", "--yes").returncode == 2
        assert "at work now" in run(tmp_path, "doctor").stdout
        waiting = subprocess.Popen(
            [CONSOLE, "backup.create", "--wait", "60"],
            cwd=tmp_path,
            env=clean_environment({**KEYS, "OPS_STATE_DIR": ""}),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.wait(2)
    assert waiting.wait(60) == 0
    assert len(names(tmp_path)) == 2


class holding:  # noqa: N801 - used like a function
    """Hold a lock file in a process of its own, as another run would."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        command = ["flock", "--exclusive", str(self._path), "sh", "-c", "echo held; exec cat"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"held\n"

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()


@pytest.mark.needs_root
class TestTwoUsers:
    """Root and somebody else, with one configuration."""

    @pytest.fixture
    def place(self) -> Iterator[Path]:
        """A folder that both may enter, with a home folder for the other user; pytest's own are closed to others."""
        with tempfile.TemporaryDirectory() as above:
            folder = Path(above) / "shared"
            folder.mkdir()
            for path in (Path(above), folder):
                path.chmod(0o755)
            (folder / "home").mkdir()
            os.chown(folder / "home", UID, UID)
            yield folder

    def theirs(self, place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`drillbook ARGUMENTS` as the other user."""
        return subprocess.run(
            as_other_user([CONSOLE, *arguments]),
            cwd=place,
            env=clean_environment(
                {**KEYS, "HOME": str(place / "home"), "XDG_CACHE_HOME": "", "OPS_STATE_DIR": ""}
            ),
            capture_output=True,
            check=False,
            text=True,
            timeout=120,
        )

    def test_one_bucket(self, place: Path, weed: Weed) -> None:
        """Each has a state folder of its own, and the backups of both are right."""
        build(place, BUCKET.format(bucket=weed.bucket(), url=weed.url))
        text = (place / "ops.toml").read_text().replace('state_dir = "state"\n', "")
        (place / "ops.toml").write_text(text)
        for path in (place, *place.iterdir()):
            path.chmod(0o755)
        own = str(place.parent / "state")
        assert run(place, "backup.create", "--verify", OPS_STATE_DIR=own).returncode == 0
        done = self.theirs(place, "backup.create", "--verify")
        assert done.returncode == 0, done.stdout + done.stderr
        assert (place / "home/.local/state/drillbook/locks").stat().st_uid == UID
        assert run(place, "backup.create", OPS_STATE_DIR=own).returncode == 0
        assert self.theirs(place, "backup.drill").returncode == 0
        assert len(names(place, OPS_STATE_DIR=own)) == 3

    def test_one_state_folder(self, place: Path) -> None:
        """Whoever does not own it goes on without it and is told to have one; the owner is not disturbed."""
        build(place, LOCAL)
        for name in ("store", "state"):
            (place / name).mkdir(mode=0o700)
            os.chown(place / name, UID, UID)
        (place / "app.db").chmod(0o644)
        done = self.theirs(place, "backup.create")
        assert done.returncode == 0, done.stdout + done.stderr
        ours = run(place, "backup.create")
        assert ours.returncode == 1
        assert f"belongs to the user with number {UID}" in " ".join(ours.stdout.split())
        again = self.theirs(place, "backup.create")
        assert "state.unusable" not in again.stdout

    def test_one_folder_of_backups(self, place: Path) -> None:
        """What root has put into somebody's store keeps them from no backup, and is named where they cannot read it."""
        build(place, LOCAL)
        (place / "ops.toml").write_text((place / "ops.toml").read_text().replace('"state"', '"home/state"'))
        (place / "app.db").chmod(0o644)
        (place / "store").mkdir(mode=0o700)
        os.chown(place / "store", UID, UID)
        assert self.theirs(place, "backup.create").returncode == 0
        assert run(place, "backup.create", OPS_STATE_DIR=str(place.parent / "state")).returncode == 0
        again = self.theirs(place, "backup.create", "--verify")
        assert (again.returncode, "Permission denied" in again.stdout) == (1, True), again.stdout
        listed = self.theirs(place, "backup.list")
        assert (listed.returncode, "Permission denied" in listed.stdout) == (2, True), listed.stdout
        # Nothing is deleted beside what cannot be read.
        assert self.theirs(place, "backup.prune", "--yes").returncode == 2
        assert len([path for path in (place / "store").iterdir() if path.suffix == ".db"]) == 3

    def test_a_file_of_a_group_that_is_not_theirs(self, place: Path) -> None:
        """A restore over a database whose group its owner may not give goes through, and says whose it is now."""
        build(place, LOCAL)
        (place / "ops.toml").write_text((place / "ops.toml").read_text().replace('"state"', '"home/state"'))
        for path in (place, place / "app.db"):
            os.chown(path, UID, 0)
        assert self.theirs(place, "backup.create").returncode == 0
        restored = self.theirs(place, "backup.restore", "--source", "app", "--yes")
        assert (restored.returncode, "restore.owner_not_kept" in restored.stdout) == (1, True), (
            restored.stdout
        )
        assert ask(place / "app.db", "SELECT count(*) FROM t") == 2


@pytest.mark.parametrize("key", ["state_dir", "scratch_dir"])
@pytest.mark.parametrize("value", ["a\\u0000b", "~nobody-of-that-name/x", ""])
def test_a_folder_that_cannot_be_one(tmp_path: Path, key: str, value: str) -> None:
    """A name that no folder can have is a mistake in the configuration, named with its key."""
    execute(tmp_path / "app.db", "CREATE TABLE t (x)")
    table = '[source.app]\nkind = "sqlite"\npath = "app.db"\n'
    (tmp_path / "ops.toml").write_text(f'{key} = "{value}"\n{table}')
    for task in ("backup.create", "backup.list", "doctor"):
        done = run(tmp_path, task)
        assert (done.returncode, key in done.stdout) == (2, True), done.stdout + done.stderr
        assert "Traceback" not in done.stderr
