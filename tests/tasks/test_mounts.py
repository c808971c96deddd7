"""A disk that is not mounted is no empty store: on real mounts, with the command line."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ops.host.seen_stores import recall_store, remember_store
from ops.host.state_dir import StateDir
from tests.conftest import execute, files_below, run_drillbook

pytestmark = [pytest.mark.needs_root, pytest.mark.long]

CONFIG = """
[source.app]
kind = "sqlite"
path = "app.db"
series = "app"
stores = [{stores}]
[store.home]
kind = "local"
path = "home"
[store.usb]
kind = "local"
path = "usb/drillbook"
"""


class Site:
    """A source with a store on the system's disk and one on a disk that can be taken away."""

    def __init__(self, folder: Path, stores: str) -> None:
        self.folder, self.point = folder, folder / "usb"
        self.point.mkdir()
        execute(folder / "app.db", "CREATE TABLE t (a)")
        (folder / "ops.toml").write_text(CONFIG.format(stores=stores))
        self.mounted = 0

    def mount(self) -> None:
        """Another, empty disk in that place."""
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8M,mode=0700", "disk", self.point], check=True)
        self.mounted += 1

    def take_away(self) -> None:
        """The disk that was mounted last is gone from its place."""
        subprocess.run(["umount", self.point], check=True)
        self.mounted -= 1

    def do(self, *words: str) -> tuple[int, str]:
        """Exit code and all output of a task."""
        environment = {"OPS_STATE_DIR": str(self.folder / "state"), "OPS_HOST": "here"}
        done = run_drillbook(*words, cwd=self.folder, environment=environment)
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout + done.stderr

    def documents(self, *words: str) -> list[dict[str, object]]:
        """Everything with a code that a task says, as JSON."""
        environment = {"OPS_STATE_DIR": str(self.folder / "state"), "OPS_HOST": "here"}
        done = run_drillbook(*words, "--format", "json", cwd=self.folder, environment=environment)
        return list(_findings(json.loads(done.stdout)))

    def codes(self, *words: str) -> set[str]:
        """The codes of all that."""
        return {str(item["code"]) for item in self.documents(*words)}


def _findings(value: object) -> Iterator[dict[str, object]]:
    """Everything with a code, however deep."""
    if isinstance(value, dict):
        if "code" in value:
            yield value
        for item in value.values():
            yield from _findings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _findings(item)


@pytest.fixture
def only(tmp_path: Path) -> Iterator[Site]:
    """The disk that can be taken away has the only store."""
    yield from _site(tmp_path, '"usb"')


@pytest.fixture
def both(tmp_path: Path) -> Iterator[Site]:
    """It has the second one."""
    yield from _site(tmp_path, '"home", "usb"')


def _site(folder: Path, stores: str) -> Iterator[Site]:
    made = Site(folder, stores)
    made.mount()
    yield made
    while made.mounted:
        made.take_away()


READING = (
    ("backup.list",),
    ("backup.show", "latest"),
    ("backup.show", "usb:latest"),
    ("doctor",),
    ("metrics",),
    ("backup.verify",),
    ("backup.drill",),
    ("backup.restore", "--from", "latest", "--to", "new.db"),
    ("backup.prune", "--dry-run"),
    ("store.check", "--store", "usb"),
)
WRITING = (
    ("backup.create",),
    ("backup.create", "--dry-run"),
    ("backup.prune", "--yes"),
    ("store.pull", "usb:latest"),
)


def test_a_disk_that_is_not_mounted(only: Site) -> None:
    """Without its disk no verb ends with 0, says that there is no backup yet, or writes where the disk should be mounted."""
    assert only.do("backup.create")[0] == 0
    only.take_away()
    for words in (*READING, *WRITING):
        code, said = only.do(*words)
        assert code == 2, (words, said)
        assert "is not the one that was there" in said, words
        assert "no backup yet" not in said.lower(), words
        assert "store.check --store usb --create" in said or words[0] == "doctor", words
        assert list(only.point.iterdir()) == [], words


def test_a_copy_on_a_disk_that_is_not_mounted(both: Site) -> None:
    """The backup is made at home, its copy waits, exit code 2; with the disk back, the next run brings it."""
    assert both.do("backup.create")[0] == 0
    kept = files_below(both.point)
    shutil.copytree(both.point, both.folder / "kept")
    both.take_away()
    for words in (("backup.create",), ("store.push",)):
        code, said = both.do(*words)
        assert (code, list(both.point.iterdir())) == (2, [])
        assert "store.check --store usb --create" in said
    assert both.do("backup.verify")[0] == 0
    both.mount()
    shutil.copytree(both.folder / "kept", both.point, dirs_exist_ok=True)
    assert both.do("store.push")[0] == 0
    assert kept.keys() < files_below(both.point).keys()


def test_a_disk_that_is_empty_in_its_place(only: Site) -> None:
    """Another, blank disk that is mounted in the same place is not taken for the one that was there."""
    assert only.do("backup.create")[0] == 0
    only.take_away()
    only.mount()
    code, said = only.do("backup.create")
    assert (code, list(only.point.iterdir())) == (2, [])
    assert "lies on another disk than it did" in said


