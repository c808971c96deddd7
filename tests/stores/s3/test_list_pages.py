"""Listing a bucket: quickly, in parts, and without fetching what is known."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from ops.actions.backup import take_backup
from ops.actions.begin_backup import BackupRequest
from ops.actions.prune import PruneRequest, prune
from ops.actions.verify import VerifyRequest, verify_backup
from ops.errors import OpsError
from ops.formats.names import manifest_key, top_name
from ops.model.evidence import Level
from ops.model.findings import Verdict
from ops.ports.stamps import UNSETTLED, packed
from ops.ports.store import OWN_PREFIX
from ops.repository.catalog import read_catalogue
from ops.repository.find import find_backup
from ops.repository.listing import list_backups
from ops.repository.listing_row import Listed, listed
from ops.repository.repository import Repository
from ops.repository.retention import Policy
from ops.run.job import Job
from ops.sources.sqlite.source import SqliteSource
from ops.stores.s3 import list_pages as pages
from ops.stores.s3 import page
from ops.stores.s3.connection import Connection
from ops.stores.s3.store import S3Store
from tests.histories import looked_at, put, stored_backup, whose
from tests.listings import by_key
from tests.stores.conftest import NewStore
from tests.stores.seaweed import Weed

pytestmark = pytest.mark.long

DAY = datetime(2026, 1, 1, 3, tzinfo=UTC)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys of all objects of backups that are fetched from now on."""
    keys: list[str] = []
    really = S3Store.open

    def counting(store: S3Store, key: str) -> BinaryIO:
        if not key.startswith(OWN_PREFIX):
            keys.append(key)
        return really(store, key)

    monkeypatch.setattr(S3Store, "open", counting)
    return keys


def rows(store: S3Store, cache: Path | None) -> list[Listed]:
    """What a listing says; it has no findings."""
    listing = list_backups(store, cache)
    assert listing.findings == ()
    return list(listing.rows.as_list())


def read_anew(store: S3Store) -> list[Listed]:
    """What the objects say."""
    return [listed(backup) for backup in read_catalogue(store).backups]


def test_only_what_changed_is_fetched(
    new_store: NewStore, weed: Weed, tmp_path: Path, opened: list[str]
) -> None:
    """The first listing fetches all small objects, a later one those of backups that are new or altered, and forgets the gone."""
    store, cache = new_store(), tmp_path / "cache"
    backups = [looked_at(stored_backup(store, DAY + timedelta(days=number))) for number in range(4)]
    stored_backup(store, DAY + timedelta(days=9), files=3)
    assert rows(store, cache) == read_anew(store)
    opened.clear()
    assert len(rows(store, cache)) == 5
    assert opened == []
    store.delete(manifest_key(backups[0].name))
    looked_at(backups[1], action="drill")
    folder, name = store.options.folder, manifest_key(backups[2].name)
    client, place = weed.client(), {"Bucket": store.options.bucket, "Key": f"{folder}{name}"}
    content = client.get_object(**place)["Body"].read()
    client.put_object(**place, Body=content.replace(b'"scope": "full"', b'"scope": "fulL"'))
    found = list_backups(store, cache)
    assert {key.split(".db")[0] for key in opened} == {item.name[:-3] for item in backups[1:3]}
    assert [item.code for item in found.findings] == ["backup.manifest_invalid", "backup.incomplete"]
    client.put_object(**place, Body=content)
    store.delete(f"{backups[0].name}.checksum")
    assert [item.where for item in list_backups(store, cache).findings] == [backups[0].name]
    store.delete(backups[0].name)
    assert rows(store, cache) == read_anew(store)


