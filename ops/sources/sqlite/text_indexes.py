"""Full-text indexes that keep no text of their own: after their table was replaced they are built anew.

An index of another table's content is kept right by triggers, which do not fire for rows that a restore puts back.
Source: https://www.sqlite.org/fts5.html#external_content_tables, https://www.sqlite.org/fts3.html#_external_content_fts4_tables_
"""

from __future__ import annotations

import re
import sqlite3
from typing import Final

from ops.model.findings import Finding, Severity
from ops.sources.sqlite.schema import quoted

_MODULE: Final = re.compile(r"\bUSING\s+[\"'`\[]?fts[45]\b", re.IGNORECASE)
_CONTENT: Final = re.compile(
    r"[(,]\s*content\s*=\s*(?:\"((?:[^\"]|\"\")*)\"|'((?:[^']|'')*)'|`([^`]*)`|\[([^\]]*)\]|([^\s,)]+))",
    re.IGNORECASE,
)


def rebuild_text_indexes(connection: sqlite3.Connection, table: str) -> list[Finding]:
    """Build every full-text index of the database `main` anew that takes its text from `table`, or from a view of it.

    Inside the caller's transaction. One finding for each: rebuilt, or a warning that it is stale, and what mends it.
    """
    findings = []
    for index in _indexes_of(connection, table):
        command = f"INSERT INTO {quoted(index)} ({quoted(index)}) VALUES ('rebuild')"
        try:
            connection.execute(f"INSERT INTO main.{quoted(index)} ({quoted(index)}) VALUES ('rebuild')")
        except sqlite3.OperationalError as error:
            message = f"full-text index {index} still has the old rows of {table}: {error}. Let the application run: {command}"
            findings.append(_finding(Severity.WARNING, "restore.index_stale", message, index))
        else:
            message = f"full-text index {index} was built anew over {table}"
            findings.append(_finding(Severity.OK, "restore.index_rebuilt", message, index))
    return findings


def _finding(severity: Severity, code: str, message: str, where: str) -> Finding:
    return Finding(severity=severity, code=code, message=message, where=where)


def _indexes_of(connection: sqlite3.Connection, table: str) -> list[str]:
    rows = connection.execute(
        "SELECT type, name, sql FROM main.sqlite_schema WHERE type IN ('table', 'view')"
    ).fetchall()
    # A view that names the table somewhere may show its rows: one index too many does no harm.
    word = re.compile(rf"(?<!\w){re.escape(table)}(?!\w)", re.IGNORECASE)
    meant = {table.lower()} | {
        name.lower() for kind, name, sql in rows if kind == "view" and word.search(sql)
    }
    return sorted(
        name
        for kind, name, sql in rows
        if kind == "table" and _MODULE.search(sql or "") and _content_of(sql) in meant
    )


def _content_of(sql: str) -> str:
    """The name, in small letters, that a definition gives as its content; empty without one."""
    match = _CONTENT.search(sql)
    if match is None:
        return ""
    double, single, *others = match.groups()
    if double is not None:
        return str(double).replace('""', '"').lower()
    if single is not None:
        return str(single).replace("''", "'").lower()
    return next(str(name) for name in others if name is not None).lower()
