"""The store `s3` on a real server: parts, conditions, rights, versions, locks, encryption."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ops.errors import OpsError
from ops.run.progress import silent
from ops.units import Size
from tests.stores.conftest import NewStore
from tests.stores.seaweed import Weed, key_file

pytestmark = pytest.mark.long

MIB = 1 << 20


def code_of(error: pytest.ExceptionInfo[OpsError]) -> str:
    """The code of the error that was raised."""
    return error.value.code


def made_file(folder: Path, size: int, name: str = "file") -> Path:
    """A new file of random bytes."""
    path = folder / name
    path.write_bytes(os.urandom(size))
    return path


@pytest.mark.parametrize(("size", "part"), [(40 * MIB, 8), (21 * MIB + 7, 5), (5 * MIB, 5)])
def test_large_files_go_in_parts(
    new_store: NewStore, weed: Weed, tmp_path: Path, size: int, part: int
) -> None:
    """Each part is checked by the server with SHA-256, the object carries the digest of all, and comes back whole."""
    file = made_file(tmp_path, size)
    store = new_store(part_size=Size(part * MIB))
    store.put("big.db", file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    name = f"{store.options.folder}big.db"
    head = weed.client().head_object(Bucket=store.options.bucket, Key=name, ChecksumMode="ENABLED")
    assert head["Metadata"]["sha256"] == digest
    assert head["ContentLength"] == size
    if size > part * MIB:
        parts = [file.read_bytes()[at : at + part * MIB] for at in range(0, size, part * MIB)]
        composite = hashlib.sha256(b"".join(hashlib.sha256(piece).digest() for piece in parts)).digest()
        assert head["ChecksumSHA256"] == f"{base64.b64encode(composite).decode()}-{len(parts)}"
    assert store.get("big.db", tmp_path / "back", silent) == digest
    assert [stored.size for stored in store.list()] == [size]


@pytest.mark.parametrize("size", [1000, 11 * MIB])
def test_of_several_writers_one_wins(new_store: NewStore, tmp_path: Path, size: int) -> None:
    """However many write one name at once, one succeeds, all others are told, and nothing is left unfinished."""
    store, won, lost = new_store(part_size=Size(5 * MIB)), [], []
    files = [made_file(tmp_path, size, f"w{number}") for number in range(4)]
    gate = threading.Barrier(len(files))

    def write(file: Path) -> None:
        gate.wait()
        try:
            store.put("a.db", file)
            won.append(file)
        except OpsError as error:
            lost.append(error.code)

    threads = [threading.Thread(target=write, args=(file,)) for file in files]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(won), lost) == (1, ["refused.name_taken"] * 3)
    with store.open("a.db") as stored:
        assert stored.read() == won[0].read_bytes()
    assert store.abort_stale_uploads(timedelta(0)) == []


@pytest.mark.parametrize("same", [True, False])
def test_of_several_writers_of_a_folder_one_wins(new_store: NewStore, tmp_path: Path, same: bool) -> None:
    """Two folders under one name are never mixed, also when they are equal: one succeeds."""
    store, won, lost = new_store(), [], []
    folders = [tmp_path / f"folder{number}" for number in range(3)]
    for number, folder in enumerate(folders):
        folder.mkdir()
        for name in ("a", "b", "c", "d"):
            (folder / name).write_text(f"{0 if same else number}")
    gate = threading.Barrier(len(folders))

    def write(folder: Path) -> None:
        gate.wait()
        try:
            store.put("a.pg", folder)
            won.append(folder)
        except OpsError as error:
            lost.append(error.code)

    threads = [threading.Thread(target=write, args=(folder,)) for folder in folders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(won), lost) == (1, ["refused.name_taken"] * 2)
    wanted = (won[0] / "a").read_bytes()
    assert [store.open(f"a.pg/{name}").read() for name in "abcd"] == [wanted] * 4
    assert len(list(store.list())) == 4


def test_a_half_sent_folder_is_hidden_and_finished(new_store: NewStore, tmp_path: Path) -> None:
    """A folder whose last file did not arrive is not listed; put again, only what is missing is sent."""
    store, folder = new_store(), tmp_path / "folder"
    folder.mkdir()
    for name in "abc":
        (folder / name).write_text(name)
    store.put("a.pg", folder)
    client, prefix = store._connection._ready_client(), store.options.folder
    for gone in (".folders/a.pg/whole", "a.pg/b"):
        client.delete_object(Bucket=store.options.bucket, Key=prefix + gone)
    assert list(store.list()) == []
    before = client.head_object(Bucket=store.options.bucket, Key=f"{prefix}a.pg/a")["LastModified"]
    (tmp_path / "other").mkdir()
    with pytest.raises(OpsError) as caught:
        store.put("a.pg", tmp_path / "other")
    assert code_of(caught) == "refused.name_taken"
    store.put("a.pg", folder)
    assert sorted(stored.key for stored in store.list()) == ["a.pg/a", "a.pg/b", "a.pg/c"]
    assert client.head_object(Bucket=store.options.bucket, Key=f"{prefix}a.pg/a")["LastModified"] == before


def test_files_and_folders_share_names(new_store: NewStore, tmp_path: Path) -> None:
    """A file is not put where a folder is, a folder not where a file is; strangers' folders are left alone."""
    store, file = new_store(), made_file(tmp_path, 10)
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "x").write_text("x")
    store.put("one", file)
    store.put("two", folder)
    client = store._connection._ready_client()
    client.put_object(Bucket=store.options.bucket, Key=f"{store.options.folder}three/x", Body=b"theirs")
    for key, content in (("one", folder), ("two", file), ("three", folder), ("three", file)):
        with pytest.raises(OpsError) as caught:
            store.put(key, content)
        assert code_of(caught) == "refused.name_taken"
    assert sorted(stored.key for stored in store.list()) == ["one", "three/x", "two/x"]


