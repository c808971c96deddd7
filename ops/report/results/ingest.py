"""Results of the ingest tasks."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from ops.ingest_monitor.entry import Entry
from ops.ingest_monitor.metrics import TickerMetrics
from ops.model.findings import Finding
from ops.report.ingest import (
    ages_document,
    ages_text,
    contact_document,
    entries_text,
    entry_document,
    flat_document,
    metrics_document,
    metrics_line,
    metrics_text,
)
from ops.report.results.result import Document, Result
from ops.report.text import findings_text
from ops.repository.freshness import BackupAges

if TYPE_CHECKING:
    from ops.ingest_monitor.providers import Contact


@dataclass(frozen=True, slots=True, kw_only=True)
class TickersMeasured(Result):
    """One page of tickers; `total`: how many there are, `window`: over what time their jobs are counted, in words."""

    tickers: Sequence[TickerMetrics]
    total: int
    limit: int | None
    offset: int
    window: str
    flat: bool

    @property
    def number(self) -> int:
        """How many tickers."""
        return len(self.tickers)

    def text(self) -> str:
        """The table; nothing where there are none."""
        return metrics_text(self.tickers, self.window) if self.tickers else ""

    def documents(self) -> Iterator[Document]:
        """One for each ticker."""
        return map(metrics_document, self.tickers)

    def answer(self) -> Document:
        """Which page it is."""
        return {"total": self.total, "limit": self.limit, "offset": self.offset}

    def lines(self) -> Iterator[str]:
        """One for each ticker, as a small object where that was asked for."""
        return (json.dumps(flat_document(item)) if self.flat else metrics_line(item) for item in self.tickers)


@dataclass(frozen=True, slots=True)
class BackupsAged(Result):
    """How old the backups of each source are, and what was promised."""

    sources: Sequence[BackupAges]
    now: datetime

    @property
    def number(self) -> int:
        """None: only tickers are counted."""
        return 0

    def text(self) -> str:
        """The table; nothing where there is no source."""
        return ages_text(self.sources, self.now) if self.sources else ""

    def documents(self) -> Iterator[Document]:
        """None: results are tickers."""
        yield from ()

    def answer(self) -> Document:
        """One value for each source."""
        return {"backups": [ages_document(ages, self.now) for ages in self.sources]}


@dataclass(frozen=True, slots=True)
class EntriesFound(Result):
    """One page of the log of ingest jobs, newest first."""

    entries: Sequence[Entry]
    limit: int
    offset: int

    def text(self) -> str:
        """The table."""
        return entries_text(self.entries) if self.entries else "No entries."

    def documents(self) -> Iterator[Document]:
        """One for each entry."""
        return map(entry_document, self.entries)

    def answer(self) -> Document:
        """Which page it is."""
        return {"limit": self.limit, "offset": self.offset}


@dataclass(frozen=True, slots=True)
class ProviderAsked(Result):
    """Whether a provider answered, and what that means."""

    contact: Contact

    @property
    def found(self) -> tuple[Finding, ...]:
        """What the answer means."""
        return self.contact.findings

    @property
    def beside(self) -> tuple[Finding, ...]:
        """The same: JSON tells them beside the result."""
        return self.contact.findings

    def text(self) -> str:
        """Every finding."""
        return findings_text(self.contact.findings, all_of_them=True)

    def documents(self) -> Iterator[Document]:
        """One."""
        yield contact_document(self.contact)
