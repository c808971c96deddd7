"""Which columns of a table hold what, and which index serves questions about one ticker's time."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ops.errors import SourceError
from ops.ingest_monitor.entry import Entry
from ops.ingest_monitor.settings import ALIASES, FIELDS, IngestSettings
from ops.ingest_monitor.timestamps import moment_of
from ops.model.findings import Finding, Severity
from ops.sources.sqlite.schema import quoted

_NEEDED: Final = ("ticker", "status")


@dataclass(frozen=True, slots=True)
class Columns:
    """A table as it is there: its name, the column of each field that has one, and the one by which time is asked for.

    `by_ticker`: whether an index begins with the ticker; `by_time`: whether one continues with the time.
    """

    table: str
    names: Mapping[str, str]
    time: str
    by_ticker: bool
    by_time: bool

    @property
    def selected(self) -> str:
        """The fields in their order, NULL for those that are not there."""
        return ", ".join(quoted(self.names[field]) if field in self.names else "NULL" for field in FIELDS)

    @property
    def missing(self) -> list[str]:
        """The fields that have no column."""
        return [field for field in FIELDS if field not in self.names]

    @property
    def index_statement(self) -> str:
        """What makes the index that is not there."""
        name = quoted(f"idx_{self.table}_{self.names['ticker']}_{self.time}")
        columns = f"{quoted(self.names['ticker'])}, {quoted(self.time)}"
        return f"CREATE INDEX {name} ON {quoted(self.table)} ({columns})"


def find_columns(connection: sqlite3.Connection, settings: IngestSettings, place: str) -> Columns:
    """The columns of the configured table; raises SourceError when it, or one that nothing can be said without, is not there."""
    rows = connection.execute("SELECT name FROM pragma_table_xinfo(?)", (settings.table,)).fetchall()
    there = {name.lower(): name for (name,) in rows}
    if not there:
        message = f"{place} has no table {settings.table!r}"
        hint = "name it with table, or the file with log, in [ingest]; a program that never ran may not have made it yet"
        raise SourceError(message, code="ingest.table_missing", hint=hint)
    names = _names(there, settings.columns)
    lost = [field for field in _NEEDED if field not in names]
    lost += [name for field, name in settings.columns.items() if field not in names]
    if not {"started_at", "finished_at"} & names.keys():
        lost.append("started_at")
    if lost:
        message = f"table {settings.table!r} of {place} has no column {', '.join(map(repr, lost))}"
        hint = f"say in [ingest.columns] which column is which; it has: {', '.join(there.values())}"
        raise SourceError(message, code="ingest.column_missing", hint=hint)
    time = names.get("started_at") or names["finished_at"]
    by_ticker, by_time = _indexes(connection, settings.table, names["ticker"], time)
    return Columns(settings.table, names, time, by_ticker, by_time)


def _names(there: Mapping[str, str], said: Mapping[str, str]) -> dict[str, str]:
    """The column of each field that has one: as the configuration says, else of that name, else of another usual one."""
    names = {}
    for field in FIELDS:
        usual = (field, *([ALIASES[field]] if field in ALIASES else []))
        candidates = (said[field],) if field in said else usual
        found = next((there[name.lower()] for name in candidates if name.lower() in there), None)
        if found is not None:
            names[field] = found
    return names


def _indexes(connection: sqlite3.Connection, table: str, ticker: str, time: str) -> tuple[bool, bool]:
    by_ticker = by_time = False
    indexes = connection.execute(
        'SELECT name FROM pragma_index_list(?) WHERE "partial" = 0', (table,)
    ).fetchall()
    for (index,) in indexes:
        found = connection.execute("SELECT name FROM pragma_index_info(?) ORDER BY seqno", (index,))
        leading = [name for (name,) in found][:2]
        by_ticker = by_ticker or leading[:1] == [ticker]
        by_time = by_time or leading == [ticker, time]
    return by_ticker, by_time


def missing_columns(columns: Columns) -> list[Finding]:
    """That fields are left empty because the table has no column for them."""
    if not columns.missing:
        return []
    message = f"table {columns.table!r} has no {', '.join(columns.missing)}: left empty"
    return [Finding(severity=Severity.OK, code="ingest.column_missing", message=message)]


def entry_of(row: Sequence[Any]) -> Entry:
    """The entry of a row with the values of `FIELDS`, in their order."""
    ticker, job, started, finished, rows, status, message, duration, provider, attempt, retry = row
    return Entry(
        ticker=text(ticker),
        job_id=text(job),
        started_at=moment_of(started),
        finished_at=moment_of(finished),
        rows_fetched=whole(rows),
        status=text(status),
        error_message=text(message),
        duration_ms=whole(duration),
        provider=text(provider),
        attempt=whole(attempt),
        retry_after=seconds(retry),
    )


def text(value: object) -> str | None:
    """A text that was stored, also as bytes."""
    if value is None or isinstance(value, str):
        return value
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def whole(value: object) -> int | None:
    """A number that was stored, as a whole one; None for what is none."""
    if value is None or type(value) is int:
        return value
    number = seconds(value)
    return None if number is None else round(number)


def seconds(value: object) -> float | None:
    """A number that was stored, also as text; None for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    with contextlib.suppress(ValueError, OverflowError):
        number = float(value)
        return number if abs(number) < float("inf") else None
    return None
