"""Whether the pages of one listing belong to it, are in order, and come to an end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote_plus

from ops.errors import StoreError

if TYPE_CHECKING:
    from ops.stores.s3.connection import Connection

_MOST_EMPTY: Final = 100
"""Pages one after the other without any name: servers pass over what was deleted in that way."""
_MANY_PAGES: Final = 300
_SPARSE: Final = 10
"""Names on an average page below which so many pages are no listing: a page has a thousand."""
_MOST_NAMES: Final = 20_000_000
"""Names that no store of backups has."""
_HINT: Final = (
    "look at what answers at endpoint_url (a proxy, a login page, an unfinished server); see docs: s3"
)


class PageOrder:
    """What is remembered of the pages of one listing: little, as long as they come in order."""

    def __init__(self, connection: Connection, prefix: str) -> None:
        self.in_order = True
        self._connection, self._prefix = connection, prefix
        self._last = ""
        self._empty = 0
        self._pages = self._names = 0
        self._seen: set[int] = set()

    def take(self, page: dict[str, Any]) -> None:
        """Look at the next page; raises StoreError (`store.bad_listing`) when the listing cannot be believed."""
        self._require_ours(page)
        contents = [item["Key"] for item in page.get("Contents", ())]
        folders = [item["Prefix"] for item in page.get("CommonPrefixes", ())]
        self._require_end(len(contents) + len(folders))
        if contents or folders:
            self._empty = 0
            self._require_news(contents, folders)
            return
        self._empty += 1
        if self._empty > _MOST_EMPTY:
            raise self.bad(f"{_MOST_EMPTY} pages in a row without any name, and no end")

    def _require_end(self, names: int) -> None:
        """Count pages and names; raises when so many of them cannot be a listing, and so have no end."""
        self._pages, self._names = self._pages + 1, self._names + names
        if self._pages > _MANY_PAGES and self._names < _SPARSE * self._pages:
            raise self.bad(f"{self._names} names on {self._pages} pages, and no end,")
        if self._names > _MOST_NAMES:
            raise self.bad(f"more than {_MOST_NAMES} names, and no end,")

    def _require_ours(self, page: dict[str, Any]) -> None:
        told, bucket = page.get("Name"), self._connection.options.bucket
        # The name of an access point stands for a bucket of another name.
        is_alias = ":" in bucket or bucket.endswith("-s3alias")
        if told and told != bucket and not is_alias:
            raise self.bad("another bucket")
        prefix = page.get("Prefix")
        # Servers have been seen that say that they quote it, and do not (SeaweedFS 4.48).
        if prefix and _forms(prefix).isdisjoint(_forms(self._prefix)):
            raise self.bad("another part of the bucket")

    def _require_news(self, contents: list[str], folders: list[str]) -> None:
        """Note the names; raises when one is not below the prefix, or all of them came before."""
        parts = [names for names in (contents, folders) if names]
        are_sorted = all(names == sorted(names) for names in parts)
        # What stands between two names that begin with the prefix begins with it as well.
        asked = [name for names in parts for name in ((names[0], names[-1]) if are_sorted else names)]
        if not all(name.startswith(self._prefix) for name in asked):
            raise self.bad("names that do not begin with what was asked for")
        if self.in_order and are_sorted and min(names[0] for names in parts) > self._last:
            self._last = max(names[-1] for names in parts)
            return
        self.in_order = False
        before = len(self._seen)
        self._seen.update(map(hash, contents), map(hash, folders))
        if len(self._seen) == before:
            raise self.bad("the same names again and again, and no end")

    def next_token(self, page: dict[str, Any], last: str | None) -> str:
        """Return how to ask for the page after `page`, which was asked for with `last`; raises when there is no way."""
        token = page.get("NextContinuationToken")
        if not token:
            raise self.bad("a page that says that there are more, and not how to ask for them")
        if token == last:
            raise self.bad("the same page again and again, and no end")
        return str(token)

    def bad(self, what: str) -> StoreError:
        """Return the error for a listing that cannot be believed."""
        message = f"list the bucket in store {self._connection.store!r}: {what} came instead of a listing"
        return StoreError(message, code="store.bad_listing", hint=_HINT)


def _forms(text: str) -> set[str]:
    return {text, unquote_plus(text)}
