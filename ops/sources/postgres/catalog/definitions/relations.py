"""Tables, views, columns, constraints, indexes, triggers, rules, policies, statistics, sequences."""

from __future__ import annotations

from typing import Final

from ops.sources.postgres.catalog.definitions.parts import (
    OWN_SCHEMA,
    Group,
    identity,
    named,
    options,
    own_object,
    own_relation,
    rights,
    said,
    set_options,
)
from ops.sources.postgres.catalog.objects import NO_MEMBER

_SCHEMA = "'pg_namespace'"
_RELATION = "pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
_OF = identity("pg_class", "c.oid")
_COLUMN = f"{_OF} || '.' || quote_ident(a.attname)"

_KIND: Final = said(
    "c.relkind::text",
    named("persistence", "nullif(c.relpersistence, 'p')"),
    named("options", options("c.reloptions")),
    named("toast", f"(SELECT {options('t.reloptions')} FROM pg_class t WHERE t.oid = c.reltoastrelid)"),
    named("replica_identity", "CASE WHEN c.relkind IN ('r', 'p', 'm') THEN nullif(c.relreplident, 'd') END"),
    named(
        "access_method",
        "(SELECT amname FROM pg_am m WHERE m.oid = c.relam AND c.relkind IN ('r', 'm') AND amname <> 'heap')",
    ),
    named("row_security", "nullif(c.relrowsecurity, FALSE)"),
    named("force_row_security", "nullif(c.relforcerowsecurity, FALSE)"),
    named("of_type", "CASE WHEN c.reloftype <> 0 THEN format_type(c.reloftype, NULL) END"),
    named("partition_key", "CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END"),
    named("bound", "pg_get_expr(c.relpartbound, c.oid)"),
    named(
        "foreign",
        "(SELECT srvname FROM pg_foreign_table f JOIN pg_foreign_server s ON s.oid = f.ftserver WHERE f.ftrelid = c.oid)",
    ),
    named(
        "foreign_options",
        f"(SELECT {options('f.ftoptions')} FROM pg_foreign_table f WHERE f.ftrelid = c.oid)",
    ),
)
_COLUMN_DEFINITION: Final = said(
    "format_type(a.atttypid, a.atttypmod)",
    named(
        "collation",
        "(SELECT k.collname FROM pg_collation k JOIN pg_type y ON y.oid = a.atttypid WHERE k.oid = a.attcollation AND k.oid <> y.typcollation)",
    ),
    "CASE WHEN a.attnotnull THEN 'not null' END",
    named("identity", "a.attidentity"),
    named("generated", "a.attgenerated"),
    named(
        "default",
        "(SELECT pg_get_expr(f.adbin, f.adrelid) FROM pg_attrdef f WHERE f.adrelid = a.attrelid AND f.adnum = a.attnum)",
    ),
    named(
        "storage",
        "(SELECT a.attstorage FROM pg_type y WHERE y.oid = a.atttypid AND y.typstorage <> a.attstorage)",
    ),
    named("statistics", "nullif(a.attstattarget, -1)"),
    named("options", set_options("a.attoptions")),
    named("foreign_options", options("a.attfdwoptions")),
)
_CONSTRAINT: Final = said(
    "pg_get_constraintdef(k.oid)",
    "CASE WHEN NOT k.convalidated THEN 'not validated' END",
    "CASE WHEN k.connoinherit AND k.contype = 'c' THEN 'no inherit' END",
)
_TRIGGER: Final = said("pg_get_triggerdef(t.oid)", named("enabled", "nullif(t.tgenabled, 'O')"))
_RULE: Final = said("pg_get_ruledef(r.oid)", named("enabled", "nullif(r.ev_enabled, 'O')"))
_SEQUENCE: Final = said(
    "format_type(q.seqtypid, NULL)", "'start ' || q.seqstart", "'by ' || q.seqincrement", "'min ' || q.seqmin",
    "'max ' || q.seqmax", "'cache ' || q.seqcache", "CASE WHEN q.seqcycle THEN 'cycle' END",
    named("persistence", "nullif(c.relpersistence, 'p')"),
    named("owned_by", "(SELECT (pg_identify_object('pg_class'::regclass, x.refobjid, x.refobjsubid)).identity FROM pg_depend x"
          " WHERE x.classid = 'pg_class'::regclass AND x.objid = c.oid AND x.refclassid = 'pg_class'::regclass"
          " AND x.deptype IN ('a', 'i') AND x.refobjsubid > 0)"),
)  # fmt: skip

