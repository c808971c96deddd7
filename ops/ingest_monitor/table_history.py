"""The history of ingest jobs in a table of an SQLite database that is in use.

Each question is a few short statements of their own, so that a writer waits for none of them, and none for a writer longer
than the source's `busy_timeout`. Where an index begins with ticker and time, no question reads much more than its answer.
"""

from __future__ import annotations

import contextlib
import heapq
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from ops.ingest_monitor.entry import SUCCESS, Entry
from ops.ingest_monitor.history import Query, is_wanted, newest_first
from ops.ingest_monitor.settings import FIELDS, IngestSettings
from ops.ingest_monitor.table_columns import Columns, entry_of, find_columns, missing_columns
from ops.ingest_monitor.timestamp_forms import SLACK, UNCLEAR, Form, forms_since, is_iso
from ops.ingest_monitor.timestamps import EPOCH
from ops.model.findings import Finding, Severity
from ops.sources.sqlite.connection import translated_errors
from ops.sources.sqlite.read_live import reading
from ops.sources.sqlite.schema import quoted


@contextlib.contextmanager
def opened_table(path: Path, settings: IngestSettings, timeout_s: float) -> Iterator[TableHistory]:
    """The history in the database at `path`; raises SourceError when it cannot be read, or is not there."""
    with (
        reading(path, timeout_s=timeout_s) as connection,
        translated_errors(path, "reading the ingest history"),
    ):
        connection.execute("PRAGMA temp_store=MEMORY")
        connection.text_factory = lambda text: text.decode("utf-8", "replace")
        yield TableHistory(connection, find_columns(connection, settings, str(path)))


