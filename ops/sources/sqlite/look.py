"""A look at a source itself, inside the read transaction of its capture: what SQLite complains of there."""

from __future__ import annotations

import sqlite3
from functools import partial
from pathlib import Path
from typing import Final

from ops.model.complaints import COMPLAINTS
from ops.model.findings import Finding, Severity
from ops.sources.sqlite.check import failed_check
from ops.sources.sqlite.complain import Check, ForeignKeys, broken_references, pragma, unusable_keys
from ops.sources.sqlite.connection import translated_errors

ALWAYS_UP_TO: Final = 32 << 20
"""Bytes up to which a database is looked at whole at every capture: some tenths of a second."""


def look_at_source(
    connection: sqlite3.Connection, path: Path, foreign_keys: ForeignKeys, *, asked: bool
) -> list[Finding]:
    """Return what SQLite complains of in the snapshot that `connection` holds, in the words of a check of the copy.

    Foreign keys that cannot be checked are seen at once. All else takes the time of reading everything: it is looked for
    in a small database, and where it is `asked` for in one with a log; without one, writers would wait for it.
    """
    with translated_errors(path, "looking at the schema"):
        (size,) = connection.execute(
            "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
        ).fetchone()
        (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    severity = Severity.CRITICAL if foreign_keys == "check" else Severity.WARNING
    if size > ALWAYS_UP_TO and not (asked and mode == "wal"):
        if foreign_keys == "ignore":
            return []
        check = partial(unusable_keys, severity=severity)
        return _complaints(_looked(connection, path, "foreign_key_check", check))
    found = _looked(connection, path, "integrity_check", pragma("integrity_check"))
    if _complaints(found):
        # A quick look at the backup has its own words for some of it.
        found += _looked(connection, path, "quick_check", pragma("quick_check"))
    if foreign_keys != "ignore":
        found += _looked(connection, path, "foreign_key_check", partial(broken_references, severity=severity))
    # Views are not read here: one may take as long as it likes, and the source waits.
    return _complaints(found)


def _complaints(found: list[Finding]) -> list[Finding]:
    return list(dict.fromkeys(item for item in found if item.code in COMPLAINTS))


def _looked(connection: sqlite3.Connection, path: Path, name: str, check: Check) -> list[Finding]:
    try:
        return check(connection)
    except sqlite3.Error as error:
        return [failed_check(error, path, name)]
