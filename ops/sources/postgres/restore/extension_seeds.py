"""Rows that CREATE EXTENSION brings and an archive carries as well, because the extension calls them the user's.

pg_dump dumps all rows that meet the extension's condition. Where its script puts in such rows itself, they would come twice:
the table's rows are then refused as a whole. So what the extension brought goes before the archive's rows come.
Source: https://www.postgresql.org/docs/current/extend-extensions.html#EXTEND-EXTENSIONS-CONFIG-TABLES
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from ops.sources.postgres.catalog.identifiers import literal, parse_shown, qualified
from ops.sources.postgres.catalog.requirements import ExtensionRows
from ops.sources.postgres.dump.archive import Entry

_FIRST: Final = ("SCHEMA ", "EXTENSION ")


def extensions_first(entries: Sequence[Entry]) -> tuple[list[Entry], list[Entry]]:
    """Return the entries that make schemas and extensions, and all others."""
    first = [entry for entry in entries if entry.rest.startswith(_FIRST)]
    return first, [entry for entry in entries if not entry.rest.startswith(_FIRST)]


def without_seeds(tables: Mapping[str, ExtensionRows]) -> str:
    """Return the statements that empty these tables of what meets their condition, by the names that they are shown with.

    A table that is not there, or is not ours to change, stays as it is: what comes of that is said by the load.
    """
    return "".join(f"DO {literal(_emptied(name, rows.condition))};\n" for name, rows in tables.items())


def _emptied(name: str, condition: str) -> str:
    table = qualified(*parse_shown(name))
    return (
        f"BEGIN IF to_regclass({literal(table)}) IS NOT NULL THEN"
        f" EXECUTE {literal(f'DELETE FROM ONLY {table} {condition}')}; END IF;"
        " EXCEPTION WHEN insufficient_privilege OR undefined_column OR undefined_function THEN NULL; END"
    )
