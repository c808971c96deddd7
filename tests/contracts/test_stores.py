"""One suite for every store: each promise of the port is a test."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import stat
import tempfile
import time
from pathlib import Path

import pytest

from ops.driverkit.row_digest import document_seal
from ops.errors import BackupError, OpsError
from ops.ports.store import OWN_PREFIX, Store
from ops.run.progress import silent
from ops.stores.local.store import LocalOptions, LocalStore
from ops.stores.memory import MemoryStore
from tests.dead import ELSEWHERE, dead_name
from tests.stores.conftest import NewStore


@pytest.fixture(params=["local", "memory", "s3"])
def any_store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """Each store in turn, empty."""
    if request.param == "s3":
        make: NewStore = request.getfixturevalue("new_store")
        return make()
    return (
        MemoryStore() if request.param == "memory" else LocalStore("l", LocalOptions(path=tmp_path / "store"))
    )


def put(store: Store, key: str, content: bytes) -> None:
    """Store `content` the way actions do."""
    with store.stage(key) as staged:
        staged.write_bytes(content)
        store.put(key, staged)


def read(store: Store, key: str) -> bytes:
    """The stored bytes."""
    with store.open(key) as file:
        return file.read()


def test_what_is_put_is_there(any_store: Store, tmp_path: Path) -> None:
    """A stored file is listed with its size, opened, and fetched with its digest."""
    put(any_store, "a.db", b"content")
    assert [(stored.key, stored.size) for stored in any_store.list()] == [("a.db", 7)]
    assert read(any_store, "a.db") == b"content"
    into = tmp_path / "fetched"
    assert any_store.get("a.db", into, silent) == hashlib.sha256(b"content").hexdigest()
    assert into.read_bytes() == b"content"


def test_what_is_no_backup_has_a_place_of_its_own(any_store: Store) -> None:
    """Keys below `.drillbook/` are put one by one, however deep, are listed only by their prefix, and written once."""
    put(any_store, "a.db", b"backup")
    put(any_store, f"{OWN_PREFIX}store.json", b"{}")
    put(any_store, f"{OWN_PREFIX}series/deep/er", b"12345")
    assert [stored.key for stored in any_store.list()] == ["a.db"]
    own = {stored.key: stored.size for stored in any_store.list(OWN_PREFIX)}
    assert own == {f"{OWN_PREFIX}store.json": 2, f"{OWN_PREFIX}series/deep/er": 5}
    assert [stored.key for stored in any_store.list(f"{OWN_PREFIX}series/")] == [
        f"{OWN_PREFIX}series/deep/er"
    ]
    assert read(any_store, f"{OWN_PREFIX}series/deep/er") == b"12345"
    with pytest.raises(OpsError) as caught:
        put(any_store, f"{OWN_PREFIX}store.json", b"other")
    assert caught.value.code == "refused.name_taken"
    any_store.delete(f"{OWN_PREFIX}series/deep/er")
    assert [stored.key for stored in any_store.list(OWN_PREFIX)] == [f"{OWN_PREFIX}store.json"]


def test_a_prefix_chooses(any_store: Store) -> None:
    """Only what begins with the prefix is listed, files of folders too."""
    for key in ("a.db", "a.db.checksum", "b.db", "-first.db"):
        put(any_store, key, b"x")
    put_folder(any_store, "a.pg", {"toc": b"1", "deep/er": b"22"})
    assert {stored.key for stored in any_store.list("a.db")} == {"a.db", "a.db.checksum"}
    assert {stored.key for stored in any_store.list("a.pg/")} == {"a.pg/toc", "a.pg/deep/er"}
    assert {stored.key for stored in any_store.list("c")} == set()
    assert len(list(any_store.list())) == 6


def test_what_died_below_the_own_prefix_is_swept(tmp_path: Path) -> None:
    """A staged file there is listed by nobody and swept like any other."""
    store = LocalStore("l", LocalOptions(path=tmp_path / "store"))
    put(store, f"{OWN_PREFIX}store.json", b"{}")
    dead = store.options.path / OWN_PREFIX / "series" / dead_name("record.json")
    dead.parent.mkdir()
    dead.write_bytes(b"half")
    assert [stored.key for stored in store.list(OWN_PREFIX)] == [f"{OWN_PREFIX}store.json"]
    assert store.sweep() == [dead.name]
    assert not dead.exists()


def put_folder(store: Store, key: str, files: dict[str, bytes]) -> None:
    """Store a folder the way actions do."""
    with store.stage(key, folder=True) as staged:
        for name, content in files.items():
            (staged / name).parent.mkdir(exist_ok=True)
            (staged / name).write_bytes(content)
        store.put(key, staged)


def test_a_folder_is_put_as_one(any_store: Store, tmp_path: Path) -> None:
    """The files of a folder are listed, opened and fetched under its name, and deleted with it, and with no other."""
    put_folder(any_store, "a.pg", {"toc": b"1", "data/2.zst": b"22"})
    put(any_store, "a.pg2", b"neighbour")
    assert {stored.key: stored.size for stored in any_store.list()} == {
        "a.pg/toc": 1, "a.pg/data/2.zst": 2, "a.pg2": 9,
    }  # fmt: skip
    assert read(any_store, "a.pg/data/2.zst") == b"22"
    any_store.get("a.pg/toc", tmp_path / "fetched", silent)
    assert (tmp_path / "fetched").read_bytes() == b"1"
    any_store.delete("a.pg")
    any_store.delete("a.pg")
    assert [stored.key for stored in any_store.list()] == ["a.pg2"]


def test_a_folder_is_written_once(any_store: Store) -> None:
    """A second put of a folder's name is refused, and the first content stays; so is an empty folder's."""
    put_folder(any_store, "a.pg", {"toc": b"first"})
    with pytest.raises(OpsError) as caught:
        put_folder(any_store, "a.pg", {"toc": b"second", "more": b""})
    assert caught.value.code == "refused.name_taken"
    assert read(any_store, "a.pg/toc") == b"first"
    assert [stored.key for stored in any_store.list()] == ["a.pg/toc"]


def test_a_folder_of_another_place_is_copied(any_store: Store, tmp_path: Path) -> None:
    """A folder that was not staged in the store can be put too, and stays where it was."""
    folder = tmp_path / "made" / "elsewhere"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "file").write_bytes(b"x" * 100_000)
    any_store.put("b.pg", folder)
    assert read(any_store, "b.pg/deep/file") == b"x" * 100_000
    assert (folder / "deep" / "file").exists()


def test_local_folders_are_private_and_swept(tmp_path: Path) -> None:
    """A staged folder is 0700, its published form too; one of a dead writer is swept, a living one's is not."""
    store = LocalStore("l", LocalOptions(path=tmp_path / "store"))
    with store.stage("a.pg", folder=True) as staged:
        assert stat.S_IMODE(staged.stat().st_mode) == 0o700
        (staged / "x").write_bytes(b"x")
        assert store.sweep() == []
        store.put("a.pg", staged)
    assert stat.S_IMODE(store.path_of("a.pg").stat().st_mode) == 0o700
    put(store, f"{OWN_PREFIX}store.json", b"{}")
    dead = store.options.path / dead_name("dead.pg")
    (dead / "data").mkdir(parents=True)
    (dead / "data" / "half").write_bytes(b"x")
    assert store.sweep() == [dead.name]
    assert not dead.exists()


