"""Types, domains, enumerations, ranges, collations, text search."""

from __future__ import annotations

from typing import Final

from ops.sources.postgres.catalog.definitions.parts import (
    Group,
    identity,
    named,
    options,
    own_object,
    rights,
    routine,
    said,
)

_TYPE = identity("pg_type", "t.oid")
_OWN_TYPE = own_object("pg_type", "t.oid")


_DOMAIN: Final = said(
    "format_type(t.typbasetype, t.typtypmod)",
    "CASE WHEN t.typnotnull THEN 'not null' END",
    named("default", "t.typdefault"),
    named(
        "collation",
        "(SELECT k.collname FROM pg_collation k JOIN pg_type y ON y.oid = t.typbasetype WHERE k.oid = t.typcollation AND k.oid <> y.typcollation)",
    ),
)
_BASE: Final = said(
    *(
        named(name, routine(f"t.typ{name}"))
        for name in ("input", "output", "receive", "send", "modin", "modout", "analyze")
    ),
    *(
        named(name, f"t.typ{name}")
        for name in ("len", "byval", "align", "storage", "category", "ispreferred", "delim")
    ),
    named("default", "t.typdefault"),
    named("element", "CASE WHEN t.typelem <> 0 THEN format_type(t.typelem, NULL) END"),
)
_RANGE: Final = said(
    "format_type(r.rngsubtype, NULL)",
    named("opclass", identity("pg_opclass", "r.rngsubopc")),
    named("collation", "(SELECT collname FROM pg_collation WHERE oid = nullif(r.rngcollation, 0))"),
    named("canonical", routine("r.rngcanonical")),
    named("difference", routine("r.rngsubdiff")),
)

TYPES: Final = (
    Group(
        "domain",
        f"SELECT {_TYPE} AS subject, {_DOMAIN} AS definition FROM pg_type t WHERE t.typtype = 'd' AND {_OWN_TYPE}",
    ),
    Group(
        "domain constraint",
        f"SELECT {identity('pg_constraint', 'k.oid')} AS subject, {said('pg_get_constraintdef(k.oid)', named('validated', 'nullif(k.convalidated, TRUE)'))} AS definition"
        f" FROM pg_constraint k JOIN pg_type t ON t.oid = k.contypid WHERE k.contype = 'c' AND {_OWN_TYPE}",
    ),
    Group(
        "enum",
        f"SELECT {_TYPE} AS subject, (SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder) FROM pg_enum e"
        f" WHERE e.enumtypid = t.oid) AS definition FROM pg_type t WHERE t.typtype = 'e' AND {_OWN_TYPE}",
        alike=True,
    ),
    Group(
        "range",
        f"SELECT {_TYPE} AS subject, {_RANGE} AS definition FROM pg_range r JOIN pg_type t ON t.oid = r.rngtypid WHERE {_OWN_TYPE}",
    ),
    Group(
        "type",
        # Types of arrays and multiranges come with their own.
        f"SELECT {_TYPE} AS subject, CASE WHEN t.typisdefined THEN {_BASE} ELSE 'shell' END AS definition FROM pg_type t"
        f" WHERE t.typtype = 'b' AND NOT EXISTS (SELECT FROM pg_type y WHERE y.typarray = t.oid) AND {_OWN_TYPE}",
    ),
    Group(
        "rights on type",
        f"SELECT {_TYPE} AS subject, {rights('t.typacl', 'T', 't.typowner')} AS definition FROM pg_type t"
        f" WHERE t.typacl IS NOT NULL AND t.typtype IN ('b', 'c', 'd', 'e', 'r') AND {_OWN_TYPE}",
        rights=True,
    ),
    Group(
        "collation",
        f"SELECT {identity('pg_collation', 'k.oid')} AS subject,"
        # The columns for the locale have other names on each version; what was measured by a later library is another matter.
        " (SELECT string_agg(e.key || '=' || e.value, ' ' ORDER BY e.key) FROM jsonb_each_text(to_jsonb(k)) e"
        " WHERE e.key NOT IN ('oid', 'collname', 'collnamespace', 'collowner', 'collversion') AND e.value IS NOT NULL) AS definition"
        f" FROM pg_collation k WHERE {own_object('pg_collation', 'k.oid')}",
    ),
    Group(
        "text search configuration",
        f"SELECT {identity('pg_ts_config', 'o.oid')} AS subject, concat_ws(' ', {identity('pg_ts_parser', 'o.cfgparser')},"
        f" (SELECT string_agg(m.maptokentype || '.' || m.mapseqno || ' ' || {identity('pg_ts_dict', 'm.mapdict')}, ', ' ORDER BY m.maptokentype, m.mapseqno)"
        f" FROM pg_ts_config_map m WHERE m.mapcfg = o.oid)) AS definition FROM pg_ts_config o WHERE {own_object('pg_ts_config', 'o.oid')}",
        alike=True,
    ),
    Group(
        "text search dictionary",
        f"SELECT {identity('pg_ts_dict', 'o.oid')} AS subject, concat_ws(' ', {identity('pg_ts_template', 'o.dicttemplate')}, o.dictinitoption) AS definition"
        f" FROM pg_ts_dict o WHERE {own_object('pg_ts_dict', 'o.oid')}",
        alike=True,
    ),
    Group(
        "text search parser",
        f"SELECT {identity('pg_ts_parser', 'o.oid')} AS subject, concat_ws(' ', o.prsstart::regproc, o.prstoken::regproc, o.prsend::regproc,"
        f" o.prsheadline::regproc, o.prslextype::regproc) AS definition FROM pg_ts_parser o WHERE {own_object('pg_ts_parser', 'o.oid')}",
    ),
    Group(
        "text search template",
        f"SELECT {identity('pg_ts_template', 'o.oid')} AS subject, concat_ws(' ', o.tmplinit::regproc, o.tmpllexize::regproc) AS definition"
        f" FROM pg_ts_template o WHERE {own_object('pg_ts_template', 'o.oid')}",
    ),
    Group(
        "foreign data wrapper",
        f"SELECT f.fdwname::text AS subject, {said(named('handler', routine('f.fdwhandler')), named('validator', routine('f.fdwvalidator')), named('options', options('f.fdwoptions')))} AS definition"
        f" FROM pg_foreign_data_wrapper f WHERE {own_object('pg_foreign_data_wrapper', 'f.oid')}",
        told=False,
    ),
    Group(
        "foreign server",
        f"SELECT s.srvname::text AS subject, {said('(SELECT fdwname FROM pg_foreign_data_wrapper f WHERE f.oid = s.srvfdw)', named('type', 's.srvtype'), named('version', 's.srvversion'), named('options', options('s.srvoptions')))} AS definition"
        f" FROM pg_foreign_server s WHERE {own_object('pg_foreign_server', 's.oid')}",
        alike=True,
        told=False,
    ),
)
