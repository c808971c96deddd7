"""SQLite's own checks on a copy that nobody writes, as findings.

`integrity_check` compares every index entry with its row and is by far the slowest of all checks; it takes a
table name since SQLite 3.33, so large databases are checked a table at a time on all cores. What the
per-table form leaves out (free pages, pages that belong to nothing) the whole-file `quick_check` covers.
Source: https://www.sqlite.org/pragma.html#pragma_integrity_check
"""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, Literal

from ops.errors import SourceError
from ops.model.blame import says_damage
from ops.model.evidence import Level
from ops.model.findings import Finding, Severity
from ops.proc import worker_count
from ops.sources.sqlite.connection import connect_still, require_database_file, translate
from ops.sources.sqlite.schema import quoted

ForeignKeys = Literal["check", "warn", "ignore"]

_SPLIT_FROM_BYTES: Final = 16 << 20
_MOST_SHOWN: Final = 20
_NOT_INSTALLED: Final = re.compile(
    r"no such (module|collation sequence|function)|unknown tokenizer|no such tokenizer"
)


def check_database(path: Path, level: Level, foreign_keys: ForeignKeys) -> list[Finding]:
    """All that SQLite finds wrong with the file at `path`, or one OK finding a check.

    `quick`: header and `quick_check`. `full`: `integrity_check`, `foreign_key_check`, and every table and
    view is read from. What needs a module or collation that only the application has is a blocking warning.
    """
    try:
        require_database_file(path)
    except SourceError as error:
        return [_told(error, "")]
    if level is Level.QUICK:
        return _run(path, "quick_check", _pragma("quick_check"))
    findings = _integrity(path)
    if foreign_keys != "ignore":
        severity = Severity.CRITICAL if foreign_keys == "check" else Severity.WARNING
        findings += _run(path, "foreign_key_check", lambda connection: _foreign_keys(connection, severity))
    return findings + _run(path, "read every table and view", _smoke)


Check = Callable[[sqlite3.Connection], list[Finding]]


def _run(path: Path, name: str, check: Check) -> list[Finding]:
    """What `check` finds; one OK finding when that is nothing, one critical or blocking one when it fails."""
    try:
        with contextlib.closing(connect_still(path)) as connection:
            findings = check(connection)
    except sqlite3.Error as error:
        if _NOT_INSTALLED.search(str(error)):
            return [_not_installed(name, str(error))]
        return [_told(translate(error, path, name), name)]
    except OSError as error:
        return [_told(SourceError(f"{path}: {error.strerror}"), name)]
    return findings or [Finding(severity=Severity.OK, code="sqlite.check", message=f"{name}: ok")]


def _told(error: SourceError, where: str) -> Finding:
    """Critical where the error says something of the data; else the question is open: a disk that went, an I/O error."""
    if says_damage(error.code):
        return Finding(severity=Severity.CRITICAL, code=error.code, message=error.message, where=where)
    return Finding(
        severity=Severity.WARNING, code=error.code, message=error.message, where=where, blocking=True
    )


def _not_installed(where: str, what: str) -> Finding:
    return Finding(
        severity=Severity.WARNING,
        code="sqlite.not_installed",
        message=f"{where}: {what}; only the application has it, so this could not be checked here",
        where=where,
        blocking=True,
    )


def _pragma(call: str) -> Check:
    def check(connection: sqlite3.Connection) -> list[Finding]:
        lines = [str(row[0]) for row in connection.execute(f"PRAGMA {call}").fetchall()]
        return [_damage(line) for line in lines[:_MOST_SHOWN] if line != "ok"]

    return check


def _damage(line: str) -> Finding:
    if _NOT_INSTALLED.search(line):
        return _not_installed("integrity_check", line)
    return Finding(severity=Severity.CRITICAL, code="sqlite.damaged", message=line, where="integrity_check")


def _integrity(path: Path) -> list[Finding]:
    if path.stat().st_size < _SPLIT_FROM_BYTES:
        return _run(path, "integrity_check", _pragma("integrity_check"))
    try:
        with contextlib.closing(connect_still(path)) as connection:
            names = connection.execute(
                "SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0"
            ).fetchall()
    except sqlite3.Error:
        return _run(path, "integrity_check", _pragma("integrity_check"))
    calls = ["quick_check", *(f"integrity_check({quoted(name)})" for (name,) in names)]
    # The checks run inside SQLite with the interpreter lock released: threads are enough.
    with ThreadPoolExecutor(worker_count()) as pool:
        found = list(pool.map(lambda call: _run(path, call, _pragma(call)), calls))
    problems = [finding for findings in found for finding in findings if finding.severity is not Severity.OK]
    message = (
        f"integrity_check: ok ({len(names)} tables, each with its indexes; quick_check of the whole file)"
    )
    return problems or [Finding(severity=Severity.OK, code="sqlite.check", message=message)]


def _foreign_keys(connection: sqlite3.Connection, severity: Severity) -> list[Finding]:
    rows = connection.execute("PRAGMA foreign_key_check").fetchmany(_MOST_SHOWN + 1)
    more = " (and more)" if len(rows) > _MOST_SHOWN else ""
    counts: dict[tuple[str, str], int] = {}
    for table, _, parent, _ in rows:
        counts[table, parent] = counts.get((table, parent), 0) + 1
    return [
        Finding(
            severity=severity,
            code="sqlite.foreign_key",
            message=f"{count}{more} rows of {table} refer to rows of {parent} that are not there",
            where=table,
            inherited=True,
        )
        for (table, parent), count in counts.items()
    ]


def _smoke(connection: sqlite3.Connection) -> list[Finding]:
    names = connection.execute(
        "SELECT name, type FROM sqlite_schema WHERE type IN ('table', 'view')"
    ).fetchall()
    findings = []
    for name, kind in names:
        try:
            connection.execute(f"SELECT * FROM {quoted(name)} LIMIT 1").fetchone()
        except sqlite3.OperationalError as error:
            if _NOT_INSTALLED.search(str(error)):
                findings.append(_not_installed(f"{kind} {name}", str(error)))
            elif "decode" in str(error).lower():
                continue
            elif kind == "view":
                # A view can be broken in the source itself (a table was renamed): no loss of data.
                findings.append(_broken_view(name, str(error)))
            else:
                raise
    return findings


def _broken_view(name: str, error: str) -> Finding:
    message = f"view {name} can not be read: {error}"
    return Finding(severity=Severity.WARNING, code="sqlite.view_broken", message=message, where=name)
