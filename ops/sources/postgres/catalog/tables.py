"""Which tables a database has, asked of its catalogs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from ops.sources.postgres.catalog.identifiers import qualified, shown
from ops.sources.postgres.catalog.objects import NO_MEMBER, USER_SCHEMA
from ops.sources.postgres.connect.session import Session

# A table that was dropped a moment ago has no size and no rights; that it is gone is noticed when it is locked.
_TABLES: Final = f"""
SELECT c.oid::bigint AS oid, n.nspname AS schema, c.relname AS name, c.relkind::text AS kind,
       c.relpersistence::text AS persistence, c.relrowsecurity AS row_security,
       coalesce(pg_table_size(c.oid), 0) AS bytes, pg_get_userbyid(c.relowner) AS owner,
       coalesce(has_table_privilege(c.oid, 'SELECT') AND has_schema_privilege(n.oid, 'USAGE'), TRUE) AS readable,
       row_security_active(c.oid) AS filtered, c.relispartition AS is_partition,
       (SELECT inhparent::bigint FROM pg_inherits h WHERE c.relispartition AND h.inhrelid = c.oid) AS parent
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'f', 'm') AND c.relpersistence <> 't' AND {USER_SCHEMA}
  AND {NO_MEMBER.format("'pg_class'", "c.oid")}
ORDER BY n.nspname, c.relname
"""

_COLUMNS: Final = """
SELECT a.attrelid::bigint AS oid, a.attname AS name, t.typname AS type, a.atttypmod AS typmod, tn.nspname AS type_schema,
       a.attgenerated <> '' AS generated
FROM pg_attribute a
LEFT JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_namespace tn ON tn.oid = t.typnamespace
WHERE a.attrelid = ANY (ARRAY[{oids}]::oid[]) AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated <> 'v'
ORDER BY a.attrelid, a.attnum
"""


@dataclass(frozen=True, slots=True)
class Column:
    """A column whose values are stored: its name, its type's schema and name, and the type's modifier (-1: none).

    `generated`: the server computes it, so that it cannot be loaded.
    """

    name: str
    type: str
    typmod: int
    generated: bool


@dataclass(frozen=True, slots=True)
class Table:
    """One table-like relation. `kind` and `persistence` are pg_class's letters; `bytes` without indexes.

    `parent`: the oid of the table that it is a partition of. `gathered`: it stands for its partitions, see `gathered_tables`. `condition`: which rows a dump carries, as SQL that begins with WHERE (empty: all). `readable`: our role may read it. `filtered`: row security would hide rows from our role.
    """

    oid: int
    schema: str
    name: str
    kind: str
    persistence: str
    row_security: bool
    bytes: int
    owner: str
    readable: bool
    filtered: bool
    is_partition: bool
    parent: int | None
    columns: tuple[Column, ...] = ()
    gathered: bool = False
    condition: str = ""

    @property
    def sql(self) -> str:
        """Its name in SQL."""
        return qualified(self.schema, self.name)

    @property
    def shown(self) -> str:
        """Its name in manifests."""
        return shown(self.schema, self.name)

    @property
    def holds_rows(self) -> bool:
        """Whether it has rows of its own that a dump carries: no partitioned parent, foreign table or view."""
        return self.kind == "r" or self.gathered


def list_tables(session: Session) -> list[Table]:
    """All tables, partitioned and foreign tables and materialized views that belong to no extension."""
    rows = session.rows(_TABLES)
    columns = columns_of(session, [row["oid"] for row in rows])
    return [Table(**row, columns=tuple(columns[row["oid"]])) for row in rows]


def columns_of(session: Session, oids: Sequence[int]) -> Mapping[int, Sequence[Column]]:
    """Return the columns of these tables, by oid, in the order of the table; an unknown oid has none."""
    columns: dict[int, list[Column]] = defaultdict(list)
    if not oids:
        return columns
    for row in session.rows(_COLUMNS.format(oids=",".join(map(str, oids)))):
        kind = row["type"] if row["type_schema"] == "pg_catalog" else f"{row['type_schema']}.{row['type']}"
        columns[row["oid"]].append(Column(row["name"], kind, row["typmod"], row["generated"]))
    return columns


# Operator classes for these hash the numbers of enumerations' labels, which are others in each database.
_GATHERED: Final = """
WITH RECURSIVE roots AS (
  SELECT p.partrelid AS oid FROM pg_partitioned_table p WHERE p.partstrat = 'h' AND EXISTS (
    SELECT FROM unnest(p.partclass) k JOIN pg_opclass o ON o.oid = k
    WHERE o.opcintype IN ('anyenum'::regtype, 'anyarray'::regtype, 'record'::regtype, 'anyrange'::regtype))
), family AS (
  SELECT oid, oid AS root FROM roots UNION SELECT h.inhrelid, f.root FROM pg_inherits h JOIN family f ON h.inhparent = f.oid
)
SELECT oid::bigint AS oid, root::bigint AS root FROM family WHERE oid <> root
"""


def gathered_tables(session: Session, tables: Sequence[Table]) -> list[Table]:
    """Return the tables with one in the place of all partitions whose rows another database would distribute otherwise.

    Those are partitions by hash of an enumeration (or of what may hold one). Where only some partitions are among the tables,
    without the one that they are of, they stay.
    """
    there = {table.oid for table in tables}
    root_of = {row["oid"]: row["root"] for row in session.rows(_GATHERED) if row["root"] in there}
    roots = set(root_of.values()) - root_of.keys()
    return [
        replace(table, gathered=True) if table.oid in roots else table
        for table in tables
        if table.oid not in root_of
    ]
