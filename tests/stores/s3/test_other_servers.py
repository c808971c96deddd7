"""What servers other than AWS were seen to do, and what a bucket is used for all the same."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import pytest

from ops.stores.s3.parts import measured
from ops.units import Size
from tests.histories import put
from tests.stores.conftest import NewStore
from tests.stores.lying import Answer, Forward, Lie, Request, liar_before
from tests.stores.s3.test_store import made_file
from tests.stores.seaweed import Weed

pytestmark = pytest.mark.long

_XML = {"Content-Type": "application/xml"}


def refused(code: str) -> bytes:
    """The body of an error."""
    return f"<Error><Code>{code}</Code><Message></Message></Error>".encode()


def small_pages_fail(request: Request, forward: Forward) -> Answer:
    """A listing with fewer names than usual to a page is an error of the server (s3rver 3.7)."""
    return Answer(500, _XML, refused("InternalError")) if "max-keys" in request.query else forward(request)


def no_list_of_uploads(request: Request, forward: Forward) -> Answer:
    """The unfinished uploads are no upload (rclone 1.75)."""
    return Answer(404, _XML, refused("NoSuchUpload")) if "uploads" in request.query else forward(request)


@pytest.mark.parametrize(
    "lie", [Lie(frozenset({"LIST"}), small_pages_fail), Lie(frozenset({"BUCKET"}), no_list_of_uploads)]
)
def test_a_round(weed: Weed, new_store: NewStore, tmp_path: Path, lie: Lie) -> None:
    """A small file, one of several parts and a folder are put, listed and removed."""
    with liar_before(weed.port) as (liar, url):
        store = new_store(endpoint_url=url, retries=0, part_size=Size(5 << 20))
        liar.tell(lie)
        put(store, "a.db", b"x")
        store.put("large.db", made_file(tmp_path, 6 << 20))
        with store.stage("f.pg", folder=True) as staged:
            (staged / "toc").write_bytes(b"1")
            store.put("f.pg", staged)
        assert {stored.key for stored in store.list()} == {"a.db", "large.db", "f.pg/toc"}
        for key in ("a.db", "large.db", "f.pg"):
            store.delete(key)
        assert list(store.list()) == []


def test_a_digest_of_parts_has_several_forms(tmp_path: Path) -> None:
    """The digest of an object of several parts is right with their number, without it (moto), and of the whole; no other is."""
    content = measured(made_file(tmp_path, 11 << 20), 5 << 20)
    number = content.checksum.rpartition("-")
    whole = hashlib.sha256((tmp_path / "file").read_bytes()).digest()
    assert number[2] == "3"
    for told in (content.checksum, number[0], base64.b64encode(whole).decode()):
        assert content.has_checksum(told)
    for told in ("", f"{number[0]}-2", base64.b64encode(bytes(32)).decode()):
        assert not content.has_checksum(told)
