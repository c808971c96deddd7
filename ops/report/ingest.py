"""The ingest side as text and as plain JSON values; the schemas are in docs/schemas."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ops.ingest_monitor.entry import Entry
from ops.ingest_monitor.lock_files import IngestLock
from ops.ingest_monitor.metrics import TickerMetrics
from ops.report.printable import printable
from ops.report.text import table
from ops.repository.freshness import BackupAges
from ops.units import format_duration, format_time

if TYPE_CHECKING:
    from ops.ingest_monitor.providers import Contact  # with what asks over HTTP: only test-conn loads it

_NONE = "-"
_LONGEST_MESSAGE = 60


def metrics_document(item: TickerMetrics) -> dict[str, Any]:
    """One ticker; null where nothing is known."""
    return {
        "ticker": item.ticker,
        "last_ingest": _time(item.last_ingest),
        "ingest_lag_seconds": _rounded(item.lag_s),
        "job_latency_ms": _rounded(item.latency_ms),
        "rows_fetched": item.rows,
        "error_count": item.errors,
        "job_count": item.jobs,
        "invalid_rows": item.invalid_rows,
        "last_status": item.last.status if item.last else None,
        "lock": _lock_document(item.lock),
    }


def flat_document(item: TickerMetrics) -> dict[str, Any]:
    """Return the least that is known of one ticker, in whole seconds and milliseconds."""
    return {
        "ticker": item.ticker,
        "last_ingest": _whole_time(item.last_ingest),
        "ingest_lag_seconds": _whole(item.lag_s),
        "job_latency_ms": _whole(item.latency_ms),
        "rows_fetched": item.rows,
        "error_count": item.errors,
    }


def metrics_line(item: TickerMetrics) -> str:
    """Return the same as one line for people."""
    found = flat_document(item)
    lag, latency = found["ingest_lag_seconds"], found["job_latency_ms"]
    told = {
        "Ticker": printable(item.ticker),
        "Last ingest": found["last_ingest"] or "never",
        "Ingest lag": _NONE if lag is None else f"{lag}s",
        "Job latency avg": _NONE if latency is None else f"{latency}ms",
        "Rows": _number(item.rows),
        "Errors": str(item.errors),
    }
    return " | ".join(f"{name}: {value}" for name, value in told.items())


def _lock_document(lock: IngestLock | None) -> dict[str, Any] | None:
    if lock is None:
        return None
    return {"held": lock.held, "pid": lock.pid, "since": format_time(lock.since)}


def metrics_text(items: Sequence[TickerMetrics], window: str) -> str:
    """The table of tickers; what is counted is counted over `window`."""
    columns = ["Ticker", "Last ingest", "Ingest lag", "Job latency avg", "Rows", "Errors"]
    locked = any(item.lock for item in items)
    rows = [
        [
            item.ticker,
            _time(item.last_ingest) or "never",
            _NONE if item.lag_s is None else format_duration(max(0.0, item.lag_s)),
            _NONE if item.latency_ms is None else format_duration(item.latency_ms / 1000),
            _number(item.rows),
            str(item.errors),
            *([_lock_text(item.lock)] if locked else []),
        ]
        for item in items
    ]
    title = f"Ingest: jobs of the last {window}"
    first = ("Ticker", "Ingest lag", "Errors", "Last ingest")
    return f"{title}\n{table([*columns, *(['Lock'] if locked else [])], rows, first)}"


def _lock_text(lock: IngestLock | None) -> str:
    if lock is None:
        return _NONE
    if lock.held is None:
        return "there"
    return f"held by {lock.pid}" if lock.held else "free"


def ages_document(ages: BackupAges, now: datetime) -> dict[str, Any]:
    """What Drillbook did for one source, and what was promised, in seconds; null where there is none."""
    newest, proven, promised = ages.newest, ages.proven, ages.objectives
    data = newest.manifest.data_as_of if newest else None
    made = newest.manifest.created_at if newest else None
    return {
        "source": ages.source,
        "store": ages.store,
        "last_backup": newest.name if newest else None,
        "last_backup_at": _time(made),
        "backup_age_seconds": _age(made, now),
        "every_seconds": _seconds(promised.every),
        "data_age_seconds": _age(data, now),
        "rpo_seconds": _seconds(promised.rpo),
        "last_proven_backup": proven.name if proven else None,
        "last_proven_at": _time(ages.proven_at),
        "proven_age_seconds": _age(ages.proven_at, now),
        "drill_every_seconds": _seconds(promised.drill_every),
    }


def ages_text(all_ages: Sequence[BackupAges], now: datetime) -> str:
    """The table of sources: ages, and in brackets what was promised."""
    rows = []
    for ages in all_ages:
        document = ages_document(ages, now)
        rows.append(
            [
                ages.source,
                ages.newest.name if ages.newest else "none yet",
                _against(document["backup_age_seconds"], document["every_seconds"]),
                _against(document["data_age_seconds"], document["rpo_seconds"]),
                _against(document["proven_age_seconds"], document["drill_every_seconds"]),
            ]
        )
    columns = ["Source", "Last backup", "Age (every)", "Data age (RPO)", "Proven (drill every)"]
    first = ("Source", "Age (every)", "Data age (RPO)", "Proven (drill every)", "Last backup")
    return f"Backups\n{table(columns, rows, first)}"


def _against(age_s: float | None, promised_s: float | None) -> str:
    age = "never" if age_s is None else format_duration(max(0.0, age_s))
    return age if promised_s is None else f"{age} ({format_duration(promised_s)})"


def entry_document(entry: Entry) -> dict[str, Any]:
    """One entry of the log of jobs; null where it does not say."""
    return {
        "ticker": entry.ticker,
        "job_id": entry.job_id,
        "kind": str(entry.kind),
        "started_at": _time(entry.started_at),
        "finished_at": _time(entry.finished_at),
        "rows_fetched": entry.rows_fetched,
        "status": entry.status,
        "error_message": entry.error_message,
        "duration_ms": entry.latency_ms,
        "provider": entry.provider,
        "attempt": entry.attempt,
        "retry_after": entry.retry_after,
    }


def entries_text(entries: Sequence[Entry]) -> str:
    """The table of entries, newest first; an error's message is cut."""
    columns = ["Started", "Ticker", "Status", "Rows", "Duration", "Provider", "Attempt", "Error"]
    rows = [
        [
            _time(entry.begun) or _NONE,
            entry.ticker or _NONE,
            entry.status or _NONE,
            _number(entry.rows_fetched),
            _NONE if entry.latency_ms is None else format_duration(entry.latency_ms / 1000),
            entry.provider or _NONE,
            _number(entry.attempt),
            _cut(entry.error_message or ""),
        ]
        for entry in entries
    ]
    return table(columns, rows, ("Started", "Ticker", "Status", "Rows", "Error"))


def _cut(message: str) -> str:
    line = printable(message)
    return line if len(line) <= _LONGEST_MESSAGE else f"{line[:_LONGEST_MESSAGE]}…"


def contact_document(contact: Contact) -> dict[str, Any]:
    """How asking a provider went."""
    return {
        "provider": contact.provider,
        "url": contact.url,
        "tried": contact.tried,
        "http_status": contact.status,
        "latency_ms": contact.latency_ms,
        "attempts": contact.attempts,
        "waited_seconds": contact.waited_s,
        "retry_after_seconds": contact.retry_after,
    }


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else format_time(moment)


def _whole_time(moment: datetime | None) -> str | None:
    return None if moment is None else f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _age(moment: datetime | None, now: datetime) -> float | None:
    return None if moment is None else round((now - moment).total_seconds(), 3)


def _seconds(duration: Any) -> float | None:  # noqa: ANN401 - a timedelta, or nothing
    return None if duration is None else float(duration.total_seconds())


def _number(value: int | None) -> str:
    return _NONE if value is None else str(value)
