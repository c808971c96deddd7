"""Functions, aggregates, operators, casts, and what belongs to them."""

from __future__ import annotations

from typing import Final

from ops.sources.postgres.catalog.definitions.parts import (
    Group,
    identity,
    named,
    own_object,
    rights,
    routine,
    said,
)

_OWN_PROC = own_object("pg_proc", "p.oid")
_PROC = identity("pg_proc", "p.oid")


_AGGREGATE: Final = said(
    *(
        named(name, routine(f"a.agg{name}"))
        for name in (
            "transfn",
            "finalfn",
            "combinefn",
            "serialfn",
            "deserialfn",
            "mtransfn",
            "minvtransfn",
            "mfinalfn",
        )
    ),
    named("state", "format_type(a.aggtranstype, NULL)"),
    named("moving_state", "CASE WHEN a.aggmtranstype <> 0 THEN format_type(a.aggmtranstype, NULL) END"),
    *(
        named(name, f"a.agg{name}")
        for name in ("kind", "finalmodify", "mfinalmodify", "transspace", "mtransspace")
    ),
    named("extra", "nullif(a.aggfinalextra, FALSE)"),
    named("moving_extra", "nullif(a.aggmfinalextra, FALSE)"),
    "'initial ' || quote_nullable(a.agginitval)",
    "'moving initial ' || quote_nullable(a.aggminitval)",
    named("sort", "nullif(a.aggsortop, 0)::regoperator"),
    named("parallel", "p.proparallel"),
    named("arguments", "pg_get_function_arguments(p.oid)"),
)
_OPERATOR: Final = said(
    "o.oprcode::regprocedure::text",
    # A commutator or negator that is only a name is written by no dump.
    named(
        "commutator",
        "(SELECT x.oid::regoperator FROM pg_operator x WHERE x.oid = o.oprcom AND x.oprcode <> 0)",
    ),
    named(
        "negator",
        "(SELECT x.oid::regoperator FROM pg_operator x WHERE x.oid = o.oprnegate AND x.oprcode <> 0)",
    ),
    named("restrict", routine("o.oprrest")),
    named("join", routine("o.oprjoin")),
    named("merges", "nullif(o.oprcanmerge, FALSE)"),
    named("hashes", "nullif(o.oprcanhash, FALSE)"),
)
_CLASS: Final = said(
    "(SELECT amname FROM pg_am WHERE pg_am.oid = o.opcmethod)",
    "format_type(o.opcintype, NULL)",
    named("family", identity("pg_opfamily", "o.opcfamily")),
    named("default", "o.opcdefault"),
    named("key", "CASE WHEN o.opckeytype <> 0 THEN format_type(o.opckeytype, NULL) END"),
)
_MEMBERS: Final = said(
    "(SELECT string_agg(format('operator %s %s %s %s', a.amopstrategy, a.amopopr::regoperator, a.amoppurpose,"
    " CASE WHEN a.amopsortfamily <> 0 THEN (pg_identify_object('pg_opfamily'::regclass, a.amopsortfamily, 0)).identity END), ', '"
    ' ORDER BY a.amopstrategy, a.amopopr::regoperator::text COLLATE "C") FROM pg_amop a WHERE a.amopfamily = o.oid)',
    "(SELECT string_agg(format('function %s (%s, %s) %s', a.amprocnum, format_type(a.amproclefttype, NULL),"
    " format_type(a.amprocrighttype, NULL), a.amproc::regprocedure), ', '"
    ' ORDER BY a.amprocnum, format_type(a.amproclefttype, NULL) COLLATE "C", format_type(a.amprocrighttype, NULL) COLLATE "C")'
    " FROM pg_amproc a WHERE a.amprocfamily = o.oid)",
)

ROUTINES: Final = (
    Group(
        "function",
        f"SELECT {_PROC} AS subject, pg_get_functiondef(p.oid) AS definition FROM pg_proc p WHERE p.prokind <> 'a' AND {_OWN_PROC}",
        told=False,
    ),
    Group(
        "aggregate",
        f"SELECT {_PROC} AS subject, {_AGGREGATE} AS definition FROM pg_aggregate a JOIN pg_proc p ON p.oid = a.aggfnoid WHERE {_OWN_PROC}",
    ),
    Group(
        "rights on function",
        f"SELECT {_PROC} AS subject, {rights('p.proacl', 'f', 'p.proowner')} AS definition FROM pg_proc p WHERE {_OWN_PROC}",
        rights=True,
    ),
    Group(
        "operator",
        f"SELECT {identity('pg_operator', 'o.oid')} AS subject, {_OPERATOR} AS definition FROM pg_operator o"
        f" WHERE o.oprcode <> 0 AND {own_object('pg_operator', 'o.oid')}",
    ),
    Group(
        "operator class",
        f"SELECT {identity('pg_opclass', 'o.oid')} AS subject, {_CLASS} AS definition FROM pg_opclass o WHERE {own_object('pg_opclass', 'o.oid')}",
    ),
    Group(
        "operator family",
        f"SELECT {identity('pg_opfamily', 'o.oid')} AS subject, {_MEMBERS} AS definition FROM pg_opfamily o WHERE {own_object('pg_opfamily', 'o.oid')}",
    ),
    Group(
        "cast",
        f"SELECT {identity('pg_cast', 'k.oid')} AS subject, {said('k.castcontext::text', 'k.castmethod::text', named('function', routine('k.castfunc')))} AS definition"
        f" FROM pg_cast k WHERE {own_object('pg_cast', 'k.oid')}",
        alike=True,
    ),
    Group(
        "conversion",
        f"SELECT {identity('pg_conversion', 'o.oid')} AS subject, concat_ws(' ', pg_encoding_to_char(o.conforencoding),"
        f" pg_encoding_to_char(o.contoencoding), o.conproc::regprocedure, o.condefault) AS definition FROM pg_conversion o"
        f" WHERE {own_object('pg_conversion', 'o.oid')}",
        alike=True,
    ),
    Group(
        "transform",
        f"SELECT {identity('pg_transform', 'o.oid')} AS subject, {said(named('from', routine('o.trffromsql')), named('to', routine('o.trftosql')))} AS definition"
        f" FROM pg_transform o WHERE {own_object('pg_transform', 'o.oid')}",
    ),
    Group(
        "language",
        f"SELECT l.lanname::text AS subject, {said(named('trusted', 'l.lanpltrusted'), named('handler', routine('l.lanplcallfoid')), named('inline', routine('l.laninline')), named('validator', routine('l.lanvalidator')))} AS definition"
        f" FROM pg_language l WHERE {own_object('pg_language', 'l.oid')}",
    ),
    Group(
        "rights on language",
        f"SELECT l.lanname::text AS subject, {rights('l.lanacl', 'l', 'l.lanowner')} AS definition FROM pg_language l"
        f" WHERE l.lanacl IS NOT NULL AND {own_object('pg_language', 'l.oid')}",
        rights=True,
    ),
    Group(
        "access method",
        f"SELECT m.amname::text AS subject, concat_ws(' ', m.amtype, m.amhandler::regprocedure) AS definition FROM pg_am m WHERE {own_object('pg_am', 'm.oid')}",
    ),
)