def test_a_key_is_written_once(any_store: Store) -> None:
    """A second put of the same key is refused, and the first content stays."""
    put(any_store, "a.db", b"first")
    with pytest.raises(OpsError) as caught:
        put(any_store, "a.db", b"second")
    assert caught.value.code == "refused.name_taken"
    assert read(any_store, "a.db") == b"first"


def test_staged_is_not_stored(any_store: Store) -> None:
    """What is still being built is not listed, and is gone when it was not put."""
    with any_store.stage("a.db") as staged:
        staged.write_bytes(b"half")
        assert list(any_store.list()) == []
    assert list(any_store.list()) == []
    assert not staged.exists()


def test_a_file_from_elsewhere_can_be_put(any_store: Store, tmp_path: Path) -> None:
    """A file that was not staged is copied in, and stays where it was."""
    file = tmp_path / "elsewhere"
    file.write_bytes(b"x" * 3_000_000)
    any_store.put("a.db", file)
    assert read(any_store, "a.db") == file.read_bytes()


def test_absence(any_store: Store, tmp_path: Path) -> None:
    """Opening or fetching what is not there is backup.not_found; deleting it is fine, twice."""
    with pytest.raises(BackupError) as caught:
        any_store.open("no.db")
    assert caught.value.code == "backup.not_found"
    with pytest.raises(BackupError):
        any_store.get("no.db", tmp_path / "x", silent)
    put(any_store, "a.db", b"x")
    any_store.delete("a.db")
    any_store.delete("a.db")
    assert list(any_store.list()) == []


