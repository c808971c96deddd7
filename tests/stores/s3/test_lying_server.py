"""The driver before servers that lie: what it does without, what it looks at twice, what it takes away, what it says."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from ops.errors import OpsError
from ops.fsio.growing_file import GrowingFile
from ops.run.progress import silent
from ops.stores.s3 import folder as folders
from ops.stores.s3 import list_pages, stored, upload
from ops.stores.s3.store import S3Store
from ops.units import Size
from tests.histories import put
from tests.stores import lies
from tests.stores.conftest import NewStore
from tests.stores.lying import Answer, Forward, Liar, Lie, Request, liar_before
from tests.stores.s3.test_store import MIB, made_file
from tests.stores.seaweed import Weed

pytestmark = pytest.mark.long

Make = Callable[..., S3Store]


@pytest.fixture(scope="module")
def before(weed: Weed) -> Iterator[tuple[Liar, str]]:
    """A liar before the server, and its address."""
    with liar_before(weed.port) as both:
        yield both


@pytest.fixture
def liar(before: tuple[Liar, str]) -> Liar:
    """The liar, which tells the truth."""
    before[0].tell()
    return before[0]


@pytest.fixture
def make(new_store: NewStore, before: tuple[Liar, str]) -> Make:
    """Makes stores behind the liar, whose large files have parts of 5 MiB."""
    return lambda **more: new_store(
        **{"endpoint_url": before[1], "retries": 0, "part_size": Size(5 * MIB), **more}
    )


def raised(action: Callable[[], object]) -> OpsError:
    """The error that it ends with."""
    with pytest.raises(OpsError) as caught:
        action()
    return caught.value


def made_folder(place: Path, *contents: str) -> Path:
    """A folder with files of these contents."""
    place.mkdir()
    for number, content in enumerate(contents):
        (place / f"f{number}").write_text(content)
    return place


SIZES = [1000, 11 * MIB]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "lie",
    [
        lies.condition_not_offered,
        lies.checksums_not_offered,
        lies.checksums_invalid,
        lies.checksums_unsupported,
        lies.nothing_newer,
        lies.no_uploads_listed,
    ],
)
def test_what_a_server_lacks_is_done_without(
    make: Make, liar: Liar, tmp_path: Path, lie: Lie, size: int
) -> None:
    """Small and large files are stored whole, a name that is taken is refused, and the refusal is asked for once."""
    store, file = make(), made_file(tmp_path, size)
    liar.tell(lie)
    store.put("a.db", file)
    store.put("b.db", file)
    last = [asked for asked in liar.seen if asked.endswith("b.db") and asked.startswith(("PUT", "BEGIN"))]
    assert len(last) == 1
    assert raised(lambda: store.put("a.db", made_file(tmp_path, size, "other"))).code == "refused.name_taken"
    with store.open("a.db") as stored:
        assert stored.read() == file.read_bytes()


def test_damage_on_the_way_is_refused_by_md5(make: Make, liar: Liar, tmp_path: Path) -> None:
    """Where SHA-256 is not known the server compares MD5: what was damaged on the way is not stored."""

    def damage(request: Request, forward: Forward) -> Answer:
        if "content-md5" not in request.headers:
            return lies.checksums_not_offered.rewrite(request, forward)
        return forward(replace(request, body=b"x" * len(request.body), altered=True))

    liar.tell(Lie(frozenset(("PUT",)), damage))
    store = make()
    assert raised(lambda: store.put("a.db", made_file(tmp_path, 10))).code == "store.checksum_refused"
    liar.tell()
    assert list(store.list()) == []


def test_a_refusal_for_another_reason_costs_nothing(make: Make, liar: Liar, tmp_path: Path) -> None:
    """An invalid request that stays so is told with what was tried; the condition is never given up for it."""
    liar.tell(lies.refusal(400, "InvalidRequest", "no lock here", "PUT"))
    store = make()
    error = raised(lambda: store.put("a.db", made_file(tmp_path, 10)))
    assert (error.code, "InvalidRequest" in error.message, "Content-MD5" in error.message) == (
        "store.unwritable",
        True,
        True,
    )
    assert store._connection.ways.conditions
    assert store._connection.ways.checksums


@pytest.mark.parametrize("size", SIZES)
def test_a_loser_leaves_the_winners_object(
    make: Make, liar: Liar, weed: Weed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """Where the condition is ignored and another writer's object is found in the end, it stays as it is."""
    store, winner = make(), b"the winner's"
    where = {"Bucket": store.options.bucket, "Key": f"{store.options.folder}a.db"}
    really = stored.require_stored

    def overtaken(*given: object, **more: object) -> None:
        if str(given[1]).endswith("/a.db"):
            weed.client().put_object(**where, Body=winner, Metadata={"drillbook-writer": "another"})
        really(*given, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(upload, "require_stored", overtaken)
    liar.tell(lies.condition_ignored)
    assert raised(lambda: store.put("a.db", made_file(tmp_path, size))).code == "refused.name_taken"
    assert weed.client().get_object(**where)["Body"].read() == winner


def test_a_folder_that_fails_leaves_what_others_put(
    make: Make, liar: Liar, weed: Weed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When a folder cannot be put, only those of its files are removed that still carry our own label."""
    store = make()
    client, bucket, prefix = weed.client(), store.options.bucket, store.options.folder

    def replaced(*_: object) -> None:
        client.put_object(Bucket=bucket, Key=f"{prefix}a.pg/f0", Body=b"theirs")
        raise OpsError("no", code="store.checksum_refused")

    monkeypatch.setattr(folders, "require_all", replaced)
    raised(lambda: store.put("a.pg", made_folder(tmp_path / "folder", "x", "y")))
    left = [item["Key"] for item in client.list_objects_v2(Bucket=bucket, Prefix=prefix)["Contents"]]
    assert left == [f"{prefix}a.pg/f0"]


@pytest.mark.parametrize("lie", [lies.answer_lost, lies.error_after_success])
@pytest.mark.parametrize("size", SIZES)
def test_a_final_answer_that_is_lost(make: Make, liar: Liar, tmp_path: Path, lie: Lie, size: int) -> None:
    """What was done though its answer says otherwise is found, checked, and a success."""
    store, file = make(), made_file(tmp_path, size)
    liar.tell(lie)
    store.put("a.db", file)
    growing = GrowingFile(file, size)
    growing.finish()
    assert store.put_growing("b.db", growing) == hashlib.sha256(file.read_bytes()).hexdigest()
    liar.tell()
    for key in ("a.db", "b.db"):
        assert store.get(key, tmp_path / f"back-{key}", silent)
    assert store.abort_stale_uploads(timedelta(0)) == []


def test_an_error_inside_success(make: Make, liar: Liar, tmp_path: Path) -> None:
    """An upload whose last request fails in an answer of status 200 is no success, and leaves nothing."""
    store, file = make(), made_file(tmp_path, 11 * MIB)
    liar.tell(lies.error_in_success)
    assert raised(lambda: store.put("a.db", file)).code == "store.unwritable"
    liar.tell()
    assert (list(store.list()), store.abort_stale_uploads(timedelta(0))) == ([], [])


def test_a_put_that_is_swallowed(make: Make, liar: Liar, tmp_path: Path) -> None:
    """A server that says stored and stores nothing is told before put returns."""
    liar.tell(lies.swallowed_put)
    error = raised(lambda: make().put("a.db", made_file(tmp_path, 10)))
    assert (error.code, "it is not there" in error.message) == ("store.not_stored", True)


def test_a_put_that_is_seen_a_moment_later(make: Make, liar: Liar, tmp_path: Path) -> None:
    """A server that tells of a new object only after a moment is waited for."""
    liar.tell(lies.not_seen_yet, times=3)
    store = make()
    store.put("a.db", made_file(tmp_path, 10))
    assert [found.size for found in store.list()] == [10]


@pytest.mark.parametrize("lie", [lies.wants_md5, lies.no_removal_together, lies.no_such_method])
def test_many_are_removed_one_by_one(make: Make, liar: Liar, tmp_path: Path, lie: Lie) -> None:
    """Where many cannot be removed by one request each is removed alone, and it is asked for once."""
    store = make()
    store.put("a.pg", made_folder(tmp_path / "a", "x", "y", "z"))
    store.put("b.pg", made_folder(tmp_path / "b", "x", "y", "z"))
    liar.tell(lie)
    store.delete("a.pg")
    store.delete("b.pg")
    assert len([asked for asked in liar.seen if asked == "DELETE_MANY"]) == 1
    liar.tell()
    assert list(store.list()) == []


@pytest.mark.parametrize("lie", [lies.swallowed_delete, lies.html_for_a_removal, lies.error_in_success])
def test_nothing_is_called_removed_that_is_there(make: Make, liar: Liar, tmp_path: Path, lie: Lie) -> None:
    """A removal that was only said to be done is an error, of a file and of a folder."""
    store = make()
    store.put("a.db", made_file(tmp_path, 10))
    store.put("a.pg", made_folder(tmp_path / "folder", "x", "y"))
    liar.tell(lie)
    for key in ("a.db", "a.pg") if lie is not lies.error_in_success else ("a.pg",):
        assert raised(lambda key=key: store.delete(key)).code in {"store.unwritable", "store.bad_answer"}  # type: ignore[misc]


def test_a_redirect_says_where_it_leads(make: Make, liar: Liar) -> None:
    """Region and host are named, a user, a password and a token in the address are not."""
    for lie, where in (
        (lies.other_region, "region eu-central-2"),
        (lies.login_page, "login.example.org"),
        (lies.other_address, "s3.example.org:9000"),
    ):
        liar.tell(lie)
        store = make()
        for attempt in (lambda store=store: list(store.list()), lambda store=store: store.open("a.db")):
            error = raised(attempt)
            assert (error.code, where in error.message) == ("store.redirected", True), error.message
            assert "secret" not in f"{error} {error.hint}"


def test_a_bucket_without_order_is_listed_whole(
    make: Make, liar: Liar, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plainly, in parts and by name, each object is found once, whatever order the pages have."""
    monkeypatch.setattr(list_pages, "_WORTH_A_THREAD", 3)
    store, names = make(), [f"b-{number:02}.json" for number in range(20)]
    for name in (*names, "-first.json", ".drillbook/x"):
        put(store, name, b"x")
    expected = sorted([*names, "-first.json"])
    for order in ((), (lies.without_order,)):
        liar.tell(*order)
        assert sorted(found.key for found in store.list()) == expected
        assert list(store.stamps(".json", lambda: names).keys) == expected
        assert [found.key for found in store.list("b-07.json")] == ["b-07.json"]
        assert raised(lambda: put(store, "b-07.json", b"y")).code == "refused.name_taken"


@pytest.mark.parametrize(
    "lie", [lies.same_token_for_ever, lies.new_tokens_for_ever, lies.empty_pages_for_ever]
)
def test_a_listing_without_end_ends(make: Make, liar: Liar, lie: Lie) -> None:
    """A listing that brings nothing new ends after a hundred pages at most, by name and in parts as well."""
    store = make()
    put(store, "a.json", b"x")
    for attempt in (
        lambda: list(store.list()),
        lambda: store.stamps(".json", lambda: ["a.json"]),
        lambda: list(store.list("a")),
    ):
        liar.tell(lie)
        assert raised(attempt).code == "store.bad_listing"
        assert len(liar.seen) < 210


def test_what_came_instead_of_a_listing_is_told(make: Make, liar: Liar) -> None:
    """The message says what it was, and the hint where to look."""
    put(make(), "a.json", b"x")
    for lie, what in (
        (lies.html_for_a_listing, "an HTML page"),
        (lies.xhtml_for_a_listing, "an HTML page"),
        (lies.without_sizes, "without a name or a size"),
        (lies.of_another_bucket, "another bucket"),
        (lies.broken_off, "breaks off"),
        (lies.more_without_a_token, "not how to ask for them"),
    ):
        store = make()
        liar.tell(lie)
        error = raised(lambda store=store: list(store.list()))  # type: ignore[misc]
        assert (error.code, what in error.message) == ("store.bad_listing", True), error.message
        assert "endpoint_url" in error.hint


def test_a_folder_is_put_before_a_listing_of_before(make: Make, liar: Liar, tmp_path: Path) -> None:
    """A listing that does not show the new files yet is no reason to remove them: each is asked for by name."""
    store = make()
    liar.tell(lies.hidden("a.pg/"))
    store.put("a.pg", made_folder(tmp_path / "folder", "x", "y"))
    liar.tell()
    assert sorted(found.key for found in store.list()) == ["a.pg/f0", "a.pg/f1"]


def test_what_a_server_offers_is_tried(make: Make, liar: Liar) -> None:
    """A server that ignores a condition, echoes a checksum or removes only one at a time is seen through; nothing stays."""
    for lie, expected in (
        (None, (True, True, True)),
        (lies.condition_ignored, (False, True, True)),
        (lies.condition_not_offered, (False, True, True)),
        (lies.checksums_not_offered, (True, False, False)),
        (lies.stored_damaged, (True, False, True)),
        (lies.wants_md5, (True, True, False)),
        (lies.swallowed_delete, (True, True, False)),
    ):
        store = make()
        liar.tell(*([] if lie is None else [lie]))
        offers = store.try_offers(".drillbook/try")
        assert (offers.conditions, offers.checksums, offers.together) == expected
        liar.tell()
        if lie is not lies.swallowed_delete:
            assert list(store.list(".drillbook/")) == []


def test_a_tag_that_changes_is_no_content(make: Make, liar: Liar, tmp_path: Path) -> None:
    """A stream whose connection breaks is never continued with an object of which nobody knows that it is the same."""
    store, file = make(retries=2), made_file(tmp_path, MIB)
    store.put("a.db", file)
    for lie, code in ((lies.without_tag, "store.unreachable"), (lies.wrong_tag, "store.changed")):
        liar.tell(lie, lies.cut_in_the_middle)
        assert raised(lambda: store.get("a.db", tmp_path / "back", silent)).code == code


def test_a_server_without_range(make: Make, liar: Liar, tmp_path: Path) -> None:
    """A server that begins anew after a break is read past what is known, and the bytes are the same."""
    store, file = make(retries=4), made_file(tmp_path, MIB)
    store.put("a.db", file)

    def whole_again(request: Request, forward: Forward) -> Answer:
        answer = forward(request.without("range"))
        return answer if "range" in request.headers else replace(answer, cut=len(answer.body) // 2)

    liar.tell(Lie(frozenset(("GET",)), whole_again))
    store.get("a.db", tmp_path / "back", silent)
    assert (tmp_path / "back").read_bytes() == file.read_bytes()


def test_two_writers_where_the_condition_is_not_known(make: Make, liar: Liar, tmp_path: Path) -> None:
    """Of two that write one name one after the other the second is refused, though the server refuses no one."""
    liar.tell(lies.condition_not_offered)
    files = [made_file(tmp_path, 1000, f"w{number}") for number in range(2)]
    with ThreadPoolExecutor(1) as pool:
        pool.submit(make().put, "a.db", files[0]).result()
    assert raised(lambda: make().put("a.db", files[1])).code == "refused.name_taken"
    assert make().open("a.db").read() == files[0].read_bytes()
