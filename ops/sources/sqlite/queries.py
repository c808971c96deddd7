"""Answers to the operator's assertions from a restored database."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from pathlib import Path
from typing import Final

from ops.errors import ConfigError
from ops.model.close_names import did_you_mean
from ops.sources.sqlite.connection import Extensions, connect_still
from ops.sources.sqlite.schema import quoted

_MOST_ROWS: Final = 100
_NO_TABLE: Final = re.compile(r"no such table: (?:main\.)?(.+)")


def answer(path: Path, sql: str, extensions: Extensions = ()) -> list[tuple[object, ...]]:
    """The first hundred rows of one read-only statement on the database at `path`.

    Raises ConfigError when SQLite does not accept the statement: the assertion is wrong, not the backup.
    """
    try:
        with contextlib.closing(connect_still(path, extensions)) as connection:
            connection.set_authorizer(_only_this_file)
            connection.text_factory = str
            return connection.execute(sql).fetchmany(_MOST_ROWS)
    # What is no text in UTF-8 never reaches SQLite.
    except (sqlite3.Error, UnicodeEncodeError) as error:
        hint = f"{_meant(path, str(error))}try the statement with sqlite3 on the live database"
        raise ConfigError(f"assertion cannot be asked: {error} in {sql!r}", hint=hint) from error


def _meant(path: Path, said: str) -> str:
    """The table that a wrong name probably means, as the beginning of a hint; empty where it is about no table."""
    wrong = _NO_TABLE.search(said)
    if wrong is None:
        return ""
    with contextlib.suppress(sqlite3.Error), contextlib.closing(connect_still(path)) as connection:
        found = connection.execute(
            "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view')"
        ).fetchall()
        meant = did_you_mean(wrong[1], (str(name) for (name,) in found))
        return f"{meant} else " if meant else ""
    return ""


def _only_this_file(action: int, *_: object) -> int:
    """Deny other files: ATTACH and VACUUM INTO make one, also from a connection that only reads."""
    return sqlite3.SQLITE_DENY if action == sqlite3.SQLITE_ATTACH else sqlite3.SQLITE_OK


def count_rows(path: Path, table: str, extensions: Extensions = ()) -> int:
    """The rows of `table`; raises ConfigError when there is no such table."""
    ((count,),) = answer(path, f"SELECT count(*) FROM {quoted(table)}", extensions)
    return int(str(count))


def newest(path: Path, column: str, extensions: Extensions = ()) -> object:
    """The greatest value of `table.column`, None when there is none; raises ConfigError when it is not there."""
    table, _, name = column.rpartition(".")
    # In double quotes an unknown column would silently become a string: table.column cannot.
    ((value,),) = answer(path, f"SELECT max(t.{quoted(name)}) FROM {quoted(table)} AS t", extensions)
    return value
