"""SQLite's own checks on a copy that nobody writes, as findings.

`integrity_check` compares every index entry with its row and is by far the slowest of all checks; it takes a
table name since SQLite 3.33, so large databases are checked a table at a time on all cores. What the
per-table form leaves out (free pages, pages that belong to nothing) the whole-file `quick_check` covers.
Source: https://www.sqlite.org/pragma.html#pragma_integrity_check
"""

from __future__ import annotations

import contextlib
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final

from ops.errors import SourceCorruptError, SourceError
from ops.model.blame import says_damage
from ops.model.evidence import Level
from ops.model.findings import Finding, Severity, worst
from ops.proc import worker_count
from ops.sources.sqlite.complain import (
    NOT_INSTALLED,
    Check,
    ForeignKeys,
    broken_references,
    damage,
    not_installed,
    pragma,
)
from ops.sources.sqlite.connection import Extensions, connect_still, require_database_file, translate
from ops.sources.sqlite.schema import is_utf8, quoted

_SPLIT_FROM_BYTES: Final = 16 << 20


def check_database(
    path: Path, level: Level, foreign_keys: ForeignKeys, extensions: Extensions = ()
) -> list[Finding]:
    """All that SQLite finds wrong with the file at `path`, or one OK finding a check.

    `quick`: header and `quick_check`. `full`: `integrity_check`, `foreign_key_check`, and every table and
    view is read from. What needs a module or collation that only the application has is a blocking warning.
    """
    try:
        require_database_file(path)
    except SourceError as error:
        return [_told(error, "")]
    if level is Level.QUICK:
        return _run(path, extensions, "quick_check", pragma("quick_check"))
    findings = _integrity(path, extensions)
    if foreign_keys != "ignore":
        severity = Severity.CRITICAL if foreign_keys == "check" else Severity.WARNING
        findings += _run(path, extensions, "foreign_key_check", partial(broken_references, severity=severity))
    return findings + _run(path, extensions, "read every table and view", _smoke)


def _run(path: Path, extensions: Extensions, name: str, check: Check) -> list[Finding]:
    """What `check` finds; one OK finding when that is nothing, one critical or blocking one when it fails."""
    try:
        with contextlib.closing(connect_still(path, extensions)) as connection:
            findings = check(connection)
    except sqlite3.Error as error:
        return [failed_check(error, path, name)]
    except OSError as error:
        return [_told(SourceError(f"{path}: {error.strerror}"), name)]
    return findings or [Finding(severity=Severity.OK, code="sqlite.check", message=f"{name}: ok")]


def failed_check(error: sqlite3.Error, path: Path, name: str) -> Finding:
    """Return what it says of a database that a check of it ended with an error."""
    if NOT_INSTALLED.search(str(error)):
        return not_installed(name, str(error))
    told = translate(error, path, name)
    if isinstance(told, SourceCorruptError):
        # In words without a path, so that they are the same for the source and its copy.
        return damage(f"{name}: {error}", name)
    return _told(told, name)


def _told(error: SourceError, where: str) -> Finding:
    """Critical where the error says something of the data; else the question is open: a disk that went, an I/O error."""
    if says_damage(error.code):
        return Finding(severity=Severity.CRITICAL, code=error.code, message=error.message, where=where)
    return Finding(
        severity=Severity.WARNING, code=error.code, message=error.message, where=where, blocking=True
    )


def _integrity(path: Path, extensions: Extensions) -> list[Finding]:
    if path.stat().st_size < _SPLIT_FROM_BYTES:
        return _run(path, extensions, "integrity_check", pragma("integrity_check"))
    try:
        with contextlib.closing(connect_still(path)) as connection:
            names = connection.execute(
                "SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0"
            ).fetchall()
    except sqlite3.Error:
        return _run(path, extensions, "integrity_check", pragma("integrity_check"))
    calls = ["quick_check", *(f"integrity_check({quoted(name)})" for (name,) in names)]
    # The checks run inside SQLite with the interpreter lock released: threads are enough.
    with ThreadPoolExecutor(worker_count()) as pool:
        found = list(pool.map(lambda call: _run(path, extensions, call, pragma(call)), calls))
    problems = [finding for findings in found for finding in findings if finding.severity is not Severity.OK]
    if any(finding.severity is Severity.CRITICAL for finding in problems):
        # In the words in which a look at the source has recorded it, and all of it.
        whole = _run(path, extensions, "integrity_check", pragma("integrity_check"))
        return whole if worst(whole) is not Severity.OK else problems
    message = (
        f"integrity_check: ok ({len(names)} tables, each with its indexes; quick_check of the whole file)"
    )
    return problems or [Finding(severity=Severity.OK, code="sqlite.check", message=message)]


def _smoke(connection: sqlite3.Connection) -> list[Finding]:
    names = connection.execute(
        "SELECT name, type FROM sqlite_schema WHERE type IN ('table', 'view')"
    ).fetchall()
    findings = []
    for name, kind in names:
        if not is_utf8(name):
            findings.append(_unnamable(kind, name))
            continue
        try:
            connection.execute(f"SELECT * FROM {quoted(name)} LIMIT 1").fetchone()
        except UnicodeDecodeError:
            continue  # the row was read; the name of one of its columns is not UTF-8
        except sqlite3.OperationalError as error:
            if NOT_INSTALLED.search(str(error)):
                findings.append(not_installed(f"{kind} {name}", str(error)))
            elif kind == "view":
                # A view can be broken in the source itself (a table was renamed): no loss of data.
                findings.append(_broken_view(name, str(error)))
            else:
                raise
    return findings


def _unnamable(kind: str, name: str) -> Finding:
    shown = name.encode(errors="backslashreplace").decode()
    message = f"{kind} {shown}: its name is not UTF-8, so no statement can read it here"
    return Finding(
        severity=Severity.WARNING, code="sqlite.not_installed", message=message, where=shown, blocking=True
    )


def _broken_view(name: str, error: str) -> Finding:
    message = f"view {name} cannot be read: {error}"
    return Finding(severity=Severity.WARNING, code="sqlite.view_broken", message=message, where=name)