def test_a_disk_with_another_store(only: Site) -> None:
    """A disk with another store in that place is told once as a warning, and then known."""
    assert only.do("backup.create")[0] == 0
    only.take_away()
    only.mount()
    identity = {"id": "0" * 32, "format": 1, "min_version": "0.1.0"}
    folder = only.point / "drillbook" / ".drillbook"
    folder.mkdir(parents=True)
    (folder / "store.json").write_text(json.dumps(identity))
    assert "store.exchanged" in only.codes("backup.list")
    code, said = only.do("backup.create")
    assert code == 1
    assert "is another one (00000000) than this machine knew" in said
    assert only.do("backup.list")[0] == 0


def test_a_folder_that_was_deleted(only: Site) -> None:
    """A folder that was deleted on its disk is made anew by the next backup, which says so; reading it warns that it was deleted."""
    assert only.do("backup.create")[0] == 0
    shutil.rmtree(only.point / "drillbook")
    code, said = only.do("backup.list")
    assert (code, "There is no backup yet" in said, "was deleted" in said) == (1, True, True)
    code, said = only.do("backup.create")
    assert code == 0
    assert "was made anew: the one that this machine knew there" in said
    assert "made anew" not in only.do("backup.create")[1]


def test_a_restore_without_the_home_store(both: Site) -> None:
    """With the store at home not there, a copy is restored into a new place with a warning, and nothing live is replaced."""
    assert both.do("backup.create")[0] == 0
    shutil.rmtree(both.folder / "home")
    (both.folder / "home").write_text("not a folder")
    code, said = both.do("backup.restore", "--from", "usb:latest", "--to", "new.db")
    assert (code, (both.folder / "new.db").exists()) == (1, True), said
    assert "no other run was kept off" in said
    before = (both.folder / "app.db").read_bytes()
    code, said = both.do("backup.restore", "--from", "usb:latest", "--yes")
    assert (code, (both.folder / "app.db").read_bytes()) == (2, before), said


def test_stores_on_one_device(both: Site) -> None:
    """`doctor` says which stores of a source are lost with one disk, and nothing where each has a disk of its own."""
    assert both.do("backup.create")[0] == 0
    assert "store.same_device" not in both.codes("doctor")
    both.take_away()
    shutil.rmtree(both.folder / "state")
    assert both.do("backup.create")[0] == 0
    assert "store.same_device" in both.codes("doctor")


def test_without_memory_all_is_as_before(only: Site) -> None:
    """A machine that remembers nothing of the store makes one where it is told to."""
    assert only.do("backup.create")[0] == 0
    only.take_away()
    shutil.rmtree(only.folder / "state")
    assert only.do("backup.create")[0] == 0


def test_a_new_store_is_begun_when_it_is_said(only: Site) -> None:
    """`store.check --create` says where it begins a store, which then takes backups; a store that is there stays as it is."""
    assert only.do("backup.create")[0] == 0
    only.take_away()
    only.mount()
    assert only.do("store.check", "--create")[0] == 2
    assert list(only.point.iterdir()) == []
    code, said = only.do("store.check", "--store", "usb", "--create")
    assert code == 0, said
    assert f"begins here ({only.point}/drillbook on tmpfs of disk at {only.point}" in said
    identity = (only.point / "drillbook/.drillbook/store.json").read_bytes()
    assert "stays as it is" in only.do("store.check", "--store", "usb", "--create")[1]
    assert (only.point / "drillbook/.drillbook/store.json").read_bytes() == identity
    assert only.do("backup.create")[0] == 0


def test_a_state_folder_that_cannot_be_used(only: Site) -> None:
    """Without a state folder nothing is known of stores, and reading one is as it was."""
    assert only.do("backup.create")[0] == 0
    shutil.rmtree(only.folder / "state")
    (only.folder / "state").write_text("not a folder")
    assert only.do("backup.list")[0] == 0
    assert only.do("backup.create")[0] == 1


OFFLINE = """
offline = true
every = "7d"
"""


@pytest.fixture
def rotated(tmp_path: Path) -> Iterator[Site]:
    """The second store is on disks that are rotated."""
    for site in _site(tmp_path, '"home", "usb"'):
        with (tmp_path / "ops.toml").open("a") as config:
            config.write(OFFLINE)
        yield site


WITHOUT_IT = (
    ("backup.create",),
    ("backup.list",),
    ("backup.show", "latest"),
    ("backup.verify",),
    ("backup.verify", "--all"),
    ("backup.prune", "--yes"),
    ("store.push",),
    ("store.check",),
)


def aged(site: Site, days: int) -> None:
    """As if the newest copy had been made so many days ago."""
    state, location = StateDir(site.folder / "state"), str(site.point / "drillbook")
    seen = recall_store(state, location)
    assert seen is not None
    made = datetime.now(UTC) - timedelta(days=days)
    remember_store(state, dataclasses.replace(seen, newest={"app": made}))


