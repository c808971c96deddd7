"""Which objects a database has, asked of its catalogs."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ops.sources.postgres.catalog.identifiers import shown
from ops.sources.postgres.connect.session import Row, Session

FIRST_NORMAL_OID: Final = 16384
AMCHECK_SCHEMA: Final = "drillbook_amcheck"
"""Where a drill puts the extension amcheck: no part of what was restored."""
USER_SCHEMA: Final = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"
NO_MEMBER: Final = "NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = {0}::regclass AND d.objid = {1} AND d.deptype = 'e')"

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
