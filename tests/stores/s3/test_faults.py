"""The store `s3` in hard times: killed senders, broken connections, servers that hang, refuse or die."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import botocore.client
import botocore.exceptions
import pytest

from ops.errors import OpsError
from ops.run.progress import silent
from ops.stores.s3.connection import Connection
from ops.stores.s3.store import S3Store
from ops.units import Size
from tests.stores.conftest import NewStore
from tests.stores.s3.test_store import MIB, code_of, made_file
from tests.stores.seaweed import Weed, running_weed, store_of
from tests.stores.troubles import Proxy, proxy_before

pytestmark = pytest.mark.long

SENDING = Path(__file__).parents[1] / "sending.py"


@pytest.fixture
def proxy(weed: Weed) -> Iterator[tuple[Proxy, str]]:
    """A proxy before the server, and its address."""
    with proxy_before(weed.port) as both:
        yield both


def send_elsewhere(url: str, store: S3Store, keys: Path, key: str, file: Path) -> subprocess.Popen[str]:
    """A process that puts `file`."""
    where = (url, store.options.bucket, store.options.prefix, str(keys), key, str(file))
    return subprocess.Popen([sys.executable, SENDING, *where], stdout=subprocess.PIPE, text=True)


def wait_until_quiet(relay: Proxy) -> None:
    """Return when what a dead sender had given to its machine has been passed on."""
    before = -1
    while relay.sent != before:
        before = relay.sent
        time.sleep(0.3)


def parts_there(store: S3Store, weed: Weed) -> int:
    """How many parts of unfinished uploads the server has."""
    client, bucket = weed.client(), store.options.bucket
    uploads = client.list_multipart_uploads(Bucket=bucket, Prefix=store.options.folder).get("Uploads", [])
    stored = [client.list_parts(Bucket=bucket, Key=one["Key"], UploadId=one["UploadId"]) for one in uploads]
    return sum(len(one.get("Parts", [])) for one in stored)


def test_a_killed_sender_is_resumed(
    new_store: NewStore, weed: Weed, proxy: tuple[Proxy, str], tmp_path: Path
) -> None:
    """What is half sent when its sender is killed is not listed; the next run sends only what is missing."""
    relay, url = proxy
    relay.rate = 15 * MIB
    store, file = new_store(part_size=Size(5 * MIB)), made_file(tmp_path, 40 * MIB)
    sender = send_elsewhere(url, store, tmp_path, "big.db", file)
    deadline = time.monotonic() + 30
    while parts_there(store, weed) < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    sender.kill()
    sender.communicate()
    assert 3 <= (kept := parts_there(store, weed)) < 8
    assert list(store.list()) == []
    relay.rate = 0
    wait_until_quiet(relay)
    relay.sent = 0
    again = send_elsewhere(url, store, tmp_path, "big.db", file)
    assert again.communicate(timeout=60)[0] == "put\n"
    assert relay.sent < (8 - kept) * 5 * MIB + MIB
    store.get("big.db", tmp_path / "back", silent)
    assert (tmp_path / "back").read_bytes() == file.read_bytes()
    assert parts_there(store, weed) == 0


def test_credentials_that_expire_in_the_middle(
    new_store: NewStore, weed: Weed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What had arrived until then stays for the run with new ones, which sends the rest; nothing is listed before."""
    store, file = new_store(part_size=Size(5 * MIB), parallel=1), made_file(tmp_path, 22 * MIB)
    real, sent = botocore.client.BaseClient._make_api_call, list[str]()

    def expire(client: object, operation: str, parameters: dict[str, object]) -> object:
        sent.append(operation)
        if sent.count("UploadPart") > 2:
            error = {"Error": {"Code": "ExpiredToken"}, "ResponseMetadata": {"HTTPStatusCode": 400}}
            raise botocore.exceptions.ClientError(error, operation)
        return real(client, operation, parameters)

    monkeypatch.setattr(botocore.client.BaseClient, "_make_api_call", expire)
    with pytest.raises(OpsError) as caught:
        store.put("big.db", file)
    assert code_of(caught) == "store.credentials_expired"
    monkeypatch.setattr(botocore.client.BaseClient, "_make_api_call", real)
    assert (list(store.list()), parts_there(store, weed)) == ([], 2)
    store.put("big.db", file)
    with store.open("big.db") as stored:
        assert stored.read() == file.read_bytes()
    assert parts_there(store, weed) == 0


