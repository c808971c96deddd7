"""What every history of ingest jobs can be asked, whatever keeps it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from ops.ingest_monitor.entry import Entry
from ops.model.findings import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Which entries: of a ticker, since a moment, with a status of these words; how many, and how many of the newest not."""

    ticker: str | None = None
    since: datetime | None = None
    words: frozenset[str] | None = None
    limit: int = 100
    offset: int = 0


class History(Protocol):
    """The log of ingest jobs. Methods raise SourceError when it cannot be read, and never change it."""

    @property
    def findings(self) -> Sequence[Finding]:
        """What was noticed while it was read: columns that are not there, lines that are none."""

    def tickers(self) -> list[str]:
        """All tickers that have entries, sorted."""

    def last_successes(self, tickers: Sequence[str]) -> Mapping[str, Entry]:
        """The newest job of each ticker that ended well; nothing for one that has none."""

    def since(self, tickers: Sequence[str], moment: datetime) -> Iterator[Entry]:
        """The entries of these tickers since then, in no order, and those that name no ticker."""

    def newest(self, query: Query) -> list[Entry]:
        """The entries that are asked for, newest first; those without any time last."""


def newest_first(entries: list[Entry], query: Query) -> list[Entry]:
    """The page of `entries` that is asked for."""
    timed = [(entry.begun, entry) for entry in entries if entry.begun is not None]
    timed.sort(key=lambda pair: pair[0], reverse=True)
    untimed = [] if query.since else [entry for entry in entries if entry.begun is None]
    return [*(entry for _, entry in timed), *untimed][query.offset : query.offset + query.limit]


def is_wanted(entry: Entry, query: Query) -> bool:
    """Whether an entry is among those that are asked for."""
    if query.ticker is not None and entry.ticker != query.ticker:
        return False
    if query.words is not None and (entry.status or "").strip().lower() not in query.words:
        return False
    return query.since is None or (entry.begun is not None and entry.begun >= query.since)