def test_odd_names(new_store: NewStore, tmp_path: Path) -> None:
    """Spaces, quotes, line ends, percent signs and other scripts come back as they went; what S3 cannot name is refused."""
    store, file = new_store(), made_file(tmp_path, 10)
    names = ["a b", "q'\"&<>", "per%20cent+", "zwölf ٣", "-dash"]
    for name in names:
        store.put(name, file)
    assert sorted(stored.key for stored in store.list()) == sorted(names)
    for name in names:
        store.delete(name)
    assert list(store.list()) == []
    for bad in ("a\udc80", "x" * 1100, "../x", "a//b", ".tmp-x", ".folders/x", "", "a\0"):
        with pytest.raises(OpsError) as caught:
            store.open(bad)
        assert code_of(caught) == "refused.unsafe_name"


def test_many_objects(new_store: NewStore) -> None:
    """More objects than one page are all listed, and more than one request takes are all removed."""
    store = new_store()
    client, prefix = store._connection._ready_client(), store.options.folder
    for number in range(1020):
        client.put_object(Bucket=store.options.bucket, Key=f"{prefix}many/{number}", Body=b"")
    assert len(list(store.list())) == 1020
    store.delete("many")
    assert list(store.list()) == []


def test_wrong_keys(new_store: NewStore, tmp_path: Path) -> None:
    """A wrong secret, an unknown key and a bucket that is not there have codes of their own, and show no secret."""
    (tmp_path / "wrong").mkdir()
    wrong = new_store(**key_file(tmp_path / "wrong", "full", "not-the-secret"))
    with pytest.raises(OpsError) as caught:
        list(wrong.list())
    assert code_of(caught) == "store.refused"
    assert "not-the-secret" not in f"{caught.value} {caught.value.hint} {wrong!r} {caught.value.__cause__}"
    (tmp_path / "wrong" / "access-full").write_text("AK-nobody")
    with pytest.raises(OpsError) as caught:
        list(
            new_store(
                **{**key_file(tmp_path, "full"), "access_key_file": tmp_path / "wrong/access-full"}
            ).list()
        )
    assert code_of(caught) == "store.refused"
    with pytest.raises(OpsError) as caught:
        list(new_store(bucket="no-such-bucket-here").list())
    assert code_of(caught) == "store.no_bucket"


def test_a_reader_reads(new_store: NewStore, tmp_path: Path) -> None:
    """With rights to read and list only, a put is refused, and all else works."""
    new_store().put("a.db", made_file(tmp_path, 10))
    reader = new_store("reader")
    assert [stored.key for stored in reader.list()] == ["a.db"]
    assert len(reader.open("a.db").read()) == 10
    for size in (10, 11 * MIB):
        with pytest.raises(OpsError) as caught:
            new_store("reader", part_size=Size(5 * MIB)).put("b.db", made_file(tmp_path, size))
        assert code_of(caught) == "store.refused"


