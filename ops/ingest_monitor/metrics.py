"""How late each ticker is, how long its jobs take, how many rows came and how many jobs failed. Pure, but for what is asked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from ops.ingest_monitor.entry import Entry, Kind
from ops.ingest_monitor.history import History
from ops.ingest_monitor.lock_files import IngestLock, find_locks
from ops.ingest_monitor.settings import IngestSettings
from ops.ingest_monitor.timestamps import EPOCH
from ops.model.findings import Finding, Severity
from ops.units import format_duration

_CLOCKS_DIFFER: Final = timedelta(minutes=5)
_TOLD_EACH: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class TickerMetrics:
    """What is known of one ticker. The last ingest is of all time; jobs, rows, errors and latency are of the window.

    `lag_s`: seconds since the last ingest that ended well; None when there was none. `latency_ms`: the mean of jobs that
    ended well. `rows`: None where jobs ended well and none of them says how many. `last`: the newest job in the window.
    """

    ticker: str
    last_ingest: datetime | None
    lag_s: float | None
    latency_ms: float | None
    jobs: int
    rows: int | None
    errors: int
    invalid_rows: int
    last: Entry | None
    lock: IngestLock | None = None


@dataclass(slots=True)
class _Sums:
    """What is added up of one ticker."""

    jobs: int = 0
    succeeded: int = 0
    told_rows: int = 0
    rows: int = 0
    errors: int = 0
    invalid_rows: int = 0
    latencies: int = 0
    latency_ms: int = 0
    last: Entry | None = None
    success: Entry | None = None

    def add(self, entry: Entry) -> None:
        if entry.kind is Kind.INVALID:
            self.invalid_rows += entry.invalid_rows or 0
            return
        if entry.kind is Kind.RAW:
            return  # a step of a job, which has an entry of its own
        self.jobs += 1
        if entry.succeeded:
            self.succeeded += 1
            self.told_rows += entry.rows_fetched is not None
            self.rows += entry.rows_fetched or 0
        self.errors += entry.succeeded is False
        if (
            entry.succeeded
            and entry.moment
            and (self.success is None or entry.moment > (self.success.moment or EPOCH))
        ):
            self.success = entry
        if entry.succeeded and entry.latency_ms is not None:
            self.latencies += 1
            self.latency_ms += entry.latency_ms
        if self.last is None or (entry.begun and self.last.begun and entry.begun >= self.last.begun):
            self.last = entry


@dataclass(frozen=True, slots=True)
class Measured:
    """The metrics of the tickers that were asked for, how many tickers there are in all, and what needs a look."""

    tickers: Sequence[TickerMetrics]
    total: int
    findings: Sequence[Finding] = field(default=())


def measure(
    history: History, settings: IngestSettings, wanted: Sequence[str] | None, page: slice, now: datetime
) -> Measured:
    """Of the tickers `wanted` (None: all), in the order of their names, those of the page.

    Raises SourceError when the history cannot be read.
    """
    known = history.tickers()
    chosen = known if wanted is None else [ticker for ticker in known if ticker in wanted]
    shown = chosen[page]
    metrics = _of_tickers(history, settings, shown, now) if shown else []
    findings = [
        *history.findings,
        *_grouped([found for item in metrics for found in judged(item, settings, now)]),
    ]
    if not chosen:
        findings.append(_nothing_yet(wanted))
    return Measured(metrics, len(chosen), findings)


def _grouped(findings: Sequence[Finding]) -> list[Finding]:
    """What is the same of many tickers is told once: each ticker's own figures are in its row."""
    by_code: dict[str, list[Finding]] = {}
    for item in findings:
        by_code.setdefault(item.code, []).append(item)
    told = []
    for code, same in by_code.items():
        if len(same) <= _TOLD_EACH:
            told += same
            continue
        shown = ", ".join(item.where for item in same[:_TOLD_EACH])
        message = f"{len(same)} tickers alike, {shown} and {len(same) - _TOLD_EACH} more: {same[0].message}"
        worst = (
            Severity.CRITICAL
            if any(item.severity is Severity.CRITICAL for item in same)
            else Severity.WARNING
        )
        told.append(_finding(worst, code, message))
    return told


def _nothing_yet(wanted: Sequence[str] | None) -> Finding:
    whose = f" of {wanted[0]}" if wanted else ""
    message = f"no ingest job{whose} has left an entry yet: nothing can be said about its data"
    return _finding(Severity.WARNING, "ingest.no_history", message)


