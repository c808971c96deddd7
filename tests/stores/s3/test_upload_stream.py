"""Files that are sent while they are still written."""

from __future__ import annotations

import hashlib
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ops.actions.copy import copy_missing
from ops.errors import OpsError, StoreError
from ops.fsio.growing_file import GrowingFile
from ops.model.findings import Severity
from ops.repository.fetch import fetch_payload
from ops.repository.find import find_backup
from ops.repository.replicate import copy_backup
from ops.repository.repository import Repository
from ops.run.job import Job
from ops.run.progress import silent
from ops.stores.local.store import LocalOptions, LocalStore
from ops.stores.s3.connection import Connection
from ops.stores.s3.folder import claim_name
from ops.stores.s3.store import S3Store
from ops.units import Size
from tests.histories import WHOSE, stored_backup
from tests.keys import Keys
from tests.stores.conftest import NewStore
from tests.stores.s3.test_faults import parts_there
from tests.stores.s3.test_store import MIB, code_of
from tests.stores.seaweed import Weed, running_weed, store_of
from tests.stores.troubles import proxy_before

pytestmark = pytest.mark.long

PART = Size(5 * MIB)


def content_of(size: int) -> bytes:
    """Random bytes, the same each time."""
    return random.Random(size).randbytes(size)


def written(store: S3Store, folder: Path, content: bytes, block: int = 3 * MIB) -> str:
    """Put `content` while it is written block by block; what the store says that it was."""
    file = GrowingFile(folder / "growing", len(content))
    file.path.write_bytes(b"")
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(store.put_growing, "a.db", file)
        with file.path.open("ab") as target:
            for start in range(0, len(content), block):
                target.write(content[start : start + block])
                target.flush()
                time.sleep(0.03)
        file.finish()
        return sending.result()


@pytest.mark.parametrize("size", [0, 1, PART, PART + 1, 2 * PART, 3 * PART + 7])
def test_what_was_written_is_there(new_store: NewStore, tmp_path: Path, size: int) -> None:
    """Whatever its size, the whole content arrives, and its digest is told."""
    store, content = new_store(part_size=PART), content_of(size)
    assert written(store, tmp_path, content) == hashlib.sha256(content).hexdigest()
    assert [(file.key, file.size) for file in store.list()] == [("a.db", size)]
    with store.open("a.db") as file:
        assert file.read() == content


def test_sending_does_not_wait_for_the_end(new_store: NewStore, weed: Weed, tmp_path: Path) -> None:
    """Parts are on the server while the writer has not finished; nothing is listed until it has."""
    store, content = new_store(part_size=PART), content_of(3 * PART)
    file = GrowingFile(tmp_path / "growing", len(content))
    file.path.write_bytes(content[: 2 * PART + 1])
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(store.put_growing, "a.db", file)
        deadline = time.monotonic() + 30
        while parts_there(store, weed) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert list(store.list()) == []
        with file.path.open("ab") as target:
            target.write(content[2 * PART + 1 :])
        file.finish()
        assert sending.result() == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("size", [10, 3 * PART])
def test_a_writer_that_fails_leaves_nothing(
    new_store: NewStore, weed: Weed, tmp_path: Path, size: int
) -> None:
    """No object, no part, no claim on the name: the next one can have it at once."""
    store, content = new_store(part_size=PART), content_of(size)
    file = GrowingFile(tmp_path / "growing", size)
    file.path.write_bytes(content)
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(store.put_growing, "a.db", file)
        time.sleep(0.5)
        file.fail()
        with pytest.raises(StoreError) as caught:
            sending.result()
    assert caught.value.code == "store.unreadable"
    assert (list(store.list()), parts_there(store, weed)) == ([], 0)
    assert written(store, tmp_path, content) == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("size", [10, 2 * PART])
