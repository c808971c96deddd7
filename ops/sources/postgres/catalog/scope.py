"""What of a database a backup takes: which tables, which archives, and what is outside of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ops.errors import SourceError
from ops.sources.postgres.catalog.identifiers import literal, parse_shown, qualified, quoted, shown
from ops.sources.postgres.catalog.tables import Table
from ops.sources.postgres.connect.session import Session
from ops.sources.postgres.options import PostgresOptions

WHOLE: Final = frozenset(("full", "data"))
"""Scopes that hold all rows of all tables, and the large objects."""
WITHOUT_ROWS: Final = frozenset(("schema",))
_WITHOUT_ROWS: Final = ("m", "f")
PARTIAL: Final = frozenset(("data", "tables", "schemas", "tenant"))
"""Scopes whose main archive cannot be restored alone: the whole schema is dumped beside it."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Which tables the options choose, and how pg_dump is told so."""

    options: PostgresOptions

    def tables(self, everything: Sequence[Table]) -> list[Table]:
        """The chosen tables; raises SourceError when one that was named is not there."""
        if self.options.scope == "tables":
            return self._named_tables(everything)
        if self.options.scope == "schemas":
            self._require_schemas({table.schema for table in everything})
            return [table for table in everything if table.schema in self.options.schemas]
        if self.options.scope == "tenant":
            name = self.options.tenant_column
            return [table for table in everything if any(column.name == name for column in table.columns)]
        return list(everything)

    def _named_tables(self, everything: Sequence[Table]) -> list[Table]:
        names = {shown(*parse_shown(name)) for name in self.options.tables}
        missing = sorted(names - {table.shown for table in everything})
        if missing:
            message = f"tables of scope 'tables' are not there: {', '.join(missing)}"
            wanted = {parse_shown(name)[1].lower() for name in missing}
            like = sorted(table.shown for table in everything if table.name.lower() in wanted)
            known = f"; there is {', '.join(like)}" if like else ""
            hint = f"write schema.table; names with capitals, dots or blanks in double quotes{known}"
            raise SourceError(message, code="source.missing", hint=hint)
        rowless = sorted(
            table.shown for table in everything if table.shown in names and table.kind in _WITHOUT_ROWS
        )
        if rowless:
            message = (
                f"a backup holds no rows of {', '.join(rowless)}: a materialized view or a foreign table"
            )
            raise SourceError(message, code="source.missing", hint="name tables")
        by_oid = {table.oid: table for table in everything}
        return [table for table in everything if names & line_of(table, by_oid)]

    def _require_schemas(self, there: set[str]) -> None:
        missing = sorted(set(self.options.schemas) - there)
        if missing:
            message = f"schemas of scope 'schemas' hold no table or are not there: {', '.join(missing)}"
            raise SourceError(
                message, code="source.missing", hint="correct schemas = [...] in the source's table"
            )

    def dump_arguments(self, session: Session, chosen: Sequence[Table]) -> list[str]:
        """What pg_dump is told for the main archive."""
        scope = self.options.scope
        if scope == "schema":
            return ["--schema-only"]
        if scope == "data":
            return ["--data-only"]
        if scope == "schemas":
            return [f"--schema={quoted(name)}" for name in self.options.schemas]
        if scope == "tables":
            names = [table.sql for table in chosen] + sequences_of(session, chosen)
            return [f"--table={name}" for name in names]
        return []


def line_of(table: Table, by_oid: Mapping[int, Table]) -> set[str]:
    """Return the names of a table and of all that it is a partition of."""
    parent = by_oid.get(table.parent) if table.parent is not None else None
    return {table.shown} | (line_of(parent, by_oid) if parent is not None else set())


_SEQUENCES_OF: Final = """
WITH RECURSIVE line AS (
  SELECT unnest(ARRAY[{oids}]::oid[]) AS oid UNION SELECT h.inhparent FROM pg_inherits h JOIN line ON h.inhrelid = line.oid
)
SELECT n.nspname AS schema, s.relname AS name
FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S' JOIN pg_namespace n ON n.oid = s.relnamespace
WHERE d.classid = 'pg_class'::regclass AND d.refobjid IN (SELECT oid FROM line) AND d.deptype = 'a' ORDER BY 1, 2
"""