def test_parts_of_another_content_are_not_used(new_store: NewStore, weed: Weed, tmp_path: Path) -> None:
    """An unfinished upload of other bytes under the same name is left alone, and can be given up."""
    store, file = new_store(part_size=Size(5 * MIB)), made_file(tmp_path, 11 * MIB)
    client, name = weed.client(), f"{store.options.folder}big.db"
    begun = client.create_multipart_upload(Bucket=store.options.bucket, Key=name, ChecksumAlgorithm="SHA256")
    client.upload_part(
        Bucket=store.options.bucket,
        Key=name,
        UploadId=begun["UploadId"],
        PartNumber=1,
        Body=b"x" * 5 * MIB,
        ChecksumAlgorithm="SHA256",
    )
    store.put("big.db", file)
    assert store.open("big.db").read() == file.read_bytes()
    assert store.abort_stale_uploads(timedelta(hours=1)) == []
    assert store.abort_stale_uploads(timedelta(0)) == ["big.db"]
    assert store.abort_stale_uploads(timedelta(0)) == []


def test_an_upload_of_which_only_the_start_is_the_same(
    new_store: NewStore, weed: Weed, tmp_path: Path
) -> None:
    """Where the parts agree and the rest does not, no object is left that carries the digest of the other content."""
    store, file = new_store(part_size=Size(5 * MIB)), made_file(tmp_path, 11 * MIB)
    client, name, bucket = weed.client(), f"{store.options.folder}big.db", store.options.bucket
    begun = client.create_multipart_upload(
        Bucket=bucket, Key=name, ChecksumAlgorithm="SHA256", Metadata={"sha256": "0" * 64}
    )
    client.upload_part(
        Bucket=bucket,
        Key=name,
        UploadId=begun["UploadId"],
        PartNumber=1,
        Body=file.read_bytes()[: 5 * MIB],
        ChecksumAlgorithm="SHA256",
    )
    with pytest.raises(OpsError) as caught:
        store.put("big.db", file)
    assert code_of(caught) == "store.checksum_refused"
    assert list(store.list()) == []
    store.put("big.db", file)
    assert store.open("big.db").read() == file.read_bytes()


def test_reading_outlives_broken_connections(
    new_store: NewStore, proxy: tuple[Proxy, str], tmp_path: Path
) -> None:
    """A connection that breaks again and again on the way gives the same bytes all the same."""
    relay, url = proxy
    file = made_file(tmp_path, 8 * MIB)
    new_store().put("a.db", file)
    relay.breaks = lambda count: count > MIB
    assert new_store(endpoint_url=url).get("a.db", tmp_path / "back", silent)
    assert (tmp_path / "back").read_bytes() == file.read_bytes()
    assert relay.broken >= 4
    relay.breaks = lambda _count: True
    with pytest.raises(OpsError) as caught:
        new_store(endpoint_url=url).get("a.db", tmp_path / "never", silent)
    assert code_of(caught) == "store.unreachable"
    assert not (tmp_path / "never").exists()


@pytest.mark.parametrize("change", ["replaced", "removed"])
def test_an_object_that_changes_while_it_is_read(
    new_store: NewStore, weed: Weed, proxy: tuple[Proxy, str], tmp_path: Path, change: str
) -> None:
    """A broken connection is not made anew to another content: never a mixture."""
    relay, url = proxy
    store = new_store(endpoint_url=url)
    store.put("a.db", made_file(tmp_path, 8 * MIB))
    relay.breaks = lambda count: count > MIB
    name, bucket, client = f"{store.options.folder}a.db", store.options.bucket, weed.client()
    with store.open("a.db") as stream:
        stream.read(1000)
        if change == "removed":
            client.delete_object(Bucket=bucket, Key=name)
        else:
            client.put_object(Bucket=bucket, Key=name, Body=b"y" * 8 * MIB)
        with pytest.raises(OpsError) as caught:
            stream.read()
    assert code_of(caught) == "store.changed"


