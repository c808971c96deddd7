"""The history of ingest jobs in a file of JSON lines, one object each, read from its start to its end in every pass.

Programs mix several shapes in it: whole jobs, answers of a provider that were kept, rows that were rejected. A last line
without its end is being written, or was cut off by a crash; other lines that are none are counted and passed over.
"""

from __future__ import annotations

import heapq
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any, Final

from ops.errors import SourceError
from ops.ingest_monitor.entry import Entry, Kind
from ops.ingest_monitor.history import Query, is_wanted, newest_first
from ops.ingest_monitor.log_files import LogFiles
from ops.ingest_monitor.settings import ALIASES
from ops.ingest_monitor.table_columns import seconds, whole
from ops.ingest_monitor.timestamps import EPOCH, moment_of
from ops.model.findings import Finding, Severity

_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)\s*s", re.ASCII)
_RAW_NAME: Final = re.compile(r"(?:invalid-)?([A-Za-z0-9^=._-]+?)-\d{8}T\d{6}Z\.csv")


class LinesHistory:
    """See `History`. `columns`: names of the keys by field, where they are others."""

    def __init__(self, path: Path, columns: Mapping[str, str]) -> None:
        self._path, self._columns = path, columns
        self._files = LogFiles(path)
        self._bad = self._cut = 0

    @property
    def findings(self) -> Sequence[Finding]:
        """Lines that are none, as the last pass found them."""
        findings = []
        if self._bad:
            message = f"{self._bad} lines of {self._path} are no JSON objects, and were passed over"
            findings.append(Finding(severity=Severity.WARNING, code="ingest.line_invalid", message=message))
        if self._cut:
            message = f"the last line of {self._path} has no end: it is being written, or was cut off"
            findings.append(Finding(severity=Severity.OK, code="ingest.line_cut", message=message))
        return findings

    def tickers(self) -> list[str]:
        """From one pass."""
        return sorted({entry.ticker for entry in self._read() if entry.ticker is not None})

    def last_successes(self, tickers: Sequence[str]) -> Mapping[str, Entry]:
        """From one pass; of whole jobs only."""
        wanted, newest = set(tickers), dict[str, Entry]()
        for entry in self._read():
            if entry.ticker not in wanted or not entry.succeeded or entry.kind is not Kind.RUN:
                continue
            before = newest.get(entry.ticker)
            if entry.moment and (before is None or entry.moment > (before.moment or EPOCH)):
                newest[entry.ticker] = entry
        return newest

    def since(self, tickers: Sequence[str], moment: datetime) -> Iterator[Entry]:
        """From one pass."""
        query, wanted = Query(since=moment), {*tickers, None}
        return (entry for entry in self._read() if entry.ticker in wanted and is_wanted(entry, query))

    def newest(self, query: Query) -> list[Entry]:
        """From one pass that keeps no more than the page needs."""
        most, numbers = query.limit + query.offset, count()
        kept: list[tuple[datetime, int, Entry]] = []
        untimed: list[Entry] = []
        for entry in self._read():
            if not is_wanted(entry, query):
                continue
            begun = entry.begun
            if begun is None:
                untimed = [*untimed, entry][:most]
            elif len(kept) < most:
                heapq.heappush(kept, (begun, next(numbers), entry))
            elif most:
                heapq.heappushpop(kept, (begun, next(numbers), entry))
        return newest_first([*(entry for _, _, entry in kept), *untimed], query)

    def _read(self) -> Iterator[Entry]:
        self._bad = self._cut = 0
        try:
            for line in self._files.lines():
                if not line.endswith(b"\n"):
                    self._cut += 1
                elif not line.strip():
                    continue
                document = _document(line)
                if document is None:
                    self._bad += line.endswith(b"\n")
                    continue
                if not document.get("dry_run"):
                    yield self._entry(document)
        except OSError as error:
            message = f"the ingest log {self._path} cannot be read: {error.strerror}"
            raise SourceError(message, code="source.unreadable", hint="look at log in [ingest]") from error

    def _entry(self, document: Mapping[str, Any]) -> Entry:
        def value(field: str, *others: str) -> Any:  # noqa: ANN401 - of JSON
            names = (self._columns.get(field, field), *others)
            return next((document[name] for name in names if document.get(name) is not None), None)

        kind = _kind(document)
        persist = document.get("persist") if isinstance(document.get("persist"), dict) else {}
        rows = value("rows_fetched", ALIASES["rows_fetched"])
        at = value("finished_at", *(() if kind is Kind.RUN else ("created_at",)))
        return Entry(
            ticker=_text(value("ticker")) or _ticker_of(value("filepath", "raw_file")),
            job_id=_text(value("job_id")),
            started_at=moment_of(value("started_at", "fetched_at", *(() if at else ("created_at",)))),
            finished_at=moment_of(at),
            rows_fetched=whole(rows if rows is not None else (persist or {}).get("rows_processed")),
            status=_text(value("status")) or ("invalid" if kind is Kind.INVALID else None),
            error_message=_text(value("error_message")),
            duration_ms=_milliseconds(value("duration_ms"), document.get("duration")),
            provider=_text(value("provider", ALIASES["provider"])),
            attempt=whole(value("attempt")),
            retry_after=seconds(value("retry_after")),
            kind=kind,
            invalid_rows=whole(document.get("invalid_count")),
        )


def _document(line: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _kind(document: Mapping[str, Any]) -> Kind:
    if "invalid_count" in document:
        return Kind.INVALID
    is_raw = "raw_checksum" in document and "finished_at" not in document
    return Kind.RAW if is_raw else Kind.RUN


def _ticker_of(path: object) -> str | None:
    """The ticker in the name of a file that holds a provider's answer."""
    match = _RAW_NAME.fullmatch(Path(path).name) if isinstance(path, str) else None
    return match[1] if match else None


def _milliseconds(milliseconds: object, duration: object) -> int | None:
    if milliseconds is not None:
        return whole(milliseconds)
    match = _DURATION.fullmatch(duration.strip()) if isinstance(duration, str) else None
    return round(float(match[1]) * 1000) if match else None


def _text(value: object) -> str | None:
    if value is None or value == "":
        return None
    return value if isinstance(value, str) else json.dumps(value)
