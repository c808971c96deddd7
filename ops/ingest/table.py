"""The history of ingest jobs in a table of an SQLite database that is in use.

Each question is one short statement of its own, so that a writer waits for none of them, and none for a writer longer than
the source's `busy_timeout`. Where an index begins with ticker and time, no question reads more than its answer.

Time stamps may have several forms in one column. SQLite orders numbers before text
(https://www.sqlite.org/datatype3.html#sort_order), and each form by itself is ordered by time; so each form is asked for by
itself, a day more than needed because of zones, and what came is compared as moments.
"""

from __future__ import annotations

import contextlib
import heapq
import os
import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from ops.ingest.columns import Columns, find_columns, missing_columns
from ops.ingest.entry import SUCCESS, Entry
from ops.ingest.history import Query, is_wanted, newest_first
from ops.ingest.instants import (
    EPOCH,
    JULIAN_DAYS,
    JULIAN_EPOCH,
    MICROSECONDS_FROM,
    MILLISECONDS_FROM,
    moment_of,
)
from ops.ingest.settings import IngestSettings
from ops.model import Finding
from ops.sources.sqlite.capture import remove_empty_log
from ops.sources.sqlite.connection import connect_live, require_database_file, translated_errors
from ops.sources.sqlite.schema import quoted

_SLACK: Final = timedelta(days=1)
_AFTER_DIGITS: Final = ":"
_ISO: Final = re.compile(r"(?:19|20)\d\d-", re.ASCII)
_SECOND_MILLENNIUM: Final = "2"
_UNITS: Final = (
    (1, JULIAN_DAYS[1], MILLISECONDS_FROM),
    (1000, MILLISECONDS_FROM, MICROSECONDS_FROM),
    (1_000_000, MICROSECONDS_FROM, ""),
)
"""Of each unit of numbers how many make a second, and the first number that means it, and the first beyond."""

Bounds = tuple[str, tuple[object, ...]]
"""A condition on the time column, with its parameters."""


@contextlib.contextmanager
def opened_table(path: Path, settings: IngestSettings, timeout_s: float) -> Iterator[TableHistory]:
    """The history in the database at `path`; raises SourceError when it can not be read, or is not there."""
    path = Path(os.path.realpath(path))
    require_database_file(path)
    had_log = path.with_name(f"{path.name}-wal").exists()
    try:
        with (
            translated_errors(path, "reading the ingest history"),
            contextlib.closing(connect_live(path, timeout_s=timeout_s)) as connection,
        ):
            connection.execute("PRAGMA query_only=ON")
            connection.text_factory = lambda text: text.decode("utf-8", "replace")
            yield TableHistory(connection, find_columns(connection, settings, str(path)))
    finally:
        if not had_log:
            remove_empty_log(path)