RELATIONS: Final = (
    Group(
        "relation",
        f"SELECT {_OF} AS subject, {_KIND} AS definition FROM {_RELATION} WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c') AND {own_relation()}",
    ),
    Group(
        "view",
        f"SELECT {_OF} AS subject, pg_get_viewdef(c.oid) AS definition FROM {_RELATION} WHERE c.relkind IN ('v', 'm') AND {own_relation()}",
    ),
    Group(
        "filled",
        f"SELECT {_OF} AS subject, c.relispopulated::text AS definition FROM {_RELATION} WHERE c.relkind = 'm' AND {own_relation()}",
        alike=True,
        rows=True,
    ),
    Group(
        "inheritance",
        f"SELECT {_OF} AS subject, string_agg({identity('pg_class', 'h.inhparent')}, ', ' ORDER BY h.inhseqno) AS definition"
        f" FROM pg_inherits h JOIN {_RELATION.replace('pg_class c', 'pg_class c ON c.oid = h.inhrelid')}"
        f" WHERE c.relkind IN ('r', 'p', 'f', 'i', 'I') AND {own_relation()} GROUP BY c.oid",
        alike=True,
    ),
    Group(
        "column",
        f"SELECT {_COLUMN} AS subject, {_COLUMN_DEFINITION} AS definition FROM pg_attribute a"
        f" JOIN {_RELATION.replace('pg_class c', 'pg_class c ON c.oid = a.attrelid')}"
        f" WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c') AND a.attnum > 0 AND NOT a.attisdropped AND {own_relation()}",
    ),
    Group(
        "column compression",
        f"SELECT {_COLUMN} AS subject, a.attcompression::text AS definition FROM pg_attribute a"
        f" JOIN {_RELATION.replace('pg_class c', 'pg_class c ON c.oid = a.attrelid')}"
        f" WHERE a.attcompression <> '' AND c.relkind IN ('r', 'p', 'm') AND NOT a.attisdropped AND {own_relation()}",
        since=140000,
    ),
    Group(
        "constraint",
        # Those of partitions that come from their parent are made anew with it, under names of the server's choice.
        f"SELECT {identity('pg_constraint', 'k.oid')} AS subject, {_CONSTRAINT} AS definition FROM pg_constraint k"
        f" JOIN {_RELATION.replace('pg_class c', 'pg_class c ON c.oid = k.conrelid')}"
        f" WHERE k.contype IN ('c', 'f', 'p', 'u', 'x') AND k.conparentid = 0 AND {own_relation()}",
    ),
    Group(
        "index",
        f"SELECT {_OF} AS subject, {said('pg_get_indexdef(c.oid)', named('clustered', 'nullif(i.indisclustered, FALSE)'), named('replica_identity', 'nullif(i.indisreplident, FALSE)'), named('valid', 'nullif(i.indisvalid, TRUE)'))}"
        f" || coalesce((SELECT ' statistics=' || string_agg(a.attnum || ':' || a.attstattarget, ',' ORDER BY a.attnum) FROM pg_attribute a"
        "   WHERE a.attrelid = c.oid AND a.attstattarget >= 0), '') AS definition"
        f" FROM pg_index i JOIN {_RELATION.replace('pg_class c', 'pg_class c ON c.oid = i.indexrelid')} JOIN pg_class o ON o.oid = i.indrelid"
        f" WHERE (i.indisvalid OR c.relkind = 'I') AND {own_relation()} AND {own_relation('o')}",
    ),
    Group(
        "trigger",
        f"SELECT {identity('pg_trigger', 't.oid')} AS subject, {_TRIGGER} AS definition"
        f" FROM pg_trigger t JOIN {_RELATION.replace('pg_class c', 'pg_class c ON c.oid = t.tgrelid')}"
        f" WHERE NOT t.tgisinternal AND {own_relation()}",
    ),
    Group(
        "rule",
        f"SELECT {identity('pg_rewrite', 'r.oid')} AS subject, {_RULE} AS definition"
        f" FROM pg_rewrite r JOIN {_RELATION.replace('pg_class c', 'pg_class c ON c.oid = r.ev_class')}"
        f" WHERE r.rulename <> '_RETURN' AND {own_relation()}",
    ),
    Group(
        "policy",
        f"SELECT {identity('pg_policy', 'p.oid')} AS subject, {said('p.polcmd::text', named('permissive', 'p.polpermissive'), named('roles', '(SELECT string_agg(CASE WHEN x = 0 THEN chr(42) ELSE pg_get_userbyid(x)::text END, chr(44) ORDER BY 1) FROM unnest(p.polroles) x)'), named('using', 'pg_get_expr(p.polqual, p.polrelid)'), named('check', 'pg_get_expr(p.polwithcheck, p.polrelid)'))} AS definition"
        f" FROM pg_policy p JOIN {_RELATION.replace('pg_class c', 'pg_class c ON c.oid = p.polrelid')} WHERE {own_relation()}",
    ),
    Group(
        "statistics",
        f"SELECT {identity('pg_statistic_ext', 's.oid')} AS subject, pg_get_statisticsobjdef(s.oid) AS definition"
        f" FROM pg_statistic_ext s JOIN {_RELATION.replace('pg_class c', 'pg_class c ON c.oid = s.stxrelid')} WHERE {own_relation()}"
        f" AND {own_object('pg_statistic_ext', 's.oid')}",
    ),
    Group(
        "statistics target",
        f"SELECT {identity('pg_statistic_ext', 's.oid')} AS subject, s.stxstattarget::text AS definition FROM pg_statistic_ext s"
        f" JOIN {_RELATION.replace('pg_class c', 'pg_class c ON c.oid = s.stxrelid')} WHERE s.stxstattarget >= 0 AND {own_relation()}",
        since=130000,
    ),
    Group(
        "sequence",
        f"SELECT {_OF} AS subject, {_SEQUENCE} AS definition FROM pg_sequence q"
        f" JOIN {_RELATION.replace('pg_class c', 'pg_class c ON c.oid = q.seqrelid')} WHERE {own_relation()}",
        alike=True,
    ),
    Group(
        "rights on relation",
        f"SELECT {_OF} AS subject, {rights('c.relacl', 'r', 'c.relowner')} AS definition FROM {_RELATION}"
        f" WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND {own_relation()}",
        rights=True,
    ),
    Group(
        "rights on sequence",
        f"SELECT {_OF} AS subject, {rights('c.relacl', 's', 'c.relowner')} AS definition FROM {_RELATION} WHERE c.relkind = 'S' AND {own_relation()}",
        rights=True,
    ),
    Group(
        "rights on column",
        f"SELECT {_COLUMN} AS subject, {rights('a.attacl', 'c', 'c.relowner')} AS definition FROM pg_attribute a"
        f" JOIN {_RELATION.replace('pg_class c', 'pg_class c ON c.oid = a.attrelid')}"
        f" WHERE a.attacl IS NOT NULL AND a.attnum > 0 AND NOT a.attisdropped AND {own_relation()}",
        rights=True,
    ),
    Group(
        "schema",
        f"SELECT {identity('pg_namespace', 'n.oid')} AS subject, '' AS definition FROM pg_namespace n"
        # An empty database has this one.
        f" WHERE n.nspname <> 'public' AND {OWN_SCHEMA} AND {NO_MEMBER.format(_SCHEMA, 'n.oid')}",
        alike=True,
    ),
    Group(
        "rights on schema",
        f"SELECT quote_ident(n.nspname) AS subject, {rights('n.nspacl', 'n', 'n.nspowner')} AS definition FROM pg_namespace n WHERE {OWN_SCHEMA}",
        rights=True,
    ),
)