def test_a_lost_answer_is_no_refusal(new_store: NewStore, proxy: tuple[Proxy, str], tmp_path: Path) -> None:
    """When the answer to a put is lost and the repetition finds the name taken, it was our own: that is success."""
    relay, url = proxy
    for size in (1000, 11 * MIB):
        store = new_store(endpoint_url=url, part_size=Size(5 * MIB), retries=4)
        key, file = f"{size}.db", made_file(tmp_path, size)
        answers = {"PUT": 0}

        def lose_one(_count: int, seen: dict[str, int] = answers) -> bool:
            seen["PUT"] += 1
            return seen["PUT"] in {2, 3, 5, 7}

        relay.breaks = lose_one
        store.put(key, file)
        relay.breaks = lambda _count: False
        assert store.open(key).read() == file.read_bytes()
    assert relay.broken


def test_a_server_that_hangs_ends_in_bounded_time(
    new_store: NewStore, proxy: tuple[Proxy, str], tmp_path: Path
) -> None:
    """No answer is an error after the time-outs and repetitions that were configured."""
    relay, url = proxy
    relay.hangs = True
    store = new_store(endpoint_url=url, read_timeout=timedelta(seconds=1), retries=1)
    for attempt in (lambda: list(store.list()), lambda: store.put("a.db", made_file(tmp_path, 10))):
        began = time.monotonic()
        with pytest.raises(OpsError) as caught:
            attempt()
        assert code_of(caught) == "store.unreachable"
        assert time.monotonic() - began < 6


def test_a_file_that_changes_while_it_is_sent(
    new_store: NewStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is cut or rewritten while it is sent leaves no object, and says so."""
    store, real = new_store(part_size=Size(5 * MIB), retries=0), Connection.call
    loose: Callable[..., object] = real
    damages = [(1000, b""), (11 * MIB, b""), (1000, b"y" * 1000), (11 * MIB, b"y" * 11 * MIB)]
    for size, damage in damages:
        file = made_file(tmp_path, size)

        def call(
            self: Connection, operation: str, *rest: str, damage: bytes = damage, **more: object
        ) -> object:
            if operation in {"put_object", "create_multipart_upload"}:
                (tmp_path / "file").write_bytes(damage)
            return loose(self, operation, *rest, **more)

        monkeypatch.setattr(Connection, "call", call)
        with pytest.raises(OpsError) as caught:
            store.put("a.db", file)
        monkeypatch.setattr(Connection, "call", real)
        assert code_of(caught) in {"store.unreadable", "store.checksum_refused"}
        assert list(store.list()) == []
        assert store.abort_stale_uploads(timedelta(0)) == []


def test_a_server_that_dies_in_the_middle(tmp_path: Path) -> None:
    """An upload, a read and a list end in `store.unreachable` when the server is killed, and nothing is left here."""
    with running_weed() as server, proxy_before(server.port) as (relay, url):
        store = store_of(url, server.bucket(), tmp_path, part_size=Size(5 * MIB), retries=1)
        file = made_file(tmp_path, 20 * MIB)
        # More than all sockets on the way can hold: the rest of it dies with the server.
        store.put("a.db", made_file(tmp_path, 96 * MIB, "large"))
        stream = store.open("a.db")
        relay.rate, relay.sent = 20 * MIB, 0
        threading.Thread(target=_kill_after, args=(relay, 6 * MIB, server)).start()
        with pytest.raises(OpsError) as caught:
            store.put("b.db", file)
        assert code_of(caught) == "store.unreachable"
        with stream, pytest.raises(OpsError) as caught:
            stream.read()
        assert code_of(caught) == "store.unreachable"
        with pytest.raises(OpsError):
            store.get("a.db", tmp_path / "back", silent)
        assert not (tmp_path / "back").exists()


def _kill_after(relay: Proxy, sent: int, server: Weed) -> None:
    while relay.sent < sent:
        time.sleep(0.01)
    server.kill()
