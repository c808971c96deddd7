"""A folder that is sent file by file: there when it is whole, and never before."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from ops.errors import RefusedError, StoreError
from ops.run.progress import silent
from ops.stores.s3.store import S3Store
from tests.stores.conftest import NewStore

pytestmark = pytest.mark.long

SIZES = {"dump/1.dat": 10, "dump/2.dat": 0, "toc": 9 << 20}


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """Files of a folder, by their paths inside; one goes in several parts."""
    found = {}
    for number, (inside, size) in enumerate(SIZES.items()):
        path = tmp_path / f"file-{number}"
        path.write_bytes(bytes([number + 1]) * size)
        found[inside] = path
    return found


def test_it_is_there_when_it_is_whole(new_store: NewStore, files: dict[str, Path], tmp_path: Path) -> None:
    """Not listed before, listed with every file afterwards, and what arrives is what was sent."""
    store = new_store(part_size=5 << 20)
    with store.begin_folder("a.pg") as folder:
        for inside, path in files.items():
            assert folder.put(inside, path) == hashlib.sha256(path.read_bytes()).hexdigest()
            assert list(store.list()) == []
        folder.finish()
    assert {(item.key, item.size) for item in store.list()} == {
        (f"a.pg/{inside}", size) for inside, size in SIZES.items()
    }
    digest = store.get("a.pg/toc", tmp_path / "again", silent)
    assert digest == hashlib.sha256(files["toc"].read_bytes()).hexdigest()
    store.delete("a.pg")
    assert list(store.list()) == []


def test_nothing_is_left_of_one_that_was_not_finished(new_store: NewStore, files: dict[str, Path]) -> None:
    """An error on the way removes what was sent, and the name is free again."""
    store = new_store(part_size=5 << 20)
    with pytest.raises(ValueError, match="later"):
        fail_later(store, files)
    prefix = store.options.folder
    assert list(store._connection.objects(prefix)) == []
    with store.begin_folder("a.pg") as folder:
        folder.put("toc", files["toc"])
        folder.finish()
    assert [item.key for item in store.list()] == ["a.pg/toc"]


def test_one_name_is_taken_once(new_store: NewStore, files: dict[str, Path]) -> None:
    """While it is on its way, when it is whole, and where a file has the name."""
    store = new_store()
    with store.begin_folder("a.pg") as folder:
        with pytest.raises(RefusedError), new_store().begin_folder("a.pg"):
            pass
        folder.put("toc", files["dump/1.dat"])
        folder.finish()
    with pytest.raises(RefusedError), store.begin_folder("a.pg"):
        pass
    with store.stage("b.pg") as staged:
        staged.write_bytes(b"a file")
        store.put("b.pg", staged)
    with pytest.raises(RefusedError), store.begin_folder("b.pg"):
        pass
    assert {item.key for item in store.list()} == {"a.pg/toc", "b.pg"}


def test_what_somebody_else_put_into_it_is_noticed(new_store: NewStore, files: dict[str, Path]) -> None:
    """A folder with a file too many is not whole: it is given up, and what is not ours stays."""
    store = new_store()
    with pytest.raises(StoreError, match="missing, too many or of another size"):
        send_beside_a_stranger(store, files["dump/1.dat"])
    assert [
        item["Key"].rpartition("/")[2] for item in store._connection.objects(f"{store.options.folder}a.pg/")
    ] == ["stray"]


def fail_later(store: S3Store, files: dict[str, Path]) -> None:
    """Send all files, and fail before the folder is whole."""
    with store.begin_folder("a.pg") as folder:
        for inside, path in files.items():
            folder.put(inside, path)
        raise ValueError("later")


def send_beside_a_stranger(store: S3Store, file: Path) -> None:
    """Send a file while another program puts one into the folder, and finish."""
    with store.begin_folder("a.pg") as folder:
        folder.put("toc", file)
        stray = f"{store.options.folder}a.pg/stray"
        store._connection.call("put_object", "test", Key=stray, Body=b"x")
        folder.finish()
