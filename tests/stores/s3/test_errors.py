"""What a server may answer instead of doing it, and what is not even asked: each has its code and next move."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from ops.errors import OpsError
from ops.host.network import without_network
from ops.stores.s3.options import S3Options
from ops.stores.s3.store import S3Store
from tests.stores.conftest import NewStore
from tests.stores.s3.test_store import code_of
from tests.stores.seaweed import store_of
from tests.stores.troubles import refusing_server

pytestmark = pytest.mark.long


@pytest.mark.parametrize(
    ("status", "theirs", "ours"),
    [
        (403, "AccessDenied", "store.refused"),
        (403, "InvalidAccessKeyId", "store.refused"),
        (403, "SignatureDoesNotMatch", "store.refused"),
        (400, "ExpiredToken", "store.credentials_expired"),
        (403, "RequestTimeTooSkewed", "store.clock_skew"),
        (404, "NoSuchBucket", "store.no_bucket"),
        (503, "SlowDown", "store.throttled"),
        (429, "TooManyRequests", "store.throttled"),
        (507, "XMinioStorageFull", "space.store_full"),
        (403, "QuotaExceeded", "space.store_full"),
        (400, "BadDigest", "store.checksum_refused"),
        (400, "SomethingNew", "store.unreadable"),
        (500, "InternalError", "store.unreadable"),
    ],
)
def test_each_refusal_has_its_code(new_store: NewStore, status: int, theirs: str, ours: str) -> None:
    """What a server can answer becomes one of our codes, with a next move, and without the server's own text."""
    with refusing_server(status, theirs) as url:
        store = new_store(endpoint_url=url, retries=0)
        for attempt in (lambda: list(store.list()), lambda: store.open("a.db"), lambda: store.delete("a.db")):
            with pytest.raises(OpsError) as caught:
                attempt()
            assert code_of(caught) == ours
            assert caught.value.hint
            assert theirs in str(caught.value)
            assert "SK-full" not in f"{caught.value} {caught.value.hint}"


def test_nobody_there(new_store: NewStore) -> None:
    """A port where nobody listens and a name that nobody knows are `store.unreachable`; no keys have a code, too."""
    for url in ("http://127.0.0.1:9", "http://no-such-host.invalid"):
        with pytest.raises(OpsError) as caught:
            list(new_store(endpoint_url=url, retries=0).list())
        assert code_of(caught) == "store.unreachable"


def test_a_name_that_no_bucket_can_have(new_store: NewStore) -> None:
    """A bucket whose name S3 does not allow is an error like others, not a traceback."""
    with pytest.raises(OpsError) as caught:
        list(new_store(bucket="no bucket!").list())
    assert code_of(caught) == "store.unreadable"


def test_without_boto3(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where boto3 is not installed the store says what to install."""
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(OpsError) as caught:
        list(store_of("http://127.0.0.1:9", "b", tmp_path).list())
    assert code_of(caught) == "tool.missing"
    assert "drillbook[s3]" in caught.value.hint


def test_no_network_contacts_no_other_machine(new_store: NewStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """With --no-network a server elsewhere is not contacted, a server here is, and no credentials are looked for away."""
    with without_network():
        assert list(new_store().list()) == []
        for store in (new_store(endpoint_url="http://192.0.2.1"), S3Store("s", S3Options(bucket="b"))):
            with pytest.raises(OpsError) as caught:
                list(store.list())
            assert code_of(caught) == "tool.network_forbidden"
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
        began = time.monotonic()
        with pytest.raises(OpsError) as caught:
            list(S3Store("s", S3Options(bucket="b", endpoint_url="http://127.0.0.1:9")).list())
        assert code_of(caught) == "store.no_credentials"
        assert time.monotonic() - began < 2