def test_in_parts(new_store: NewStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut at known names into parts that are asked for at once, a bucket lists each name once: new ones, odd ones, all."""
    monkeypatch.setattr(pages, "_WORTH_A_THREAD", 3)
    store = new_store()
    known = [f"b-{number:02}.json" for number in range(20)]
    odd = ["a first.json", "b-05.json.more.json", "z&last <\u00e9>.json", "b-07.db", "c+d.json"]
    for key in [*known, *odd]:
        put(store, key, b"x")
    stored_backup(store, DAY, files=2)
    expected = sorted({top_name(stored.key) for stored in store.list()})
    for names in ([], known, known[::-1], known[:5], [f"a{number}.json" for number in range(50)]):
        found = store.stamps(".json", lambda names=names: names)  # type: ignore[misc]
        assert sorted([*found.keys, *found.others]) == expected
        assert list(found.keys) == sorted(found.keys)
        assert all(key.endswith(".json") for key in found.keys)
        stamps = by_key(found.keys, found.numbers())
        assert len(stamps) == len(found.keys)
        assert packed(UNSETTLED) not in stamps.values()


def test_more_than_a_page(new_store: NewStore) -> None:
    """What fills several pages is listed whole, and each object has its size."""
    store = new_store()
    connection = store._connection
    for number in range(25):
        put(store, f"k{number:02}", b"x" * number)
    found = [
        item
        for page in connection.pages(Prefix=store.options.folder, MaxKeys=10)
        for item in page["Contents"]
    ]
    assert [item["Size"] for item in found] == list(range(25))
    assert {stored.key: stored.size for stored in store.list()} == {f"k{n:02}": n for n in range(25)}


def _page(body: bytes, status: int = 200) -> tuple[dict[str, Any], dict[str, Any]]:
    answer: dict[str, Any] = {"status_code": status, "body": body}
    taken: dict[str, Any] = {}
    page.parse_contents(answer, taken)
    return answer, taken


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (b"", "an empty answer"),
        (b"<no", "breaks off"),
        (b"<!DOCTYPE html><p>", "an HTML page"),
        (b'<html xmlns="http://www.w3.org/1999/xhtml"><body/></html>', "an HTML page"),
        (b"<Login/>", "of the kind 'Login'"),
        (b'<?xml version="1.0" encoding="no-such"?><ListBucketResult/>', "is no XML"),
        (
            b"<ListBucketResult><Contents><Key>x</Key></Contents></ListBucketResult>",
            "without a name or a size",
        ),
        (
            b"<ListBucketResult><Contents><Size>1</Size></Contents></ListBucketResult>",
            "without a name or a size",
        ),
        (
            b"<ListBucketResult><Contents><Key>x</Key><Size>-1</Size></Contents></ListBucketResult>",
            "without a name or a size",
        ),
    ],
)
def test_what_is_no_page_is_an_error(body: bytes, what: str) -> None:
    """An answer that is no page of objects is an error of the server's, which says what it is instead."""
    answer, taken = _page(body)
    assert (answer["status_code"], taken) == (500, {})
    assert what in answer["body"].decode()


@pytest.mark.parametrize(("body", "status"), [(b"<Error/>", 200), (b"<Error/>", 403), (b"<html/>", 502)])
def test_an_error_stays(body: bytes, status: int) -> None:
    """What says itself that it is an error is left to botocore as it came."""
    assert _page(body, status) == ({"status_code": status, "body": body}, {})


def test_an_object_without_a_tag() -> None:
    """Where a server tells no tag, size and time are not enough to say that an object is the same."""
    body = b"<Key>a&amp;b</Key><Size>3</Size><Owner><ID>i</ID></Owner>"
    body = b'<ListBucketResult xmlns="n"><Contents>' + body + b"</Contents></ListBucketResult>"
    ((entry,),) = (_page(body)[1]["Contents"],)
    assert entry == {"Key": "a&b", "Size": 3, "ETag": "", "LastModified": ""}
    assert pages._stamp(entry) == UNSETTLED
    assert pages._stamp({**entry, "ETag": '"t"'}) != pages._stamp({**entry, "ETag": '"u"'})


def test_a_server_that_is_gone(new_store: NewStore, tmp_path: Path) -> None:
    """What was remembered is not shown for a bucket that cannot be listed: the error is."""
    store, cache = new_store(), tmp_path / "cache"
    stored_backup(store, DAY)
    rows(store, cache)
    gone = new_store(identity="stranger")
    assert gone.location == store.location
    with pytest.raises(OpsError) as caught:
        list_backups(gone, cache)
    assert caught.value.code == "store.refused"


@pytest.mark.parametrize("count", [1_100, pytest.param(100_000, marks=pytest.mark.faults_long)])
@pytest.mark.timeout(3600)  # a hundred thousand objects are written first
def test_no_verb_about_backups_enumerates_what_is_no_backup(
    new_store: NewStore,
    weed: Weed,
    source: SqliteSource,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    count: int,
) -> None:
    """However many keys lie below `.drillbook/`, no page of them is asked for by a backup, a listing, a look or a prune."""
    store = new_store()
    client, folder = weed.client(), store.options.folder
    with ThreadPoolExecutor(8) as pool:
        put_one = functools.partial(client.put_object, Bucket=store.options.bucket, Body=b"{}")
        list(pool.map(lambda n: put_one(Key=f"{folder}{OWN_PREFIX}wal/{n:06}"), range(count)))
    seen: list[str] = []
    really = Connection.pages

    def watched(self: Connection, **parameters: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - list_objects_v2's
        for answer in really(self, **parameters):
            seen.extend(found["Key"].removeprefix(folder) for found in answer.get("Contents", ()))
            yield answer

    monkeypatch.setattr(Connection, "pages", watched)
    repository = Repository(store=store, scratch=tmp_path)
    backup = take_backup(source, repository, BackupRequest(), Job()).backup
    assert [item.name for item in read_catalogue(store).backups] == [backup.name]
    assert len(rows(store, tmp_path / "cache")) == 1
    assert find_backup(store, "latest").name == backup.name
    look = VerifyRequest(Level.FULL, tmp_path / "scratch")
    assert verify_backup(backup, source, look, Job()).verdict is Verdict.PASSED
    prune(repository, PruneRequest(whose=whose(source), policy=Policy(keep_last=1)), Job())
    assert not [key for key in seen if key.startswith(f"{OWN_PREFIX}wal/")]
    assert len(list(store.list(OWN_PREFIX))) == count + 1
