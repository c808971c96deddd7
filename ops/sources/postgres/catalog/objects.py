"""What a database holds, asked of its catalogs: tables, objects, sequences, and what a restore elsewhere needs."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from ops.sources.postgres.catalog.identifiers import literal, qualified, quoted, shown
from ops.sources.postgres.connect.session import Row, Session

FIRST_NORMAL_OID: Final = 16384
AMCHECK_SCHEMA: Final = "drillbook_amcheck"
"""Where a drill puts the extension amcheck: no part of what was restored."""
USER_SCHEMA: Final = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"
NO_MEMBER: Final = "NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = {0}::regclass AND d.objid = {1} AND d.deptype = 'e')"

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

# Each catalog whose rows pg_dump writes as objects of their own, and which of its rows are such objects.
_OBJECT_CLASSES: Final = {
    "pg_namespace": f"o.nspname <> '{AMCHECK_SCHEMA}'",
    "pg_class": "o.relkind IN ('r', 'p', 'v', 'm', 'S', 'f', 'i', 'I', 'c') AND o.relpersistence <> 't'"
    " AND o.relnamespace NOT IN (SELECT oid FROM pg_namespace WHERE nspname ~ '^pg_')"
    # pg_dump leaves indexes away that a failed CREATE INDEX CONCURRENTLY left behind.
    " AND NOT (o.relkind = 'i' AND EXISTS (SELECT FROM pg_index x WHERE x.indexrelid = o.oid AND NOT x.indisvalid))",
    "pg_proc": "TRUE",
    "pg_type": "o.typtype IN ('d', 'e', 'r', 'b') AND o.typcategory <> 'A'",
    "pg_constraint": "o.contype IN ('c', 'f', 'p', 'u', 'x')",
    "pg_trigger": "NOT o.tgisinternal",
    "pg_rewrite": "o.rulename <> '_RETURN'",
    "pg_policy": "TRUE",
    "pg_publication": "TRUE",
    "pg_event_trigger": "TRUE",
    "pg_extension": "o.extname <> 'plpgsql'"
    f" AND o.extnamespace NOT IN (SELECT oid FROM pg_namespace WHERE nspname = '{AMCHECK_SCHEMA}')",
    "pg_cast": "TRUE",
    "pg_operator": "TRUE",
    "pg_opclass": "TRUE",
    "pg_opfamily": "TRUE",
    "pg_collation": "TRUE",
    "pg_conversion": "TRUE",
    "pg_ts_config": "TRUE",
    "pg_ts_dict": "TRUE",
    "pg_ts_parser": "TRUE",
    "pg_ts_template": "TRUE",
    "pg_statistic_ext": "TRUE",
    "pg_foreign_data_wrapper": "TRUE",
    "pg_foreign_server": "TRUE",
    "pg_user_mapping": "TRUE",
    "pg_language": "TRUE",
    "pg_am": "TRUE",
    "pg_transform": "TRUE",
    "pg_default_acl": "TRUE",
    "pg_attrdef": "TRUE",
}


@dataclass(frozen=True, slots=True)
class Column:
    """A column whose values are stored: its name, its type's schema and name, and the type's modifier (-1: none).

    `generated`: the server computes it, so that it can not be loaded.
    """

    name: str
    type: str
    typmod: int
    generated: bool


@dataclass(frozen=True, slots=True)
class Table:
    """One table-like relation. `kind` and `persistence` are pg_class's letters; `bytes` without indexes.

    `parent`: the oid of the table that it is a partition of. `gathered`: it stands for its partitions, see `gathered_tables`. `readable`: our role may read it. `filtered`: row security would hide rows from our role.
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
    if not rows:
        return []
    columns: dict[int, list[Column]] = defaultdict(list)
    for row in session.rows(_COLUMNS.format(oids=",".join(str(row["oid"]) for row in rows))):
        kind = row["type"] if row["type_schema"] == "pg_catalog" else f"{row['type_schema']}.{row['type']}"
        columns[row["oid"]].append(Column(row["name"], kind, row["typmod"], row["generated"]))
    return [Table(**row, columns=tuple(columns[row["oid"]])) for row in rows]


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


@dataclass(frozen=True, slots=True, order=True)
class DatabaseObject:
    """One object that an archive carries: its type and identity as pg_identify_object names them, and its owner.

    Source: https://www.postgresql.org/docs/current/functions-info.html
    """

    type: str
    identity: str
    owner: str = ""


# The catalog itself holds passwords, and is for superusers.
_READABLE: Final = {"pg_user_mapping": "(SELECT umid AS oid FROM pg_user_mappings)"}
_OWNED: Final = {
    "pg_namespace": "nspowner",
    "pg_class": "relowner",
    "pg_proc": "proowner",
    "pg_type": "typowner",
    "pg_publication": "pubowner",
    "pg_event_trigger": "evtowner",
    "pg_operator": "oprowner",
    "pg_collation": "collowner",
    "pg_foreign_server": "srvowner",
    "pg_foreign_data_wrapper": "fdwowner",
    "pg_ts_config": "cfgowner",
    "pg_ts_dict": "dictowner",
    "pg_statistic_ext": "stxowner",
}


