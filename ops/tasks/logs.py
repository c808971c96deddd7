"""The task `logs`: what ingest jobs logged."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from ops.errors import ConfigError
from ops.ingest_monitor.entry import Entry, wanted_words
from ops.ingest_monitor.history import History, Query
from ops.ingest_monitor.timestamps import moment_of
from ops.model.findings import Finding, Severity
from ops.report.results.ingest import EntriesFound
from ops.tasks.commands import Logs
from ops.tasks.ingest_history import SUFFIX, opened_history
from ops.tasks.session import Session
from ops.units import parse_duration

_MOST = 10_000


def run(session: Session, wanted: Logs) -> None:
    """A page of entries; failures that were asked for and found are a warning."""
    if wanted.limit > _MOST:
        raise ConfigError(
            f"--limit {wanted.limit} is more than {_MOST}", code="usage.bad_value", hint="use --offset"
        )
    since = None if not wanted.since else _since(wanted.since, session.job.clock())
    words = wanted_words(wanted.status) if wanted.status else None
    with opened_history(session) as history:
        ticker = _known(history, wanted.ticker)
        query = Query(ticker=ticker, since=since, words=words, limit=wanted.limit, offset=wanted.offset)
        entries = history.newest(query)
        findings = list(history.findings)
    session.outcome.add(EntriesFound(entries, wanted.limit, wanted.offset))
    session.outcome.notice([*findings, *_failures(entries, asked=words is not None)])


def _failures(entries: Sequence[Entry], *, asked: bool) -> list[Finding]:
    failed = [entry for entry in entries if entry.succeeded is False]
    if not asked or not failed:
        return []
    tickers = sorted({entry.ticker or "?" for entry in failed})
    shown = ", ".join(tickers[:5]) + (f" and {len(tickers) - 5} more" if len(tickers) > 5 else "")  # noqa: PLR2004 - names
    message = f"{len(failed)} failed jobs on this page: {shown}"
    return [Finding(severity=Severity.WARNING, code="ingest.failures", message=message)]


def _known(history: History, ticker: str) -> str | None:
    if not ticker or not ticker.endswith(SUFFIX):
        return ticker or None
    known = history.tickers()
    return ticker if ticker in known else ticker.removesuffix(SUFFIX)


def _since(text: str, now: datetime) -> datetime:
    moment = moment_of(text)
    if moment is not None:
        return moment
    try:
        return now - parse_duration(text)
    except (ValueError, OverflowError) as error:
        hint = "a date like 2026-03-01, a time like 2026-03-01T08:00:00Z, or an age like 7d"
        raise ConfigError(f"--since {text!r} is no time", code="usage.bad_value", hint=hint) from error