def _of_tickers(
    history: History, settings: IngestSettings, tickers: Sequence[str], now: datetime
) -> list[TickerMetrics]:
    sums = _summed(history.since(tickers, now - settings.window), tickers)
    # What ended well in the window is newer than all before it.
    earlier = history.last_successes([ticker for ticker in tickers if sums[ticker].success is None])
    locks = find_locks(settings.locks, tickers)
    return [
        _metrics(ticker, sums[ticker].success or earlier.get(ticker), sums[ticker], locks.get(ticker), now)
        for ticker in tickers
    ]


def _summed(entries: Iterable[Entry], tickers: Sequence[str]) -> Mapping[str, _Sums]:
    sums = {ticker: _Sums() for ticker in tickers}
    for entry in entries:
        if entry.ticker in sums:
            sums[entry.ticker].add(entry)
    return sums


def _metrics(
    ticker: str, success: Entry | None, sums: _Sums, lock: IngestLock | None, now: datetime
) -> TickerMetrics:
    moment = success.moment if success else None
    return TickerMetrics(
        ticker=ticker,
        last_ingest=moment,
        lag_s=None if moment is None else (now - moment).total_seconds(),
        latency_ms=sums.latency_ms / sums.latencies if sums.latencies else None,
        jobs=sums.jobs,
        rows=sums.rows if sums.told_rows or not sums.succeeded else None,
        errors=sums.errors,
        invalid_rows=sums.invalid_rows,
        last=sums.last,
        lock=lock,
    )


def judged(item: TickerMetrics, settings: IngestSettings, now: datetime) -> list[Finding]:
    """What of a ticker's metrics needs a look."""
    findings = [_lag(item, settings)]
    if item.last is not None and item.last.succeeded is False:
        why = f": {item.last.error_message}" if item.last.error_message else ""
        message = f"the last job of {item.ticker} failed{why}"
        findings.append(_finding(Severity.WARNING, "ingest.last_failed", message, item.ticker))
    seen = (item.rows or 0) + item.invalid_rows
    if seen and 100 * item.invalid_rows / seen > settings.invalid_percent:
        message = (
            f"{100 * item.invalid_rows / seen:.0f} % of the rows of {item.ticker} were rejected, more than"
            f" {settings.invalid_percent:g} %"
        )
        findings.append(_finding(Severity.WARNING, "ingest.invalid_rows", message, item.ticker))
    if item.lock is not None and item.lock.held and now - item.lock.since > settings.lock_timeout:
        message = (
            f"the lock of {item.ticker} is held by process {item.lock.pid} for"
            f" {format_duration((now - item.lock.since).total_seconds())}, and others wait"
            f" {format_duration(settings.lock_timeout.total_seconds())} at most"
        )
        findings.append(_finding(Severity.WARNING, "ingest.lock_held", message, item.ticker))
    return [finding for finding in findings if finding is not None]


def _lag(item: TickerMetrics, settings: IngestSettings) -> Finding | None:
    if item.lag_s is None:
        at_work = item.last is not None and item.last.at_work
        message = f"no job of {item.ticker} has ended well yet{', and one is at work' if at_work else ''}"
        if item.last is not None and item.last.succeeded is None and not at_work:
            message += f"; the last one ended with {item.last.status!r}, a word that is not known"
        severity = Severity.WARNING if at_work else Severity.CRITICAL
        return _finding(severity, "ingest.never_succeeded", message, item.ticker)
    if item.lag_s < -_CLOCKS_DIFFER.total_seconds():
        message = f"the last ingest of {item.ticker} is in the future: is a clock wrong, or a zone?"
        return _finding(Severity.WARNING, "ingest.clock_ahead", message, item.ticker)
    for limit, severity, code in (
        (settings.lag_critical, Severity.CRITICAL, "ingest.lag_critical"),
        (settings.lag_warning, Severity.WARNING, "ingest.lag_high"),
    ):
        if item.lag_s > limit.total_seconds():
            message = f"{item.ticker} is {format_duration(item.lag_s)} late"
            allowed = format_duration(limit.total_seconds())
            return Finding(
                severity=severity,
                code=code,
                message=message,
                where=item.ticker,
                expected=f"at most {allowed}",
                found=format_duration(item.lag_s),
            )
    return None


def _finding(severity: Severity, code: str, message: str, where: str = "") -> Finding:
    return Finding(severity=severity, code=code, message=message, where=where)
