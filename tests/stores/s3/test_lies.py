"""Every lie through every verb: nothing is called good that was not read and is right, and nothing good is lost."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

import pytest

from tests.stores import lies
from tests.stores.lying import Liar, Lie, liar_before
from tests.stores.s3.lying_site import Site, Template, copied, filled
from tests.stores.seaweed import Weed

pytestmark = pytest.mark.long

VERBS: Final = {
    "quick": ("backup.verify", "bucket:latest", "--source", "prices"),
    "full": ("backup.verify", "bucket:latest", "--source", "prices", "--level", "full"),
    "drill": ("backup.drill", "--from", "bucket:latest", "--source", "prices"),
    "list": ("backup.list", "--source", "prices"),
    "pull": ("store.pull", "bucket:latest", "--source", "prices", "--store", "back"),
    "prune": ("backup.prune", "--source", "prices", "--yes"),
    "create": ("backup.create", "--source", "prices"),
    "push": ("store.push", "--source", "notes"),
}
LOOKS: Final = ("quick", "full", "drill")
READING: Final = (*LOOKS, "list", "pull")
WRITING: Final = ("quick", "prune", "create", "push")
ALL: Final = tuple(VERBS)
MOST: Final = ("full", "list", "prune", "create", "push")
PAYLOAD, MANIFEST, ANY = ".db", ".db.manifest.json", ""
Words = dict[str, str]


@dataclass(frozen=True)
class Row:
    """A lie, what the verbs say that are tried under it, and how the keys end that it is about.

    `lie` may be made of the name of the newest backup. `times`, `retries`: how often it is told, and how often the store
    asks again.
    """

    lie: Lie | Callable[[str], Lie]
    verbs: tuple[str, ...]
    says: Words = field(default_factory=dict)
    about: str = ANY
    times: int = -1
    retries: int = 0

    def expected(self, verb: str) -> str:
        """What is said; what is not told apart is what is said where nothing is wrong."""
        return self.says.get(verb, "0 passed" if verb in LOOKS else "0")


def everywhere(code: str, **other: str) -> Words:
    """Every verb ends with that code; a copy that is missing is a warning."""
    return {**dict.fromkeys(ALL, f"2 {code}"), "push": "1 copy.failed", **other}


def undecided(code: str) -> Words:
    """The payload could not be looked at: no verdict, and no copy."""
    return {**dict.fromkeys(LOOKS, f"1 inconclusive {code}"), "pull": f"2 {code}"}


def wrong(code: str) -> Words:
    """The payload was read twice, and is wrong."""
    return {**dict.fromkeys(LOOKS, f"2 failed {code}"), "pull": f"2 {code}"}


def once(lie: Lie, about: str = ANY, says: Words | None = None) -> Row:
    """The lie is told once, and the store asks again."""
    return Row(lie, ("full", "pull"), says or {}, about, times=1, retries=1)


def older(newest: str) -> str:
    """The name of a backup that was removed."""
    return newest.replace("backup-2", "backup-1")


NOT_PUT: Final = {"prune": "2 store.not_stored", "create": "2 store.not_stored", "push": "1 copy.failed"}
UNKEPT: Final = dict.fromkeys(LOOKS, "1 passed evidence.not_kept")
UNSEEN: Final = {
    "prune": "2 store.bad_answer",
    "create": "2 store.bad_answer",
    "push": "1 copy.failed",
    **UNKEPT,
}
LISTING: Final = everywhere("store.bad_listing")
ROWS: Final = {
    "the truth": Row(lies.wants_md5, ALL),
    # What is read is wrong, or breaks off.
    "a payload is cut": Row(lies.cut_in_the_middle, READING, undecided("store.unreachable"), PAYLOAD),
    "a manifest is cut": Row(lies.cut_in_the_middle, READING, everywhere("store.unreachable"), MANIFEST),
    "something is cut once": once(lies.cut_in_the_middle),
    "a payload is flipped": Row(lies.one_byte_flipped, READING, wrong("backup.checksum_mismatch"), PAYLOAD),
    "a payload is flipped once": once(lies.one_byte_flipped, PAYLOAD, undecided("store.unstable")),
    "a payload is short": Row(lies.truncated, READING, undecided("store.unstable"), PAYLOAD),
    "a payload is short once": once(lies.truncated, PAYLOAD, undecided("store.unstable")),
    "a manifest is short": Row(lies.truncated, READING, everywhere("backup.manifest_invalid"), MANIFEST),
    "a payload is long": Row(lies.longer, READING, undecided("store.unstable"), PAYLOAD),
    "a payload is empty": Row(lies.empty, READING, undecided("store.unstable"), PAYLOAD),
    "everything is empty": Row(
        lies.empty, (*READING, "prune", "create"), everywhere("store.identity_invalid")
    ),
    "no Range, and cut": Row(lies.without_range, READING, undecided("store.unreachable"), PAYLOAD),
    "no Range, and cut once": once(lies.without_range),
    "a payload is listed and gone": Row(lies.listed_and_gone, READING, undecided("store.unstable"), PAYLOAD),
    # Headers.
    "wrong ETag": Row(lies.wrong_tag, ("full", "pull", "prune", "create")),
    "no ETag": Row(lies.without_tag, ("full", "pull", "prune", "create")),
    "no length": Row(lies.without_length, MOST, everywhere("store.bad_answer")),
    "no length of content": Row(lies.without_length_of_content, READING),
    "HEAD tells another size": Row(
        lies.other_size_in_head,
        MOST,
        {
            **UNSEEN,
            "prune": "2 store.checksum_refused",
            "create": "2 store.checksum_refused",
        },
    ),
    "the clock is an hour off": Row(
        lies.clock_an_hour_off, ("full", "create"), {"create": "1 clock.differs"}
    ),
    # Somebody else answers.
    "HTML for a listing": Row(lies.html_for_a_listing, ALL, LISTING),
    "XHTML for a listing": Row(lies.xhtml_for_a_listing, ALL, LISTING),
    "XHTML for a listing once": once(lies.xhtml_for_a_listing),
    "HTML for a payload": Row(lies.html_for_content, READING, undecided("store.bad_answer"), PAYLOAD),
    "XHTML for a payload": Row(lies.xhtml_for_content, READING, undecided("store.bad_answer"), PAYLOAD),
    "HTML for any content": Row(lies.html_for_content, ALL, everywhere("store.bad_answer")),
    "HTML for a HEAD": Row(lies.html_for_a_head, MOST, UNSEEN),
    "HTML for everything": Row(lies.html_for_everything, ALL, everywhere("store.bad_answer")),
    "HTML for writes": Row(lies.html_for_writes, WRITING, {**NOT_PUT, **UNKEPT}),
    "HTML for a removal": Row(lies.html_for_a_removal, WRITING, {"prune": "2 store.bad_answer"}),
    "another region": Row(lies.other_region, MOST, everywhere("store.redirected")),
    "a login page": Row(lies.login_page, ALL, everywhere("store.redirected")),
    "another address": Row(lies.other_address, MOST, everywhere("store.redirected")),
    # Listings.
    "the same token for ever": Row(lies.same_token_for_ever, MOST, LISTING),
    "new tokens for ever": Row(lies.new_tokens_for_ever, MOST, LISTING),
    "empty pages for ever": Row(lies.empty_pages_for_ever, ("full", "list", "prune"), LISTING),
    "new names for ever": Row(lies.new_names_for_ever, ("full", "list"), LISTING),
    "more, and no token": Row(lies.more_without_a_token, MOST, LISTING),
    "a listing without order": Row(lies.without_order, ALL),
    "a listing without sizes": Row(lies.without_sizes, MOST, LISTING),
    "a listing of another bucket": Row(lies.of_another_bucket, MOST, LISTING),
    "a listing of everything": Row(lies.of_everything, MOST, LISTING),
    "a listing that breaks off": Row(lies.broken_off, MOST, LISTING),
    "a listing that is cut": Row(lies.cut_off, MOST, LISTING),
    "a listing that is cut once": once(lies.cut_off),
    "the newest is not listed yet": Row(lies.hidden, ("prune", "create")),
    "a removed one is still listed": Row(
        lambda newest: lies.still_shown(newest, older(newest)),
        ("full", "prune", "create", "pull"),
        {"prune": "2 store.unstable prune.refused", "create": "1 store.unstable"},
    ),
    "nothing is listed": Row(lies.nothing_there, ALL, LISTING),
    # Writing.
    "a put is swallowed": Row(lies.swallowed_put, WRITING, {**NOT_PUT, **UNKEPT}),
    "a removal is swallowed": Row(lies.swallowed_delete, WRITING, {"prune": "2 store.unwritable"}),
    "the answer is lost": Row(lies.answer_lost, WRITING),
    "an error after success": Row(lies.error_after_success, WRITING),
    "conditions are ignored": Row(lies.condition_ignored, WRITING),
    "conditions are not offered": Row(lies.condition_not_offered, WRITING),
    "checksums are not offered": Row(lies.checksums_not_offered, WRITING),
    "checksums are invalid": Row(lies.checksums_invalid, WRITING),
    "checksums are unsupported": Row(lies.checksums_unsupported, WRITING),
    "nothing newer is known": Row(lies.nothing_newer, WRITING),
    "no removal together": Row(lies.no_removal_together, ("prune",)),
    # The server.
    "too busy": Row(lies.too_busy, MOST, everywhere("store.throttled")),
    "too busy once": once(lies.too_busy),
    "the clocks differ": Row(lies.clocks_differ, MOST, everywhere("store.clock_skew")),
    "the credentials expired": Row(lies.expired, MOST, everywhere("store.credentials_expired")),
    "the server is broken": Row(lies.broken_server, MOST, everywhere("store.unreadable")),
}


@pytest.fixture(scope="module")
def lying(weed: Weed) -> Iterator[tuple[Liar, str]]:
    """A liar before the server, and its address."""
    with liar_before(weed.port) as both:
        yield both


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The keys; and what botocore reads from its own files is read once for all."""
    import botocore.loaders

    monkeypatch.setattr(botocore.loaders, "create_loader", functools.cache(botocore.loaders.create_loader))
    monkeypatch.setenv("LIES_ACCESS", "AK-full")
    monkeypatch.setenv("LIES_SECRET", "SK-full")
    return monkeypatch


