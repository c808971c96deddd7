"""How objects are defined, as far as the server states it alike on every version: a digest for each group of them.

Manifests of earlier versions have these; what is recorded now is in `definitions`.
"""

from __future__ import annotations

from typing import Final

from ops.sources.postgres.catalog.objects import FIRST_NORMAL_OID, NO_MEMBER, USER_SCHEMA
from ops.sources.postgres.connect.session import Session

# What of definitions prints the same on every version and after a restore: no expression is parsed and printed.
_DEFINITIONS: Final = {
    "column definitions": f"""
        SELECT n.nspname, c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.atthasdef,
               a.attidentity, a.attgenerated, coalesce((SELECT collname FROM pg_collation k WHERE k.oid = a.attcollation), '')
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p', 'f', 'c') AND c.relpersistence <> 't' AND a.attnum > 0 AND NOT a.attisdropped
          AND {USER_SCHEMA} AND {NO_MEMBER.format("'pg_class'", "c.oid")}""",
    "key definitions": f"""
        SELECT n.nspname, c.relname, k.conname, pg_get_constraintdef(k.oid), k.convalidated
        FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE k.contype IN ('f', 'p', 'u') AND {USER_SCHEMA} AND {NO_MEMBER.format("'pg_class'", "c.oid")}""",
    "index definitions": f"""
        SELECT n.nspname, c.relname, pg_get_indexdef(c.oid), i.indisunique, i.indisvalid
        FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE i.indexprs IS NULL AND i.indpred IS NULL AND (i.indisvalid OR c.relkind = 'I') AND {USER_SCHEMA}
          AND {NO_MEMBER.format("'pg_class'", "i.indrelid")}""",
    "function definitions": f"""
        SELECT n.nspname, p.proname, pg_get_function_identity_arguments(p.oid), md5(p.prosrc), p.provolatile,
               p.prosecdef, p.proisstrict, p.proconfig::text
        FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
        WHERE {USER_SCHEMA} AND p.oid >= {FIRST_NORMAL_OID} AND {NO_MEMBER.format("'pg_proc'", "p.oid")}""",
    "trigger states": f"""
        SELECT n.nspname, c.relname, t.tgname, t.tgenabled, t.tgtype
        FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE NOT t.tgisinternal AND {USER_SCHEMA}""",
    "enum labels": f"""
        SELECT n.nspname, t.typname, e.enumlabel, row_number() OVER (PARTITION BY t.oid ORDER BY e.enumsortorder)
        FROM pg_enum e JOIN pg_type t ON t.oid = e.enumtypid JOIN pg_namespace n ON n.oid = t.typnamespace
        WHERE {USER_SCHEMA} AND {NO_MEMBER.format("'pg_type'", "t.oid")}""",
    "row security": f"""
        SELECT n.nspname, c.relname, c.relrowsecurity, c.relforcerowsecurity
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relrowsecurity AND {USER_SCHEMA}""",
    "comments": f"""
        SELECT i.type, i.identity, d.description
        FROM pg_description d, LATERAL pg_identify_object(d.classoid, d.objoid, d.objsubid) i
        WHERE d.objoid >= {FIRST_NORMAL_OID} AND d.classoid NOT IN ('pg_extension'::regclass, 'pg_largeobject'::regclass)
          AND NOT EXISTS (SELECT FROM pg_depend x WHERE x.classid = d.classoid AND x.objid = d.objoid AND x.deptype = 'e')""",
}


def definition_facts(session: Session) -> dict[str, str]:
    """For each group of definitions how many there are, and a digest of them as the server states them."""
    facts = {}
    for name, sql in _DEFINITIONS.items():
        ((row),) = session.rows(
            f"SELECT count(*) AS n, md5(coalesce(string_agg(t::text, E'\\n' ORDER BY t::text COLLATE \"C\"), '')) AS digest"
            f" FROM ({sql}) t"
        )
        if row["n"]:
            facts[name] = f"{row['n']} {row['digest'][:16]}"
    return facts