def sequences_of(session: Session, tables: Sequence[Table]) -> list[str]:
    """The sequences that belong to columns of the tables or of their parents, as SQL names.

    pg_dump does not follow them by itself.
    """
    if not tables:
        return []
    rows = session.rows(_SEQUENCES_OF.format(oids=",".join(str(table.oid) for table in tables)))
    return [qualified(row["schema"], row["name"]) for row in rows]


_OUTSIDE: Final = """
WITH RECURSIVE family AS (
  SELECT oid, oid AS root, conrelid, confrelid FROM pg_constraint WHERE contype = 'f' AND conparentid = 0
  UNION ALL
  SELECT k.oid, f.root, k.conrelid, k.confrelid FROM pg_constraint k JOIN family f ON k.conparentid = f.oid
), leading_out AS (
  SELECT DISTINCT root FROM family WHERE conrelid IN ({inside}) AND confrelid NOT IN ({inside}) OR root IN ({more})
)
SELECT i.identity, n.nspname AS schema, c.relname AS name, r.conname AS key
FROM leading_out l JOIN family f ON f.root = l.root JOIN pg_constraint r ON r.oid = l.root
JOIN pg_class c ON c.oid = r.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace,
LATERAL pg_identify_object('pg_constraint'::regclass, f.oid, 0) i ORDER BY 1
"""


_KEYS_INSIDE: Final = """
SELECT k.oid::bigint AS oid, cn.nspname AS schema, c.relname AS name, pn.nspname AS to_schema, p.relname AS to_name,
       (SELECT array_agg(a.attname::text ORDER BY u.n) FROM unnest(k.conkey) WITH ORDINALITY u(num, n)
        JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.num) AS columns,
       (SELECT array_agg(a.attname::text ORDER BY u.n) FROM unnest(k.confkey) WITH ORDINALITY u(num, n)
        JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.num) AS to_columns
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace cn ON cn.oid = c.relnamespace
JOIN pg_class p ON p.oid = k.confrelid JOIN pg_namespace pn ON pn.oid = p.relnamespace
WHERE k.contype = 'f' AND k.conparentid = 0 AND k.conrelid IN ({inside}) AND k.confrelid IN ({inside})
"""


def _keys_between_tenants(session: Session, inside: str, condition: str) -> list[int]:
    """The foreign keys between chosen tables by which a row of the tenant refers to one that is not the tenant's."""
    found = []
    for key in session.rows(_KEYS_INSIDE.format(inside=inside)):
        pairs = list(zip(key["columns"], key["to_columns"], strict=True))
        given = " AND ".join(f"c.{quoted(one)} IS NOT NULL" for one, _ in pairs)
        same = " AND ".join(f"p.{quoted(other)} = c.{quoted(one)}" for one, other in pairs)
        (row,) = session.rows(
            f"SELECT EXISTS (SELECT FROM {qualified(key['schema'], key['name'])} c WHERE {condition} AND {given} AND NOT EXISTS"
            f" (SELECT FROM {qualified(key['to_schema'], key['to_name'])} p WHERE {same} AND {condition})) AS leads"
        )
        if row["leads"]:
            found.append(int(key["oid"]))
    return found


def outside_keys(session: Session, chosen: Sequence[Table], condition: str = "") -> dict[str, str]:
    """Foreign keys of chosen tables whose rows may refer to rows that are not chosen; `condition`: of the rows that are.

    The identity of each -> how an archive lists the key that it belongs to: the keys of partitions are made
    with their parent's. A key of a table that is not chosen holds no rows, and so no reference.
    """
    inside = ",".join(str(table.oid) for table in chosen) or "0"
    more = _keys_between_tenants(session, inside, condition) if condition else []
    rows = session.rows(_OUTSIDE.format(inside=inside, more=",".join(map(str, more)) or "0"))
    return {row["identity"]: f"{row['schema']} {row['name']} {row['key']}" for row in rows}


def tenant_condition(options: PostgresOptions) -> str:
    """The SQL condition that a tenant's rows meet; the value is compared as text, whatever the column's type."""
    return f"{quoted(options.tenant_column)}::text = {literal(str(options.tenant))}"
