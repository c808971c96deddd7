"""Whether the pages of one listing belong to it, are in order, and come to an end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote_plus

from ops.errors import StoreError

if TYPE_CHECKING:
    from ops.stores.s3.connection import Connection

_MOST_EMPTY: Final = 100
"""Pages one after the other without any name: servers pass over what was deleted in that way."""
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
        self._seen: set[int] = set()

    def take(self, page: dict[str, Any]) -> None:
        """Look at the next page; raises StoreError (`store.bad_listing`) when the listing cannot be believed."""
        self._require_ours(page)
        contents = [item["Key"] for item in page.get("Contents", ())]
        folders = [item["Prefix"] for item in page.get("CommonPrefixes", ())]
        for name in (*contents, *folders):
            if not name.startswith(self._prefix):
                raise self.bad("names that do not begin with what was asked for")
        if not contents and not folders:
            self._empty += 1
            if self._empty > _MOST_EMPTY:
                raise self.bad(f"{_MOST_EMPTY} pages in a row without any name, and no end")
            return
        self._empty = 0
        self._require_news(contents, folders)

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
        """Note the names; raises when they are out of order and all of them came before."""
        firsts = [names[0] for names in (contents, folders) if names]
        lasts = [names[-1] for names in (contents, folders) if names]
        sorted_each = contents == sorted(contents) and folders == sorted(folders)
        if self.in_order and sorted_each and min(firsts) > self._last:
            self._last = max(lasts)
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