def test_fetching_never_overwrites(any_store: Store, tmp_path: Path) -> None:
    """Fetching into an existing file is refused."""
    put(any_store, "a.db", b"x")
    into = tmp_path / "there"
    into.write_bytes(b"mine")
    with pytest.raises(OpsError):
        any_store.get("a.db", into, silent)
    assert into.read_bytes() == b"mine"


@pytest.mark.parametrize(
    "key", ["../x", "a/../b", "a//b", "/a", "a/", "", ".", "..", "a\0b", ".tmp-x", ".tmp-x/y"]
)
def test_local_keys_stay_inside(tmp_path: Path, key: str) -> None:
    """A key that would lead out of the folder, or into the staging area, is refused."""
    store = LocalStore("l", LocalOptions(path=tmp_path / "store"))
    with pytest.raises(OpsError) as caught:
        store.open(key)
    assert caught.value.code == "refused.unsafe_name"


def test_sweep_leaves_the_living_and_strangers_alone(tmp_path: Path) -> None:
    """A sweep removes what nobody holds; a staged file in use, and files of other names, stay."""
    store = LocalStore("l", LocalOptions(path=tmp_path / "store"))
    put(store, f"{OWN_PREFIX}store.json", b"{}")
    with store.stage("live.db") as staged:
        (tmp_path / "store" / dead_name("dead.db")).write_bytes(b"x")
        (tmp_path / "store" / "precious.db").write_bytes(b"x")
        assert store.sweep() == [dead_name("dead.db")]
        assert staged.exists()
    assert (tmp_path / "store" / "precious.db").exists()
    assert store.sweep() == []


def test_two_stage_one_name_and_one_has_it(tmp_path: Path) -> None:
    """What two stage for one key is published once; the other is refused, or publishes under another key without a copy."""
    store = LocalStore("l", LocalOptions(path=tmp_path / "store"))
    other = tmp_path / "store" / dead_name("a.db", ELSEWHERE)
    with store.stage("a.db") as staged:
        other.write_bytes(b"theirs")
        staged.write_bytes(b"ours")
        number = staged.stat().st_ino
        os.link(other, store.path_of("a.db"))
        with pytest.raises(OpsError) as caught:
            store.put("a.db", staged)
        assert caught.value.code == "refused.name_taken"
        store.put("b.db", staged)
    assert store.path_of("b.db").stat().st_ino == number
    assert read(store, "a.db") == b"theirs"


def test_what_others_write_stays(tmp_path: Path) -> None:
    """Files of other programs and older versions are never swept; those of another machine after seven unchanged days."""
    store = LocalStore("l", LocalOptions(path=tmp_path / "store"))
    put(store, f"{OWN_PREFIX}store.json", b"{}")
    place = store.options.path
    foreign = place / dead_name("theirs.db", ELSEWHERE)
    unmarked = [place / ".tmp-older.db", place / ".tmp-x.drillbook-nonsense"]
    for path in (foreign, *unmarked):
        path.write_bytes(b"12345")
    (place / ".tmp-folder").mkdir()
    (place / ".tmp-folder" / "inside").write_bytes(b"123")
    assert store.sweep() == []
    assert {(item.name, item.size, item.ours) for item in store.leftovers()} == {
        (foreign.name, 5, True), (".tmp-older.db", 5, False), (".tmp-x.drillbook-nonsense", 5, False),
        (".tmp-folder", 3, False),
    }  # fmt: skip
    eight_days_ago = time.time() - 8 * 86400
    for path in (foreign, *unmarked, place / ".tmp-folder", place / ".tmp-folder" / "inside"):
        os.utime(path, (eight_days_ago, eight_days_ago))
    assert store.sweep() == [foreign.name]
    assert all(path.exists() for path in unmarked)


def test_a_foreign_folder_that_still_grows_stays(tmp_path: Path) -> None:
    """A folder of another machine's run in which any file is younger than seven days is left alone."""
    store = LocalStore("l", LocalOptions(path=tmp_path / "store"))
    put(store, f"{OWN_PREFIX}store.json", b"{}")
    growing = store.options.path / dead_name("a.pg", ELSEWHERE)
    (growing / "data").mkdir(parents=True)
    (growing / "data" / "1").write_bytes(b"x")
    long_ago = time.time() - 30 * 86400
    os.utime(growing / "data", (long_ago, long_ago))
    os.utime(growing, (long_ago, long_ago))
    assert store.sweep() == []
    os.utime(growing / "data" / "1", (long_ago, long_ago))
    assert store.sweep() == [growing.name]


