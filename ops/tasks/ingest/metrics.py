"""What `metrics`, `logs` and `test-conn` do with their flags."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ops.config.model import ConfiguredSource
from ops.errors import ConfigError, OpsError
from ops.ingest_monitor.history import History
from ops.ingest_monitor.jsonl_history import LinesHistory
from ops.ingest_monitor.metrics import Measured, measure
from ops.ingest_monitor.table_history import TableHistory, examine_index, opened_table
from ops.model.findings import Finding
from ops.report.ingest import (
    ages_document,
    ages_text,
    flat_document,
    metrics_document,
    metrics_line,
    metrics_text,
)
from ops.repository.freshness import BackupAges, ages_of
from ops.repository.integrity import critical
from ops.repository.listing import Listing, list_backups
from ops.sources.sqlite.source import SqliteSource
from ops.tasks.flag_values import number
from ops.tasks.session import Session
from ops.units import format_duration

_SUFFIX = ".SA"
_MOST = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedMetrics:
    """The flags of `metrics`."""

    ticker: str
    limit: str
    offset: str
    flat: bool


def show_metrics(session: Session, wanted: WantedMetrics) -> None:
    """Show each ticker, then each source's backups."""
    if wanted.flat and session.flags.format != "json":
        raise ConfigError("--flat goes with --format json", code="usage.bad_value")
    session.outcome.results_first = True
    offset = number("--offset", wanted.offset)
    limit = number("--limit", wanted.limit) if wanted.limit else None
    now = session.job.clock()
    page = slice(offset, None if limit is None else offset + limit)
    settings = session.config.ingest.settings
    try:
        with opened_history(session) as history:
            measured = measure(history, settings, _meant(wanted.ticker), page, now)
    except OpsError as error:
        if wanted.ticker or not _has_no_history(session):
            session.outcome.fail(error)
        else:
            session.outcome.answer = {"total": 0, "limit": limit, "offset": offset}
    else:
        session.outcome.answer = {"total": measured.total, "limit": limit, "offset": offset}
        _show_tickers(session, measured, format_duration(settings.window.total_seconds()), flat=wanted.flat)
    if not wanted.ticker:
        _show_ages(session, now)


def _has_no_history(session: Session) -> bool:
    """Whether nothing was said of a history, and there is no database of which it would be the table."""
    settings, sources = session.config.ingest.settings, session.config.sources.values()
    if settings.source is not None or settings.log is not None:
        return False
    return not any(isinstance(configured.source, SqliteSource) for configured in sources)


def _show_tickers(session: Session, measured: Measured, window: str, *, flat: bool) -> None:
    outcome = session.outcome
    for item in measured.tickers:
        outcome.add(metrics_document(item), "")
        if outcome.lines is not None:
            outcome.lines.append(json.dumps(flat_document(item)) if flat else metrics_line(item))
    if measured.tickers and outcome.lines is None:
        outcome.text.append(metrics_text(measured.tickers, window))
    outcome.notice(measured.findings)


def _show_ages(session: Session, now: datetime) -> None:
    listings: dict[str, Listing] = {}
    all_ages = []
    for configured in session.config.sources.values():
        try:
            all_ages.append(_ages(session, configured, listings, now))
        except OpsError as error:
            session.outcome.fail(error, configured.name)
    session.outcome.answer = {
        **session.outcome.answer,
        "backups": [ages_document(ages, now) for ages in all_ages],
    }
    if all_ages and session.outcome.lines is None:
        session.outcome.text.append(ages_text(all_ages, now))
    session.outcome.notice([finding for ages in all_ages for finding in ages.findings])


def _ages(
    session: Session, configured: ConfiguredSource, listings: dict[str, Listing], now: datetime
) -> BackupAges:
    store = session.config.home_of(configured)
    if store.name not in listings:
        listings[store.name] = list_backups(store, session.cache)
    return ages_of(session.whose(configured), store, listings[store.name], configured.objectives, now)


@contextlib.contextmanager
def opened_history(session: Session) -> Iterator[History]:
    """Where `[ingest]` says; else the table of the only SQLite source, or of the one that is called `default` or `prices`."""
    settings = session.config.ingest.settings
    if settings.log is not None:
        yield LinesHistory(settings.log, settings.columns)
        return
    with _opened_table(session) as history:
        yield history


def examine_history(session: Session) -> list[Finding]:
    """Whether an index serves `metrics` and `logs`; nothing where no table has such a history."""
    if session.config.ingest.settings.log is not None:
        return []
    try:
        with _opened_table(session) as history:
            return [examine_index(history)]
    except OpsError as error:
        # Who has no such table, or more than one database, has not asked for it; a source that fails is told elsewhere.
        wanted = session.config.ingest.settings.source is not None
        return [critical(error, "ingest")] if wanted else []


@contextlib.contextmanager
def _opened_table(session: Session) -> Iterator[TableHistory]:
    settings = session.config.ingest.settings
    source = _source(session, settings.source)
    timeout_s = source.options.busy_timeout.total_seconds()
    with opened_table(Path(source.options.path), settings, timeout_s) as history:
        yield history


def _source(session: Session, name: str | None) -> SqliteSource:
    sources = {
        configured.name: configured.source
        for configured in session.config.sources.values()
        if isinstance(configured.source, SqliteSource)
    }
    if name is not None and name not in sources:
        raise ConfigError(f"[ingest]: source {name!r} is no SQLite database", code="config.unknown_source")
    candidates = [name] if name else list(sources) if len(sources) == 1 else ["default", "prices"]
    found = next((sources[candidate] for candidate in candidates if candidate in sources), None)
    if found is None:
        hint = f"say which with source, or a file with log, in [ingest]: {', '.join(sources) or 'no SQLite source'}"
        raise ConfigError("which source has the ingest history?", code="config.missing_key", hint=hint)
    return found


def _meant(ticker: str) -> list[str] | None:
    """The names that a ticker may have in the history: programs leave the exchange's suffix away."""
    return [ticker, ticker.removesuffix(_SUFFIX)] if ticker else None
