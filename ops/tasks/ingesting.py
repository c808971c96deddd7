"""What `metrics`, `logs` and `test-conn` do with their flags."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ops.actions.ages import BackupAges, ages_of
from ops.actions.catalogue import Catalogue, read_catalogue
from ops.actions.inspection import critical
from ops.config.model import ConfiguredSource
from ops.errors import ConfigError, OpsError
from ops.evidence import finding_document
from ops.ingest.entry import Entry, wanted_words
from ops.ingest.examining import examine_index
from ops.ingest.history import History, Query
from ops.ingest.instants import moment_of
from ops.ingest.lines import LinesHistory
from ops.ingest.metrics import measure
from ops.ingest.providers import contact
from ops.ingest.table import TableHistory, opened_table
from ops.model import Finding, Severity
from ops.report.ingest import (
    ages_document,
    ages_text,
    contact_document,
    entries_text,
    entry_document,
    metrics_document,
    metrics_text,
)
from ops.report.outcome import exit_code_of
from ops.report.text import findings_text
from ops.sources.sqlite.source import SqliteSource
from ops.tasks.session import Session
from ops.tasks.values import number
from ops.units import format_duration, parse_duration

_SUFFIX = ".SA"
_MOST = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedMetrics:
    """The flags of `metrics`."""

    ticker: str
    limit: str
    offset: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedLogs:
    """The flags of `logs`."""

    ticker: str
    since: str
    status: str
    limit: str
    offset: str


def show_metrics(session: Session, wanted: WantedMetrics) -> None:
    """Each ticker, then each source's backups."""
    offset = number("--offset", wanted.offset)
    limit = number("--limit", wanted.limit) if wanted.limit else None
    now = session.job.clock()
    page = slice(offset, None if limit is None else offset + limit)
    settings = session.config.ingest.settings
    try:
        with opened_history(session) as history:
            measured = measure(history, settings, _meant(wanted.ticker), page, now)
    except OpsError as error:
        session.outcome.fail(error)
    else:
        session.outcome.answer = {"total": measured.total, "limit": limit, "offset": offset}
        for item in measured.tickers:
            session.outcome.add(metrics_document(item), "")
        window = format_duration(settings.window.total_seconds())
        if measured.tickers:
            session.outcome.text.append(metrics_text(measured.tickers, window))
        session.outcome.notice(measured.findings)
    if not wanted.ticker:
        _show_ages(session, now)


def _show_ages(session: Session, now: datetime) -> None:
    catalogues: dict[str, Catalogue] = {}
    all_ages = []
    for configured in session.config.sources.values():
        try:
            all_ages.append(_ages(session, configured, catalogues, now))
        except OpsError as error:
            session.outcome.fail(error, configured.name)
    session.outcome.answer = {
        **session.outcome.answer,
        "backups": [ages_document(ages, now) for ages in all_ages],
    }
    if all_ages:
        session.outcome.text.append(ages_text(all_ages, now))
    session.outcome.notice([finding for ages in all_ages for finding in ages.findings])


def _ages(
    session: Session, configured: ConfiguredSource, catalogues: dict[str, Catalogue], now: datetime
) -> BackupAges:
    store = session.config.home_of(configured)
    if store.name not in catalogues:
        catalogues[store.name] = read_catalogue(store)
    return ages_of(configured.name, store.name, catalogues[store.name], configured.objectives, now)


def show_logs(session: Session, wanted: WantedLogs) -> None:
    """A page of entries; failures that were asked for and found are a warning."""
    limit, offset = number("--limit", wanted.limit), number("--offset", wanted.offset)
    if limit > _MOST:
        raise ConfigError(
            f"--limit {limit} is more than {_MOST}", code="usage.bad_value", hint="use --offset"
        )
    since = None if not wanted.since else _since(wanted.since, session.job.clock())
    words = wanted_words(wanted.status) if wanted.status else None
    with opened_history(session) as history:
        ticker = _known(history, wanted.ticker)
        query = Query(ticker=ticker, since=since, words=words, limit=limit, offset=offset)
        entries = history.newest(query)
        findings = list(history.findings)
    session.outcome.answer = {"limit": limit, "offset": offset}
    for entry in entries:
        session.outcome.add(entry_document(entry), "")
    session.outcome.text.append(entries_text(entries) if entries else "No entries.")
    session.outcome.notice([*findings, *_failures(entries, asked=words is not None)])


def _failures(entries: Sequence[Entry], *, asked: bool) -> list[Finding]:
    failed = [entry for entry in entries if entry.succeeded is False]
    if not asked or not failed:
        return []
    tickers = sorted({entry.ticker or "?" for entry in failed})
    shown = ", ".join(tickers[:5]) + (f" and {len(tickers) - 5} more" if len(tickers) > 5 else "")  # noqa: PLR2004 - names
    message = f"{len(failed)} failed jobs on this page: {shown}"
    return [Finding(severity=Severity.WARNING, code="ingest.failures", message=message)]


def try_provider(session: Session, name: str) -> None:
    """Ask, and say what it means."""
    asked = contact(session.config.ingest.provider(name))
    text = findings_text(asked.findings, all_of_them=True)
    session.outcome.add(contact_document(asked), text, exit_code_of(asked.findings))
    session.outcome.findings += map(finding_document, asked.findings)


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


def _known(history: History, ticker: str) -> str | None:
    if not ticker or not ticker.endswith(_SUFFIX):
        return ticker or None
    known = history.tickers()
    return ticker if ticker in known else ticker.removesuffix(_SUFFIX)


def _since(text: str, now: datetime) -> datetime:
    moment = moment_of(text)
    if moment is not None:
        return moment
    try:
        return now - parse_duration(text)
    except (ValueError, OverflowError) as error:
        hint = "a date like 2026-03-01, a time like 2026-03-01T08:00:00Z, or an age like 7d"
        raise ConfigError(f"--since {text!r} is no time", code="usage.bad_value", hint=hint) from error