_OF_RELATION: Final = {
    "pg_constraint": "conrelid",
    "pg_trigger": "tgrelid",
    "pg_rewrite": "ev_class",
    "pg_policy": "polrelid",
    "pg_attrdef": "adrelid",
    "pg_statistic_ext": "stxrelid",
}
# What a restore need not keep: keys of partitions that come with their parent's, operators that are only a name, and
# what belongs to a table or type of an extension.
_KEPT: Final = {
    # A new database has it already, as one of the system's own.
    "pg_namespace": "o.nspname <> 'public'",
    "pg_constraint": f"o.conparentid = 0 AND {NO_MEMBER.format(chr(39) + 'pg_type' + chr(39), 'o.contypid')}",
    "pg_operator": "o.oprcode <> 0",
    "pg_class": f"{NO_MEMBER.format(chr(39) + 'pg_type' + chr(39), 'o.reltype')} AND NOT EXISTS (SELECT FROM pg_index x JOIN pg_depend m"
    " ON m.classid = 'pg_class'::regclass AND m.objid = x.indrelid AND m.deptype = 'e' WHERE x.indexrelid = o.oid)",
}


def _is_kept(catalog: str) -> str:
    conditions = [_KEPT.get(catalog, "TRUE")]
    if catalog in _OF_RELATION:
        conditions.append(NO_MEMBER.format("'pg_class'", f"o.{_OF_RELATION[catalog]}"))
    return " AND ".join(conditions)


def list_objects(session: Session, *, kept: bool = False) -> list[DatabaseObject]:
    """Every object of the database's own, sorted; none of the system's or of an extension's.

    `kept`: only those that a restored copy must have under the same name.
    """
    parts = []
    for catalog, listed in _OBJECT_CLASSES.items():
        condition = f"{listed} AND {_is_kept(catalog)}" if kept else listed
        owner = f"pg_get_userbyid(o.{_OWNED[catalog]})" if catalog in _OWNED else "''"
        member = NO_MEMBER.format(f"'{catalog}'", "o.oid")
        parts.append(
            f"SELECT i.type, i.identity, {owner} AS owner FROM {_READABLE.get(catalog, catalog)} o,"
            f" LATERAL pg_identify_object('{catalog}'::regclass, o.oid, 0) i"
            f" WHERE o.oid >= {FIRST_NORMAL_OID} AND {condition} AND {member}"
            " AND i.identity !~ '^(pg_toast|pg_temp)'"
        )
    rows = session.rows(" UNION ALL ".join(parts))
    return sorted(
        DatabaseObject(row["type"], row["identity"], row["owner"] or "")
        for row in rows
        if row["identity"] is not None
    )


def object_facts(objects: Sequence[DatabaseObject]) -> dict[str, str]:
    """For each type of object how many there are, and a digest of their sorted names."""
    names: dict[str, list[str]] = defaultdict(list)
    for item in objects:
        names[item.type].append(item.identity)
    return {
        kind: f"{len(found)} {hashlib.sha256(chr(10).join(sorted(found)).encode()).hexdigest()[:16]}"
        for kind, found in sorted(names.items())
    }


_SEQUENCES: Final = f"""
SELECT n.nspname AS schema, c.relname AS name, s.seqincrement AS increment
FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relpersistence <> 't' AND CASE WHEN c.relkind = 'S' THEN has_sequence_privilege(c.oid, 'SELECT') ELSE FALSE END AND {USER_SCHEMA}
  AND {NO_MEMBER.format("'pg_class'", "c.oid")}
"""


def next_values(session: Session) -> dict[str, int]:
    """What each sequence that our role may read gives next. Not a part of any snapshot."""
    questions = [
        f"SELECT {literal(shown(row['schema'], row['name']))} AS name,"
        f" (last_value::numeric + CASE WHEN is_called THEN {int(row['increment'])} ELSE 0 END)::text AS value"
        f" FROM {qualified(row['schema'], row['name'])}"
        for row in session.rows(_SEQUENCES)
    ]
    if not questions:
        return {}
    return {row["name"]: int(row["value"]) for row in session.rows(" UNION ALL ".join(questions))}


@dataclass(frozen=True, slots=True)
class OwnedSequence:
    """A sequence that counts up for a column: how it stands in manifests, and the three names in SQL."""

    shown: str
    sequence: str
    table: str
    column: str


_OWNED_SEQUENCES: Final = """
SELECT sn.nspname AS seq_schema, s.relname AS seq, n.nspname AS schema, c.relname AS name, a.attname AS column
FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S' JOIN pg_namespace sn ON sn.oid = s.relnamespace
JOIN pg_sequence q ON q.seqrelid = s.oid JOIN pg_class c ON c.oid = d.refobjid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.refobjsubid
WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
  AND a.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype) AND q.seqincrement > 0 AND {condition}
ORDER BY 1, 2
"""


def owned_sequences(session: Session, tables: Sequence[Table] | None = None) -> list[OwnedSequence]:
    """The sequences of whole-number columns of `tables`, or of all."""
    condition = "TRUE"
    if tables is not None:
        condition = f"c.oid = ANY (ARRAY[{','.join(str(table.oid) for table in tables)}]::oid[])"
    return [
        OwnedSequence(
            shown(row["seq_schema"], row["seq"]),
            qualified(row["seq_schema"], row["seq"]),
            qualified(row["schema"], row["name"]),
            quoted(row["column"]),
        )
        for row in session.rows(_OWNED_SEQUENCES.format(condition=condition))
    ]


def one(session: Session, sql: str) -> Row:
    """The only row of a question that has one."""
    (row,) = session.rows(sql)
    return row


def invalid_indexes(session: Session) -> list[str]:
    """Indexes that the server does not use and pg_dump does not write."""
    rows = session.rows(
        "SELECT n.nspname AS schema, c.relname AS name FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
        f" JOIN pg_namespace n ON n.oid = c.relnamespace WHERE NOT i.indisvalid AND c.relkind = 'i' AND {USER_SCHEMA}"
    )
    return sorted(shown(row["schema"], row["name"]) for row in rows)
