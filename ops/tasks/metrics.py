"""What `metrics` does with its flags."""

from __future__ import annotations

from datetime import datetime

from ops.config.model import ConfiguredSource
from ops.errors import ConfigError, NoHistoryError, OpsError
from ops.ingest_monitor.metrics import Measured, measure
from ops.report.results.ingest import BackupsAged, TickersMeasured
from ops.repository.freshness import BackupAges, ages_of
from ops.repository.listing import Listing, list_backups
from ops.tasks.commands import Metrics
from ops.tasks.ingest_history import SUFFIX, opened_history, usual_source
from ops.tasks.session import Session
from ops.units import format_duration


def run(session: Session, wanted: Metrics) -> None:
    """Show each ticker, then each source's backups."""
    if wanted.flat and session.flags.format != "json":
        raise ConfigError("--flat goes with --format json", code="usage.bad_value")
    session.outcome.results_first = True
    now = session.job.clock()
    page = slice(wanted.offset, None if wanted.limit is None else wanted.offset + wanted.limit)
    settings = session.config.ingest.settings
    try:
        with opened_history(session) as history:
            measured = measure(history, settings, _meant(wanted.ticker), page, now)
    except OpsError as error:
        if wanted.ticker or not _has_no_history(session, error):
            session.outcome.fail(error)
        else:
            _tell_tickers(session, Measured((), 0), wanted)
    else:
        _tell_tickers(session, measured, wanted)
    if not wanted.ticker:
        _tell_ages(session, now)


def _has_no_history(session: Session, error: OpsError) -> bool:
    """Whether nothing was said of a history, and no database has its table, or none is the one to look in.

    Whoever has a history names it in `[ingest]`: then that it is gone is critical.
    """
    settings = session.config.ingest.settings
    if settings.source is not None or settings.log is not None:
        return False
    return isinstance(error, NoHistoryError) or usual_source(session) is None


def _tell_tickers(session: Session, measured: Measured, wanted: Metrics) -> None:
    window_s = session.config.ingest.settings.window.total_seconds()
    result = TickersMeasured(
        tickers=measured.tickers,
        total=measured.total,
        limit=wanted.limit,
        offset=wanted.offset,
        window=format_duration(window_s),
        flat=wanted.flat,
    )
    session.outcome.add(result)
    session.outcome.notice(measured.findings)


def _tell_ages(session: Session, now: datetime) -> None:
    listings: dict[str, Listing] = {}
    all_ages = []
    for configured in session.config.sources.values():
        try:
            all_ages.append(_ages(session, configured, listings, now))
        except OpsError as error:
            session.outcome.fail(error, configured.name)
    session.outcome.add(BackupsAged(all_ages, now))
    session.outcome.notice([finding for ages in all_ages for finding in ages.findings])


def _ages(
    session: Session, configured: ConfiguredSource, listings: dict[str, Listing], now: datetime
) -> BackupAges:
    store = session.config.home_of(configured)
    if store.name not in listings:
        listings[store.name] = list_backups(store, session.cache)
    return ages_of(session.whose(configured), store, listings[store.name], configured.objectives, now)


def _meant(ticker: str) -> list[str] | None:
    """The names that a ticker may have in the history: programs leave the exchange's suffix away."""
    return [ticker, ticker.removesuffix(SUFFIX)] if ticker else None
