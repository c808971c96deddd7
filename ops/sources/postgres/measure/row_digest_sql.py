"""Row counts and content digests, computed by the server where the rows are.

A row's hash is a 64-bit number; the numbers of all rows are added up, so that the order in which rows lie does not
matter and every server process can sum a part. Two ways to hash a row are known, and never compared:

`record-hash-2` (servers 14 and newer): hash_record_extended over the columns. Types whose equality is identity are
hashed as they are; every other value as the text that its type's own output function gives, so that -0.0, 1.00 and 'A' in a
case-insensitive type are not taken for 0.0, 1.0 and 'a', and no cast of the user's own decides what is seen.
`text-hash-2` (older servers): hashtextextended over the text of the whole row.

Columns stand in the order of their names: a restore may put those of an inherited table in another order. The forms that
end with 1 are those of earlier versions, whose columns stood in the table's order; manifests that have them are compared by
them.

The hash functions are those of hash partitioning, whose results PostgreSQL keeps the same between versions, since
partitions are found by them after an upgrade.
Source: https://www.postgresql.org/docs/current/ddl-partitioning.html, src/backend/access/hash/README
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Final

from ops.sources.postgres.catalog.identifiers import quoted
from ops.sources.postgres.catalog.tables import Column, Table

RECORD_HASH: Final = "record-hash-2"
TEXT_HASH: Final = "text-hash-2"
EARLIER_RECORD_HASH: Final = "record-hash-1"
EARLIER_TEXT_HASH: Final = "text-hash-1"
_RECORDS: Final = (RECORD_HASH, EARLIER_RECORD_HASH)
_BY_NAME: Final = (RECORD_HASH, TEXT_HASH)
_RECORD_HASH_SINCE: Final = 140000
_AS_THEY_ARE: Final = frozenset(
    ("int2", "int4", "int8", "bool", "date", "timestamp", "timestamptz", "uuid", "oid", "bytea", "macaddr")
)
_TEXTS: Final = frozenset(("text", "varchar"))


def algorithm_for(version: int) -> str:
    """The better algorithm that a server of this version has."""
    return RECORD_HASH if version >= _RECORD_HASH_SINCE else TEXT_HASH


def measuring_query(table: Table, algorithm: str | None, where: str = "TRUE") -> str:
    """The statement that gives `rows` and `total` (text; the sum of the rows' hashes) of a table.

    Without algorithm only rows are counted; `where` is an SQL condition on them.
    """
    place = table.sql if table.gathered else f"ONLY {table.sql}"
    if table.condition:
        # As pg_dump asks for them: with a condition, and without ONLY.
        place = f"(SELECT * FROM {table.sql} {table.condition})"
    if algorithm is None:
        return f"SELECT count(*) AS rows, '' AS total FROM {place} AS t WHERE {where}"
    columns = _ordered(table, algorithm)
    if algorithm in _RECORDS:
        values = ", ".join(_hashable(column, algorithm) for column in columns)
        row_hash = f"hash_record_extended(ROW({values}), 0)"
    else:
        values = ", ".join(f"t.{quoted(column.name)}" for column in columns)
        row_hash = f'hashtextextended(ROW({values})::text COLLATE "C", 0)'
    return f"SELECT count(*) AS rows, coalesce(sum({row_hash}), 0)::text AS total FROM {place} AS t WHERE {where}"


def _ordered(table: Table, algorithm: str) -> Sequence[Column]:
    return sorted(table.columns, key=lambda column: column.name) if algorithm in _BY_NAME else table.columns


def _hashable(column: Column, algorithm: str) -> str:
    name = f"t.{quoted(column.name)}"
    if column.type in _AS_THEY_ARE or (column.type == "numeric" and column.typmod >= 0):
        return name
    if column.type in _TEXTS:
        return f'{name} COLLATE "C"'
    if algorithm == EARLIER_RECORD_HASH:
        return f'{name}::text COLLATE "C"'
    # concat() calls the output function, which no cast replaces. A row of NULLs is NULL to IS NULL, and not to DISTINCT.
    return f'CASE WHEN {name} IS DISTINCT FROM NULL THEN concat({name}) END COLLATE "C"'


def table_digest(table: Table, algorithm: str, rows: int, total: str) -> str:
    """The hex digest of a table from its columns, its row count and the sum of its rows' hashes."""
    names = [column.name for column in _ordered(table, algorithm)]
    content = json.dumps([algorithm, names, rows, total], separators=(",", ":"))
    return hashlib.sha256(content.encode()).hexdigest()