class TableHistory:
    """See `History`."""

    def __init__(self, connection: sqlite3.Connection, columns: Columns) -> None:
        self._connection, self.columns = connection, columns
        self._all_iso: dict[str | None, bool] = {}
        self._table, self._ticker = quoted(columns.table), quoted(columns.names["ticker"])
        self._time = quoted(columns.time)
        self._status = f"lower(trim({quoted(columns.names['status'])}))"

    @property
    def findings(self) -> Sequence[Finding]:
        """Columns that are not there."""
        return missing_columns(self.columns)

    def tickers(self) -> list[str]:
        """With an index each is found by one step into it, else by reading the whole table."""
        if not self.columns.by_ticker:
            return self._texts(f"SELECT DISTINCT {self._ticker} FROM {self._table}")  # noqa: S608 - quoted names
        return self._texts(
            f"WITH RECURSIVE found(ticker) AS (SELECT min({self._ticker}) FROM {self._table} UNION ALL"  # noqa: S608 - quoted names
            f" SELECT (SELECT min({self._ticker}) FROM {self._table} WHERE {self._ticker} > found.ticker)"
            " FROM found WHERE found.ticker IS NOT NULL) SELECT ticker FROM found"
        )

    def _texts(self, statement: str) -> list[str]:
        return sorted({str(value) for (value,) in self._connection.execute(statement) if value is not None})

    def estimated_rows(self) -> int | None:
        """About how many rows there are, from the greatest rowid, which is found at once; None for a table without."""
        try:
            (rows,) = self._connection.execute(f"SELECT max(rowid) FROM {self._table}").fetchone()  # noqa: S608 - quoted
        except sqlite3.OperationalError:
            return None
        return int(rows or 0)

    def last_successes(self, tickers: Sequence[str]) -> Mapping[str, Entry]:
        """One step into the index for each ticker and form of time stamp, else one pass for each form."""
        words = tuple(sorted(SUCCESS))
        ended_well = f"{self._status} IN ({', '.join('?' * len(words))})"
        found: list[Entry] = []
        for ticker in tickers if self.columns.by_time else [None]:
            for bounds, values in self._forms(ticker, EPOCH):
                where = f"{ended_well} AND {self._where(bounds)}"
                if ticker is None:
                    # Of the row with the greatest value: https://www.sqlite.org/lang_select.html#bareagg
                    rest = f"{where} GROUP BY {self._ticker}"
                    found += self._entries(rest, (*words, *values), greatest=True)
                else:
                    rest = f"{where} AND {self._ticker} = ? ORDER BY {self._time} DESC LIMIT 1"
                    found += self._entries(rest, (*words, *values, ticker))
        newest: dict[str, Entry] = {}
        wanted = set(tickers)
        for entry in sorted(found, key=lambda entry: entry.moment or EPOCH):
            if entry.ticker in wanted and entry.moment is not None:
                newest[str(entry.ticker)] = entry
        return newest

    def since(self, tickers: Sequence[str], moment: datetime) -> Iterator[Entry]:
        """By ticker where an index serves that."""
        query, wanted = Query(since=moment), set(tickers)
        for ticker in tickers if self.columns.by_time else [None]:
            mine = "" if ticker is None else f" AND {self._ticker} = ?"
            for bounds, values in self._forms(ticker, moment):
                parameters = values if ticker is None else (*values, ticker)
                for entry in self._entries(f"{self._where(bounds)}{mine}", parameters):
                    if entry.ticker in wanted and is_wanted(entry, query):
                        yield entry

    def newest(self, query: Query) -> list[Entry]:
        """Of each form, and where an index serves that of each ticker, as many as the page needs, and what zones can hide."""
        tickers: Sequence[str | None] = [query.ticker]
        if query.ticker is None and self.columns.by_time:
            tickers = self.tickers()
        found: list[Entry] = []
        best: list[datetime] = []
        for ticker in tickers:
            for bounds, values in [*self._forms(ticker, query.since or EPOCH), *_without_time(query)]:
                found += self._page(query, self._where(bounds), values, ticker, best)
        return newest_first(found, query)

    def _page(
        self, query: Query, where: str, values: tuple[object, ...], ticker: str | None, best: list[datetime]
    ) -> Iterator[Entry]:
        """The newest of one form: entries come in the order of their texts, which zones make another than that of time.

        `best`: a heap of the times of the newest entries that were found, of all forms and tickers.
        """
        parameters = list(values)
        if ticker is not None:
            where += f" AND {self._ticker} = ?"
            parameters.append(ticker)
        if query.words is not None:
            where += f" AND {self._status} IN ({', '.join('?' * len(query.words))})"
            parameters += sorted(query.words)
        most = query.limit + query.offset
        for entry in self._entries(f"{where} ORDER BY {self._time} DESC", tuple(parameters)):
            if not is_wanted(entry, query):
                continue
            begun = entry.begun or EPOCH
            if len(best) >= most and (not most or begun <= best[0] - 2 * _SLACK):
                return
            if len(best) < most:
                heapq.heappush(best, begun)
            else:
                heapq.heappushpop(best, begun)
            yield entry

    def _forms(self, ticker: str | None, since: datetime) -> list[Bounds]:
        """The ranges to ask for: that of ISO text alone where the first and the last time stamp are that.

        All others come before it: numbers before text, and the digits of seconds before those of years.
        """
        forms = _forms(since)
        return forms[:1] if self._is_all_iso(ticker) else forms

    def _is_all_iso(self, ticker: str | None) -> bool:
        if ticker not in self._all_iso:
            mine, values = ("", ()) if ticker is None else (f" WHERE {self._ticker} = ?", (ticker,))
            ends = [
                self._connection.execute(statement, values).fetchone()
                for statement in (
                    f"SELECT min({self._time}) FROM {self._table}{mine}",  # noqa: S608 - quoted names
                    f"SELECT max({self._time}) FROM {self._table}{mine}",  # noqa: S608 - quoted names
                )
            ]
            self._all_iso[ticker] = all(_is_iso(value) for (value,) in ends)
        return self._all_iso[ticker]

    def _where(self, bounds: str) -> str:
        return bounds.format(time=self._time)

    def _entries(
        self, rest: str, parameters: tuple[object, ...], *, greatest: bool = False
    ) -> Iterator[Entry]:
        more = f", max({self._time})" if greatest else ""
        statement = f"SELECT {self.columns.selected}{more} FROM {self._table} WHERE {rest}"  # noqa: S608 - quoted names
        for row in self._connection.execute(statement, parameters):
            yield _entry(row)


def _forms(since: datetime) -> list[Bounds]:
    """The ranges that hold, of each form, all time stamps since then: ISO text, numbers by their unit, numbers as text."""
    begin = since - _SLACK if since > EPOCH + _SLACK else EPOCH
    seconds = int((begin - EPOCH).total_seconds())
    return [
        ("{time} >= ? AND {time} < ?", (f"{begin:%Y-%m-%d}", _AFTER_DIGITS)),
        ("{time} >= ? AND {time} < ?", (str(seconds), _SECOND_MILLENNIUM)),
        *(
            ("{time} >= ? AND {time} < ?", (max(seconds * factor, first), last))
            for factor, first, last in _UNITS
        ),
        ("{time} >= ? AND {time} < ?", (JULIAN_EPOCH + seconds / 86400, JULIAN_DAYS[1])),
    ]


def _is_iso(value: object) -> bool:
    return isinstance(value, str) and _ISO.match(value) is not None


def _without_time(query: Query) -> list[Bounds]:
    return [] if query.since else [("{time} IS NULL", ())]


def _entry(row: Sequence[Any]) -> Entry:
    ticker, job, started, finished, rows, status, message, duration, provider, attempt, retry = row[:11]
    return Entry(
        ticker=_text(ticker),
        job_id=_text(job),
        started_at=moment_of(started),
        finished_at=moment_of(finished),
        rows_fetched=whole(rows),
        status=_text(status),
        error_message=_text(message),
        duration_ms=whole(duration),
        provider=_text(provider),
        attempt=whole(attempt),
        retry_after=seconds(retry),
    )


def _text(value: object) -> str | None:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return None if value is None else str(value)


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
