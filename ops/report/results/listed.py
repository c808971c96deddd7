"""The result of `backup.list`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from ops.report.listing import copy_document, copy_text, listed_document, listed_text
from ops.report.results.result import Document, Result
from ops.repository.listing_row import NOT_WHOLE, Listed, Rows


@dataclass(frozen=True, slots=True)
class Copy:
    """One copy of a backup, and the store that it is in."""

    store: str
    row: Listed


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsListed(Result):
    """The backups of the only store, newest first, each of which is there once. `empty`: what is said where there is none."""

    store: str
    rows: Rows
    now: datetime
    empty: str

    @property
    def number(self) -> int:
        """How many backups."""
        return len(self.rows.column("name"))

    def text(self) -> str:
        """The table. A hundred thousand rows are laid out column by column, without looking at each."""
        return listed_text(self.rows, self.now, empty=self.empty)

    def documents(self) -> Iterator[Document]:
        """One for each backup."""
        return (_document([Copy(self.store, row)]) for row in self.rows.as_list())


@dataclass(frozen=True, slots=True, kw_only=True)
class CopiesListed(Result):
    """The copies of each backup, newest backup first.

    `expected`: the stores in which each source wants its backups; None where there is one store, and the table does not
    name it. `choosy`: stores that may not want every backup. `hosts`: the table has the host and the series of each.
    """

    backups: Sequence[Sequence[Copy]]
    now: datetime
    empty: str
    expected: Mapping[str, Sequence[str]] | None
    choosy: frozenset[str]
    hosts: bool

    @property
    def number(self) -> int:
        """How many backups."""
        return len(self.backups)

    def text(self) -> str:
        """The table."""
        rows = Rows.of([same[0].row for same in self.backups])
        places = (
            None if self.expected is None else [self._places(same, self.expected) for same in self.backups]
        )
        return listed_text(rows, self.now, places, empty=self.empty, hosts=self.hosts)

    def documents(self) -> Iterator[Document]:
        """One for each backup, with its copies."""
        return map(_document, self.backups)

    def _places(self, same: Sequence[Copy], expected: Mapping[str, Sequence[str]]) -> str:
        """How many of its source's stores have it, which stores those are, and whether sealed ones were ever opened."""
        there = _whole_in(same)
        shown = ", ".join(copy_text(copy.store, copy.row) for copy in same)
        wanted = expected.get(same[0].row.source)
        if wanted is None:
            return shown
        # What a store with a policy of its own does not have, it may not want; doctor knows.
        names = [name for name in wanted if name in there or name not in self.choosy]
        return f"{sum(name in there for name in names)} of {len(names)}: {shown}"


def _whole_in(same: Sequence[Copy]) -> list[str]:
    return [copy.store for copy in same if copy.row.verified != NOT_WHOLE]


def _document(same: Sequence[Copy]) -> Document:
    first = same[0]
    return {
        **listed_document(first.store, first.row),
        "stores": _whole_in(same),
        "copies": [copy_document(copy.store, copy.row) for copy in same],
    }
