"""Pages of a long listing: several at once, and read in a tenth of the time that botocore takes for it."""

from __future__ import annotations

import hashlib
import struct
from array import array
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, pairwise
from operator import itemgetter
from typing import TYPE_CHECKING, Final

from ops.errors import StoreError
from ops.ports.stamps import ABSENT, NOT_A_FILE, UNSETTLED, Stamp, Stamps
from ops.stores.s3.keys import is_key
from ops.stores.s3.page import Entry
from ops.stores.s3.page_order import PageOrder

if TYPE_CHECKING:
    from ops.stores.s3.connection import Connection

_WORTH_A_THREAD: Final = 4_000
"""Keys; a page has a thousand."""


class _NoOrderError(Exception):
    """The pages of a listing are not in the order of the names."""


def visible(connection: Connection) -> Iterator[Entry]:
    """Yield the objects of the store but for those whose keys begin with a dot, which are passed over unseen.

    In the order of a bucket all of them stand together: two listings lead around them. Where one of them turns out to
    have no order, what comes before the dot is looked for in a listing of everything.
    """
    folder = connection.options.folder
    before, around = PageOrder(connection, folder), PageOrder(connection, folder)
    told: set[str] = set()
    if _first_key(connection, folder) < f"{folder}.":
        for found in _contents(connection, before, Prefix=folder):
            if found["Key"] >= f"{folder}.":
                break
            told.add(found["Key"])
            yield found
    # Not "/", the first name behind them: servers that keep files take that for a folder and begin anew (SeaweedFS 4.48).
    for found in _contents(connection, around, Prefix=folder, StartAfter=f"{folder}.~"):
        # Asked of each, too: there are servers that do not know StartAfter.
        if found["Key"] >= f"{folder}/":
            yield found
    if not (before.in_order and around.in_order):
        for found in connection.objects(folder):
            if found["Key"] < f"{folder}." and found["Key"] not in told:
                yield found


def _first_key(connection: Connection, folder: str) -> str:
    """The first name of the bucket's order; any where there is no order, and one behind all where there is none."""
    if connection.takes_small_pages:
        try:
            for page in connection.pages(Prefix=folder, MaxKeys=1):
                if contents := page.get("Contents", ()):
                    return str(contents[0]["Key"])
            return f"{folder}~"
        except StoreError as error:
            # There are servers that fail when they are asked for fewer names than usual (s3rver 3.7).
            if error.code != "store.unreadable":
                raise
            connection.takes_small_pages = False
    return next((str(found["Key"]) for found in connection.objects(folder)), f"{folder}~")


def _contents(connection: Connection, order: PageOrder, **parameters: str) -> Iterator[Entry]:
    for page in connection.pages(order=order, **parameters):
        yield from page.get("Contents", ())


def top_stamps(connection: Connection, suffix: str, known: Callable[[], Sequence[str]]) -> Stamps:
    """The stamps of the objects at the top of the store: size, and a digest of their tags and times.

    What else is there are also the folders, those that are not whole among them.
    """
    prefix = connection.options.folder
    keys: list[str] = []
    others: list[str] = []
    numbers = array("Q")
    sizes: dict[str, int] = {}
    for found in _top_objects(connection, [prefix + key for key in sorted(known())]):
        key = found["Key"].removeprefix(prefix).removesuffix("/")
        if not is_key(key) or key.startswith("."):
            continue
        sizes[key] = found.get("Size", NOT_A_FILE)
        if "Size" not in found or not key.endswith(suffix):
            others.append(key)
            continue
        keys.append(key)
        numbers.extend(_stamp(found))
    return Stamps(keys, others, numbers.tobytes, lambda names: [sizes.get(name, ABSENT) for name in names])


def _stamp(found: Entry) -> Stamp:
    """None of its own for an object without a tag: size and time alone say too little."""
    if not found["ETag"].strip('"'):
        return UNSETTLED
    about = hashlib.sha256(f"{found['ETag']} {found['LastModified']}".encode()).digest()
    return (found["Size"], *struct.unpack("<4Q", about))


def _top_objects(connection: Connection, known: Sequence[str]) -> list[Entry]:
    """Return them in the order of their names.

    The bucket is cut where known names lie; what is new is found in one of the parts. A server without an order cannot
    be asked for parts: there all is listed once more, plainly.
    """
    try:
        return _in_parts(connection, known)
    except _NoOrderError:
        pages = connection.pages(Prefix=connection.options.folder, Delimiter="/")
        return sorted(chain.from_iterable(map(_entries, pages)), key=itemgetter("Key"))


def _in_parts(connection: Connection, known: Sequence[str]) -> list[Entry]:
    most = connection.options.parallel
    count = max(1, min(most, len(known) // _WORTH_A_THREAD))
    cuts = ["", *(known[number * len(known) // count] for number in range(1, count)), None]
    pool = ThreadPoolExecutor(count, "s3-list")
    try:
        parts = pool.map(lambda ends: _between(connection, *ends), pairwise(cuts))
        return list(chain.from_iterable(parts))
    finally:
        pool.shutdown(cancel_futures=True)


def _between(connection: Connection, after: str | None, last: str | None) -> list[Entry]:
    """Return the objects whose names come after `after`, to `last` with it included. Raises _NoOrderError."""
    found: list[Entry] = []
    order = PageOrder(connection, connection.options.folder)
    parameters = {"Prefix": connection.options.folder, "Delimiter": "/", "StartAfter": after or ""}
    for page in connection.pages(order=order, **parameters):
        if not order.in_order:
            raise _NoOrderError
        entries = _entries(page)
        found += entries
        if last is not None and entries and max(item["Key"] for item in entries) > last:
            break
    # Asked of each, too: there are servers that do not know StartAfter.
    return [item for item in found if (after or "") < item["Key"] and (last is None or item["Key"] <= last)]


def _entries(page: Entry) -> list[Entry]:
    """Return the objects of a page, and its folders as entries that have nothing but a name."""
    return [*page.get("Contents", ()), *({"Key": each["Prefix"]} for each in page.get("CommonPrefixes", ()))]