def test_what_is_there_is_not_replaced(new_store: NewStore, tmp_path: Path, size: int) -> None:
    """A name that is taken is refused, by a file, by a folder, and by a sender that was quicker."""
    store, content = new_store(part_size=PART), content_of(size)
    written(store, tmp_path, content)
    with pytest.raises(OpsError) as caught:
        written(store, tmp_path, content_of(size + 1))
    assert code_of(caught) == "refused.name_taken"
    with store.open("a.db") as file:
        assert file.read() == content


def test_of_several_senders_one_wins(new_store: NewStore, tmp_path: Path) -> None:
    """Four at once under one name: one is told that it won, and what is there is its content."""
    store, sizes = new_store(part_size=PART), [2 * PART + number for number in range(4)]
    won: dict[int, str] = {}

    def send(size: int) -> None:
        folder = tmp_path / str(size)
        folder.mkdir()
        try:
            won[size] = written(store, folder, content_of(size))
        except OpsError as error:
            assert error.code == "refused.name_taken"

    threads = [threading.Thread(target=send, args=(size,)) for size in sizes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ((size, digest),) = won.items()
    with store.open("a.db") as file:
        assert hashlib.sha256(file.read()).hexdigest() == digest
    assert [stored.size for stored in store.list()] == [size]


def test_a_server_that_dies_while_it_is_sent(tmp_path: Path) -> None:
    """Sealing goes on to its end, the copy is missing, with the reason, and no plain or sealed byte is left here."""
    keys, scratch = Keys(tmp_path, "escrow"), tmp_path / "scratch"
    scratch.mkdir()
    home = LocalStore("home", LocalOptions(path=tmp_path / "home"))
    stored_backup(home, datetime(2026, 6, 30, tzinfo=UTC), content=content_of(24 * MIB))
    with running_weed() as server, proxy_before(server.port) as (relay, url):
        store = store_of(url, server.bucket(), tmp_path, part_size=PART, retries=1)
        relay.rate = 20 * MIB
        killer = threading.Thread(target=_kill_after, args=(server, relay))
        killer.start()
        (finding,) = copy_missing(
            WHOSE,
            Repository(store=home),
            [Repository(store=store, encryption=keys.sealing, scratch=scratch)],
            Job(),
        )
        killer.join()
    assert (finding.code, finding.where) == ("copy.failed", "store.unreachable")
    assert list(scratch.iterdir()) == []


def _kill_after(server: Weed, relay: object) -> None:
    while getattr(relay, "sent", 0) < 6 * MIB:
        time.sleep(0.01)
    server.kill()


def test_a_sealed_copy_is_sent_while_it_is_sealed(new_store: NewStore, weed: Weed, tmp_path: Path) -> None:
    """It opens with the key; what a killed run of it had sent is taken away and sent anew."""
    keys, scratch = Keys(tmp_path, "escrow"), tmp_path / "scratch"
    scratch.mkdir()
    content = content_of(12 * MIB)
    home, store = LocalStore("home", LocalOptions(path=tmp_path / "home")), new_store(part_size=PART)
    backup = stored_backup(home, datetime(2026, 6, 30, tzinfo=UTC), content=content)
    # As after SIGKILL: the name is taken, a part is there, and nobody will finish it.
    name = f"{store.options.folder}{backup.name}.age"
    claim_name(Connection(store.options, "dead"), f"{backup.name}.age", "dead")
    where = {"Bucket": store.options.bucket, "Key": name}
    begun = weed.client().create_multipart_upload(**where, ChecksumAlgorithm="SHA256")
    part = {"UploadId": begun["UploadId"], "PartNumber": 1, "Body": content[:PART]}
    weed.client().upload_part(**where, **part, ChecksumAlgorithm="SHA256")
    copy_backup(backup, Repository(store=store, encryption=keys.sealing, scratch=scratch), Job())
    sealed = replace(find_backup(store, f"{backup.name}.age"), openers=(keys.opening,))
    payload, findings = fetch_payload(sealed, tmp_path / "back", silent)
    assert {item.severity for item in findings} == {Severity.OK}
    assert payload.read_bytes() == content
    assert store.abort_stale_uploads(timedelta(0)) == [f"{backup.name}.age"]