class TableHistory:
    """See `History`."""

    def __init__(self, connection: sqlite3.Connection, columns: Columns) -> None:
        self._connection, self.columns = connection, columns
        self._time_at = next(
            at for at, field in enumerate(FIELDS) if columns.names.get(field) == columns.time
        )
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
        """A few steps into the index for each ticker and form of time stamp, else two passes for each form."""
        found: dict[str, Entry] = {}
        if not tickers:
            return found
        entries = self._last_by_index(tickers) if self.columns.by_time else self._last_by_passes(tickers)
        for entry in entries:
            before = found.get(entry.ticker or "")
            if entry.ticker and entry.moment and (before is None or entry.moment > (before.moment or EPOCH)):
                found[entry.ticker] = entry
        return found

    def _last_by_index(self, tickers: Sequence[str]) -> Iterator[Entry]:
        query = Query(words=SUCCESS, limit=1)
        for ticker in tickers:
            best: list[datetime] = []
            for form in self._forms(ticker, EPOCH):
                yield from self._page(query, form, ticker, best)

    def _last_by_passes(self, tickers: Sequence[str]) -> Iterator[Entry]:
        """First the greatest text of each ticker, then what zones can make newer than that."""
        words, known = tuple(sorted(SUCCESS)), set(tickers)
        for form in self._forms(None, EPOCH):
            where = f"{self._ended_well} AND {self._where(form)} GROUP BY {self._ticker}"
            statement = f"SELECT {self._ticker}, max({self._time}) FROM {self._table} WHERE {where}"  # noqa: S608 - quoted names
            greatest = self._connection.execute(statement, (*words, *form.parameters)).fetchall()
            # A table with a key: SQLite makes no index of its own for a list of values, and would try each with each row.
            self._connection.execute(
                "CREATE TEMP TABLE IF NOT EXISTS bounds (name PRIMARY KEY, least) WITHOUT ROWID"
            )
            self._connection.execute("DELETE FROM temp.bounds")
            self._connection.executemany(
                "INSERT INTO temp.bounds VALUES (?, ?)",
                [(name, self._bound(value)) for name, value in greatest if name in known],
            )
            rest = (
                f"CROSS JOIN temp.bounds ON bounds.name = {self._ticker} AND {self._time} >= bounds.least"
                f" WHERE {self._ended_well} AND {self._where(form)}"
            )
            yield from self._entries(rest, (*words, *form.parameters), form)

    @property
    def _ended_well(self) -> str:
        return f"{self._status} IN ({', '.join('?' * len(SUCCESS))})"

    @staticmethod
    def _bound(greatest: object) -> object:
        """From where on a row can be newer than the one with the greatest value: text is ordered by its own zone."""
        if not isinstance(greatest, str):
            return greatest
        with contextlib.suppress(ValueError):
            if not is_iso(greatest):
                return ""
            return f"{datetime.fromisoformat(greatest[:10]) - 2 * SLACK:%Y-%m-%d}"
        return ""

    def since(self, tickers: Sequence[str], moment: datetime) -> Iterator[Entry]:
        """By ticker where an index serves that."""
        query, wanted = Query(since=moment), set(tickers)
        for ticker in tickers if self.columns.by_time else [None]:
            mine = "" if ticker is None else f" AND {self._ticker} = ?"
            for form in self._forms(ticker, moment):
                parameters = form.parameters if ticker is None else (*form.parameters, ticker)
                for entry in self._entries(f"WHERE {self._where(form)}{mine}", parameters, form):
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
            for form in self._forms(ticker, query.since or EPOCH):
                found += self._page(query, form, ticker, best)
        if query.since is None and len(found) < query.limit + query.offset:
            found += [entry for form in UNCLEAR for entry in self._page(query, form, query.ticker, [])]
        return newest_first(found, query)

    def _page(self, query: Query, form: Form, ticker: str | None, best: list[datetime]) -> Iterator[Entry]:
        """The newest of one form: entries come in the order of their texts, which zones make another than that of time.

        `best`: a heap of the times of the newest entries that were found, of all forms and tickers.
        """
        where, parameters = f"WHERE {self._where(form)}", list(form.parameters)
        if ticker is not None:
            where += f" AND {self._ticker} = ?"
            parameters.append(ticker)
        if query.words is not None:
            where += f" AND {self._status} IN ({', '.join('?' * len(query.words))})"
            parameters += sorted(query.words)
        most = query.limit + query.offset
        for entry in self._entries(f"{where} ORDER BY {self._time} DESC", parameters, form):
            if not is_wanted(entry, query):
                continue
            begun = entry.begun or EPOCH
            if len(best) >= most and (not most or begun <= best[0] - 2 * SLACK):
                return
            if len(best) < most:
                heapq.heappush(best, begun)
            else:
                heapq.heappushpop(best, begun)
            yield entry

    def _forms(self, ticker: str | None, since: datetime) -> list[Form]:
        """What to ask for: ISO text alone where the first and the last time stamp are that, for no other lies between."""
        forms = forms_since(since)
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
            self._all_iso[ticker] = all(is_iso(value) for (value,) in ends)
        return self._all_iso[ticker]

    def _where(self, form: Form) -> str:
        return form.condition.format(time=self._time)

    def _entries(self, rest: str, parameters: Iterable[object], form: Form) -> Iterator[Entry]:
        statement = f"SELECT {self.columns.selected} FROM {self._table} {rest}"  # noqa: S608 - quoted names
        for row in self._connection.execute(statement, tuple(parameters)):
            if form.holds(row[self._time_at]):
                yield entry_of(row)


_MANY_ROWS = 100_000


def examine_index(history: TableHistory) -> Finding:
    """A finding about the index on ticker and time; without one, a warning as soon as the table is large."""
    columns = history.columns
    if columns.by_time:
        message = f"an index of {columns.table} serves metrics and logs"
        return Finding(severity=Severity.OK, code="ingest.index", message=message)
    rows = history.estimated_rows()
    severity = Severity.WARNING if rows is None or rows >= _MANY_ROWS else Severity.OK
    known = "" if rows is None else f" of about {rows} rows"
    message = f"metrics and logs read the whole table {columns.table}{known}; this would serve them: {columns.index_statement}"
    return Finding(severity=severity, code="ingest.no_index", message=message, where=columns.table)