_TEMPLATES: dict[str, Template] = {}


@pytest.fixture
def template(
    new_site: Callable[[str], Site], lying: tuple[Liar, str], environment: pytest.MonkeyPatch
) -> Template:
    """Backups that were made and drilled truthfully, by the first test that needs them."""
    liar, url = lying
    if url not in _TEMPLATES:
        liar.tell()
        site = new_site("template")
        environment.setenv("OPS_STATE_DIR", str(site.place / "state"))
        _TEMPLATES[url] = filled(site, site.place, url)
    return _TEMPLATES[url]


@pytest.fixture
def new_site(
    weed: Weed,
    shared_bucket: str,
    lying: tuple[Liar, str],
    tmp_path_factory: pytest.TempPathFactory,
    capfd: pytest.CaptureFixture[str],
) -> Callable[[str], Site]:
    """Makes empty sites."""
    return lambda name: Site(weed, lying[0], shared_bucket, tmp_path_factory.mktemp(name), capfd)


@pytest.mark.parametrize("name", ROWS)
def test_every_verb_under_a_lie(
    name: str,
    template: Template,
    new_site: Callable[[str], Site],
    lying: tuple[Liar, str],
    environment: pytest.MonkeyPatch,
) -> None:
    """Each verb says what was seen, ends, shows no traceback, and leaves the newest backup as it was."""
    row, newest = ROWS[name], template.names["prices"][-1]
    liar, url = lying
    lie = row.lie if isinstance(row.lie, Lie) else row.lie(newest)
    for verb in row.verbs:
        liar.tell()
        site = copied(template, new_site("site"), url, row.retries)
        environment.setenv("OPS_STATE_DIR", str(site.place / "state"))
        environment.setenv("XDG_CACHE_HOME", str(site.place / "cache"))
        liar.tell(lie, times=row.times, about=row.about)
        said = site.run(*VERBS[verb])
        liar.tell()
        assert said.word == row.expected(verb), (verb, said.text)
        assert "Traceback" not in said.text
        assert "secret" not in said.text
        left = site.objects()
        gone = {key for key, value in template.objects.items() if left.get(key) != value}
        may_go = template.names["prices"][0] if (verb, said.code) == ("prune", 0) else newest + ".checks"
        assert {key for key in gone if not key.startswith(may_go)} == set(), verb


def test_what_was_stored_damaged_is_found(
    template: Template,
    new_site: Callable[[str], Site],
    lying: tuple[Liar, str],
    environment: pytest.MonkeyPatch,
) -> None:
    """Where a server echoes a checksum and does not compare it, the next look at the backup is red."""
    liar, url = lying
    site = copied(template, new_site("site"), url)
    environment.setenv("OPS_STATE_DIR", str(site.place / "state"))
    liar.tell(lies.stored_damaged, about=PAYLOAD)
    assert site.run("backup.create", "--source", "prices", "--verify").code == 2
    liar.tell()
    for verb in LOOKS:
        assert site.run(*VERBS[verb]).word == "2 failed backup.checksum_mismatch"