@pytest.fixture
def no_delete(weed: Weed, new_store: NewStore) -> NewStore:
    """Makes stores in a bucket whose policy allows no deletion."""
    bucket = weed.bucket()
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": ["s3:DeleteObject", "s3:DeleteObjectVersion", "s3:AbortMultipartUpload"],
        "Resource": f"arn:aws:s3:::{bucket}/*",
    }
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    weed.client().put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
    return lambda identity="full", **options: new_store(identity, bucket=bucket, **options)


def test_put_needs_no_right_to_delete(no_delete: NewStore, tmp_path: Path) -> None:
    """Files, large files and folders are put; only delete is refused, and a put that fails says its own reason."""
    store, file = no_delete(part_size=Size(5 * MIB)), made_file(tmp_path, 11 * MIB)
    store.put("a.db", file)
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "x").write_text("x")
    store.put("a.pg", folder)
    assert sorted(stored.key for stored in store.list()) == ["a.db", "a.pg/x"]
    for key in ("a.db", "a.pg"):
        with pytest.raises(OpsError) as caught:
            store.delete(key)
        assert code_of(caught) == "store.refused"
    with pytest.raises(OpsError) as caught:
        store.put("a.db", file)
    assert code_of(caught) == "refused.name_taken"
    assert store.get("a.db", tmp_path / "back", silent)


def test_encryption_and_storage_class(new_store: NewStore, weed: Weed, tmp_path: Path) -> None:
    """Objects are kept as the options say, small ones and large ones."""
    store = new_store(sse="AES256", storage_class="STANDARD_IA", part_size=Size(5 * MIB))
    for size in (10, 11 * MIB):
        file = made_file(tmp_path, size)
        store.put(f"{size}.db", file)
        name = f"{store.options.folder}{size}.db"
        head = weed.client().head_object(Bucket=store.options.bucket, Key=name)
        assert head["ServerSideEncryption"] == "AES256"
        assert head["StorageClass"] == "STANDARD_IA"
        assert store.open(f"{size}.db").read() == file.read_bytes()


def test_object_lock(new_store: NewStore, weed: Weed, tmp_path: Path) -> None:
    """A locked file says until when, and can be removed by nobody before; its delete hides nothing."""
    bucket = weed.bucket(ObjectLockEnabledForBucket=True)
    lock = {"object_lock": "COMPLIANCE", "object_lock_for": timedelta(hours=1)}
    store = new_store(bucket=bucket, part_size=Size(5 * MIB), **lock)
    for size in (10, 11 * MIB):
        key = f"{size}.db"
        store.put(key, made_file(tmp_path, size))
        until = store.protection_of(key).until
        assert until is not None
        assert timedelta(minutes=55) < until - datetime.now(UTC) < timedelta(minutes=65)
        with pytest.raises(OpsError) as caught:
            store.delete(key)
        assert code_of(caught) == "store.object_locked"
        assert f"{until:%Y-%m-%d}" in str(caught.value)
    assert len(list(store.list())) == 2
    plain = new_store(bucket=bucket)
    plain.put("free.db", made_file(tmp_path, 10))
    assert plain.protection_of("free.db").until is None
    plain.delete("free.db")


def test_a_bucket_with_versions(new_store: NewStore, weed: Weed, tmp_path: Path) -> None:
    """A name is written once there, too; what was removed is gone, and the name free again."""
    bucket = weed.bucket()
    weed.client().put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    store = new_store(bucket=bucket)
    store.put("a.db", made_file(tmp_path, 10))
    with pytest.raises(OpsError) as caught:
        store.put("a.db", made_file(tmp_path, 20))
    assert code_of(caught) == "refused.name_taken"
    store.delete("a.db")
    assert list(store.list()) == []
    with pytest.raises(OpsError) as caught:
        store.open("a.db")
    assert code_of(caught) == "backup.not_found"
    store.put("a.db", made_file(tmp_path, 30))
    assert [stored.size for stored in store.list()] == [30]
