"""What SQLite complains of, in words that are the same for a source and for its copy.

They are recorded in manifests and compared years later: what is said here must not be reworded.
"""

from __future__ import annotations

import hashlib
import re
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, Literal

from ops.model.findings import Finding, Severity
from ops.sources.sqlite.schema import quoted

ForeignKeys = Literal["check", "warn", "ignore"]
Check = Callable[[sqlite3.Connection], list[Finding]]

NOT_INSTALLED: Final = re.compile(
    r"no such (module|collation sequence|function)|unknown function|unknown tokenizer|no such tokenizer"
    # Of a table that is sorted by a collation that is not there.
    r"|no query solution"
)
_MOST_LINES: Final = 1_000_000
"""SQLite stops after a hundred complaints where it is not told another number."""
_MOST_SHOWN: Final = 20
_ABOUT: Final = "integrity_check"
_OF_INDEX: Final = re.compile(
    r"(?:row \d+ missing from index|row \d+ values differ from index|wrong # of entries in index"
    r"|non-unique entry in index) (.+)\Z",
    re.DOTALL,
)
_OF_RULE: Final = re.compile(
    r"(?:(?:NULL|TEXT|NUMERIC|non-[A-Z]+) value in|CHECK constraint failed in) (.+)\Z", re.DOTALL
)
_MISMATCH: Final = "foreign key mismatch"


def pragma(name: str) -> Check:
    """Return the check that `quick_check` or `integrity_check` makes, of the whole file or of a table in parentheses."""
    call = name if "(" in name else f"{name}({_MOST_LINES})"

    def check(connection: sqlite3.Connection) -> list[Finding]:
        lines = (str(row[0]) for row in connection.execute(f"PRAGMA {call}"))
        return _told(line for line in lines if line != "ok")

    return check


def _told(lines: Iterable[str]) -> list[Finding]:
    """One finding for each thing that something is wrong with: its first line, and which and how many more there are."""
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    read = 0
    for line in lines:
        read += 1
        groups[_code_and_place(line)].append(line)
    findings = [_finding(code, where, found) for (code, where), found in groups.items()]
    shown = findings[:_MOST_SHOWN]
    if len(findings) > len(shown) or read >= _MOST_LINES:
        # About nothing in particular: nobody can tell whether it is the same as in the source.
        shown.append(damage(f"and {len(findings) - len(shown)} more places, after {read} complaints", ""))
    return shown


def _code_and_place(line: str) -> tuple[str, str]:
    if NOT_INSTALLED.search(line):
        return "sqlite.not_installed", line
    if index := _OF_INDEX.match(line):
        return "sqlite.damaged", index[1]
    if rule := _OF_RULE.match(line):
        return "sqlite.constraint", rule[1]
    return "sqlite.damaged", _ABOUT


def _finding(code: str, where: str, lines: list[str]) -> Finding:
    if code == "sqlite.not_installed":
        return not_installed(_ABOUT, where)
    message = lines[0]
    if len(lines) > 1:
        digest = hashlib.sha256("\0".join(sorted(lines)).encode("utf-8", "surrogateescape")).hexdigest()
        message += f" (and {len(lines) - 1} more; digest {digest[:16]})"
    return Finding(severity=Severity.CRITICAL, code=code, message=message, where=where)


def damage(message: str, where: str) -> Finding:
    """Return the finding that a file is damaged."""
    return Finding(severity=Severity.CRITICAL, code="sqlite.damaged", message=message, where=where)


def not_installed(where: str, what: str) -> Finding:
    """Return the finding that something could not be checked without what only the application has."""
    return Finding(
        severity=Severity.WARNING,
        code="sqlite.not_installed",
        message=f"{where}: {what}; only the application has it, so this could not be checked here",
        where=where,
        blocking=True,
    )


def not_loaded(extension: Path, why: str, *, blocking: bool) -> Finding:
    """Return the warning that an extension cannot be loaded here."""
    return Finding(
        severity=Severity.WARNING,
        code="sqlite.not_loaded",
        message=f"extension {extension} cannot be loaded: {why}; what needs it was not checked",
        where=str(extension),
        blocking=blocking,
    )


def broken_references(connection: sqlite3.Connection, severity: Severity) -> list[Finding]:
    """Return the tables whose rows refer to rows that are not there, and those whose foreign keys cannot be checked."""
    findings = unusable_keys(connection, severity)
    unusable = {finding.where for finding in findings}
    for table in _with_keys(connection):
        if table in unusable:
            continue
        rows = connection.execute(f"PRAGMA foreign_key_check({quoted(table)})")
        for parent, count in Counter(row[2] for row in rows).items():
            message = f"{count} rows of {table} refer to rows of {parent} that are not there"
            findings.append(
                Finding(severity=severity, code="sqlite.foreign_key", message=message, where=table)
            )
    return findings


def unusable_keys(connection: sqlite3.Connection, severity: Severity) -> list[Finding]:
    """Return the tables whose foreign keys name no unique key of their parent; reads only the schema.

    Whether references hold is then an open question, where that is asked at all.
    """
    findings = []
    for table in _with_keys(connection):
        try:
            # Compiled and not run: that is where SQLite looks for the key.
            connection.execute(f"EXPLAIN PRAGMA foreign_key_check({quoted(table)})").fetchall()
        except sqlite3.OperationalError as error:
            if _MISMATCH not in str(error):
                raise
            findings.append(
                Finding(
                    severity=Severity.WARNING,
                    code="sqlite.foreign_key_mismatch",
                    message=f"foreign keys of {table} cannot be checked: {error}",
                    where=table,
                    blocking=severity is Severity.CRITICAL,
                )
            )
    return findings


def _with_keys(connection: sqlite3.Connection) -> list[str]:
    rows = connection.execute(
        "SELECT DISTINCT s.name FROM sqlite_schema AS s, pragma_foreign_key_list(s.name)"
        " WHERE s.type = 'table' ORDER BY s.name"
    )
    return [str(name) for (name,) in rows]