def test_nothing_is_swept_where_no_backup_is(tmp_path: Path) -> None:
    """In a folder that holds no backup of ours, `--out` may have named any, not even marked files are touched."""
    store = LocalStore("l", LocalOptions(path=tmp_path / "home"))
    store.options.path.mkdir()
    left = store.options.path / dead_name("a.db")
    left.write_bytes(b"x")
    assert store.sweep() == []
    put(store, "a.db.manifest.json", b"{}")
    assert store.sweep() == [left.name]


def test_what_is_locked_is_written(tmp_path: Path) -> None:
    """A staged file whose lock is held stays, whatever its name says of the writer."""
    store = LocalStore("l", LocalOptions(path=tmp_path / "store"))
    put(store, f"{OWN_PREFIX}store.json", b"{}")
    held = store.options.path / dead_name("a.db")
    held.write_bytes(b"x")
    with held.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert store.sweep() == []
    assert store.sweep() == [held.name]


def test_a_living_writer_keeps_a_published_payload(tmp_path: Path) -> None:
    """A payload that a dead run's manifest also fits stays while another run stages the manifest of that name."""
    (frozen,) = (Path(__file__).parents[2] / "fixtures" / "backups" / "v1").glob("*.manifest.json")
    payload = json.loads(frozen.read_bytes())["payload"]
    store = LocalStore("l", LocalOptions(path=tmp_path / "store"))
    put(store, f"{OWN_PREFIX}store.json", b"{}")
    put(store, payload, frozen.with_name(payload).read_bytes())
    dead = store.options.path / dead_name(frozen.name)
    dead.write_bytes(frozen.read_bytes())
    with store.stage(frozen.name):
        assert store.sweep() == [dead.name]
    assert [stored.key for stored in store.list()] == [payload]


@pytest.mark.parametrize("size", [150, 217, 255])
def test_long_names_are_staged(tmp_path: Path, size: int) -> None:
    """A name as long as a file system takes can be staged and published, in UTF-8 of two bytes a letter too."""
    store = LocalStore("l", LocalOptions(path=tmp_path / "store"))
    for name in ("x" * size, "é" * (size // 2)):
        put(store, name, b"1")
        assert read(store, name) == b"1"


def test_sweep_keeps_what_only_looks_unfinished(tmp_path: Path) -> None:
    """A dead run's staged manifest does not take away a file of that name with other content."""
    store = LocalStore("l", LocalOptions(path=tmp_path / "store"))
    put(store, "precious.db", b"somebody else's")
    put(store, f"{OWN_PREFIX}store.json", b"{}")
    for content in (b"", b"{}", b"no json"):
        (tmp_path / "store" / dead_name("precious.db.manifest.json")).write_bytes(content)
        store.sweep()
        assert read(store, "precious.db") == b"somebody else's"
    assert [stored.key for stored in store.list()] == ["precious.db"]


def test_sweep_compares_before_it_removes(tmp_path: Path) -> None:
    """A whole staged manifest takes away the payload that it describes, and no other file of that name."""
    (frozen,) = (Path(__file__).parents[2] / "fixtures" / "backups" / "v1").glob("*.manifest.json")
    document = json.loads(frozen.read_bytes())
    payload = frozen.with_name(document["payload"]).read_bytes()
    document["payload"] = document["files"][0]["path"] = "precious.db"
    document["seal"] = document_seal(document)
    store = LocalStore("l", LocalOptions(path=tmp_path / "store"))
    put(store, f"{OWN_PREFIX}store.json", b"{}")
    for content, kept in ((payload[:-1] + b"?", True), (payload, False)):
        put(store, "precious.db", content)
        (tmp_path / "store" / dead_name("precious.db.manifest.json")).write_text(json.dumps(document))
        store.sweep()
        assert [stored.key for stored in store.list()] == (["precious.db"] if kept else [])
        store.delete("precious.db")


def test_unreadable_folder(tmp_path: Path) -> None:
    """A store whose folder is a file says so with its own code."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OpsError) as caught:
        list(LocalStore("l", LocalOptions(path=tmp_path / "file")).list())
    assert caught.value.code == "store.unreadable"


@pytest.mark.needs_root
def test_a_folder_that_is_not_ours_is_none_of_ours() -> None:
    """A folder that cannot be read, as lost+found on a disk of its own, does not make the store unreadable."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "lost+found").mkdir(0o700)
        folder.chmod(0o755)
        store = LocalStore("l", LocalOptions(path=folder))
        put(store, "a.db", b"x")
        (folder / "a.db").chmod(0o644)
        os.seteuid(65534)
        try:
            assert [stored.key for stored in store.list()] == ["a.db"]
        finally:
            os.seteuid(0)
