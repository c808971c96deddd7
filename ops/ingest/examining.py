"""Whether questions about the ingest history are answered by an index, or by reading all of it."""

from __future__ import annotations

from ops.ingest.table import TableHistory
from ops.model import Finding, Severity

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