def test_an_offline_store_that_is_away(rotated: Site) -> None:
    """Without its disk nothing is wrong and nothing is made there; with a new disk, which is begun by hand, all copies come."""
    rotated.take_away()
    code, said = rotated.do("backup.create")
    assert (code, "copies of app wait; this machine knows of none there" in said) == (0, True), said
    for words in WITHOUT_IT:
        code, said = rotated.do(*words)
        assert (code, list(rotated.point.iterdir())) == (0, []), (words, said)
    rotated.mount()
    assert rotated.do("store.push")[0] == 0
    assert list(rotated.point.iterdir()) == []
    assert rotated.do("store.check", "--store", "usb", "--create")[0] == 0
    assert rotated.do("store.push")[0] == 0
    names = {path.name for path in (rotated.folder / "home").iterdir() if path.suffix == ".db"}
    assert {path.name for path in (rotated.point / "drillbook").iterdir() if path.suffix == ".db"} == names
    rotated.take_away()
    assert "its newest one is" in rotated.do("backup.create")[1]


def test_an_offline_store_that_is_overdue(rotated: Site) -> None:
    """Only a newest copy that is older than was promised is told: as a warning, and beyond twice that as critical."""
    assert rotated.do("store.check", "--store", "usb", "--create")[0] == 0
    assert rotated.do("backup.create")[0] == 0
    rotated.take_away()
    for days, code in ((6, 0), (8, 1), (15, 2)):
        aged(rotated, days)
        for words in (("backup.list",), ("backup.show", "latest"), ("store.push",)):
            found, said = rotated.do(*words)
            assert found == code, (words, said)
            assert f"its newest one is {days}" in said
        assert ("store.offline_overdue" in rotated.codes("doctor")) == bool(code)


def test_two_disks_in_turn(rotated: Site) -> None:
    """Each of two rotated disks gets what it lacks, and neither is called another store."""
    for _ in range(2):
        assert rotated.do("store.check", "--store", "usb", "--create")[0] == 0
        assert rotated.do("backup.create")[0] == 0
        shutil.copytree(
            rotated.point / "drillbook", rotated.folder / f"disk-{len(list(rotated.folder.glob('disk-*')))}"
        )
        rotated.take_away()
        rotated.mount()
    for number in range(2):
        shutil.copytree(rotated.folder / f"disk-{number}", rotated.point / "drillbook")
        code, said = rotated.do("backup.create")
        assert (code, "another one" in said) == (0, False), said
        rotated.take_away()
        rotated.mount()


def test_only_a_further_store_may_be_offline(rotated: Site) -> None:
    """Backups are made in a store that is always here; `offline` and `every` are given together: else a configuration error."""
    text = (rotated.folder / "ops.toml").read_text()
    for old, new, said in (
        ('"home", "usb"', '"usb", "home"', "the first store, 'usb', is offline"),
        ('every = "7d"', "", "key 'every' is needed"),
        ("offline = true", "", "key 'offline' is needed"),
    ):
        (rotated.folder / "ops.toml").write_text(text.replace(old, new))
        code, output = rotated.do("backup.list")
        assert (code, said in output) == (2, True), output


def test_a_missing_disk_is_never_answered_by_a_command_to_run(only: Site) -> None:
    """While the disk is away no error gives `store.check --create` as what to run next: it would begin a store below it."""
    assert only.do("backup.create")[0] == 0
    only.take_away()
    for words in (("backup.create",), ("backup.drill",), ("backup.list",)):
        done = only.documents(*words)
        (error,) = [item for item in done if item["code"] == "store.missing"]
        assert error.get("command") is None
        assert "mount its disk" in str(error["hint"])


def test_a_store_that_begins_below_a_mount_point_warns(only: Site) -> None:
    """Begun where another disk was mounted, it says so as a warning, and what to do; in its own place it does not."""
    assert only.do("backup.create")[0] == 0
    only.take_away()
    code, said = only.do("store.check", "--store", "usb", "--create")
    assert (code, "lay on a disk of its own" in said) == (1, True), said
    shutil.rmtree(only.point / "drillbook")
    only.mount()
    assert only.do("store.check", "--store", "usb", "--create")[0] == 0


def test_a_deleted_store_is_told_until_it_is_made_anew(both: Site) -> None:
    """Verbs that read warn that the store is gone with all backups, and of its copies; the next backup makes it anew."""
    assert both.do("backup.create")[0] == 0
    shutil.rmtree(both.folder / "home")
    for words in (("backup.list",), ("doctor",)):
        code, said = both.do(*words)
        assert (code, "was deleted: the one that this machine knew there" in said) == (1, True), said
    assert {"store.deleted", "copy.only"} <= both.codes("doctor")
    code, said = both.do("backup.drill")
    assert code == 2
    assert "backup.drill --from usb:latest --source app" in said
    assert "store.pull usb:latest --source app" in said
    assert "backup.create" not in said
    assert both.do("store.pull", "usb:latest", "--source", "app")[0] == 0
    assert both.do("backup.drill")[0] == 0
    assert "store.deleted" not in both.codes("doctor")
