"""What belongs to the database as a whole: publications, event triggers, extensions, mappings, default rights, comments."""

from __future__ import annotations

from typing import Final

from ops.sources.postgres.catalog.definitions.parts import (
    Group,
    identity,
    named,
    options,
    own_object,
    rights,
    said,
)
from ops.sources.postgres.catalog.objects import AMCHECK_SCHEMA, FIRST_NORMAL_OID

# What is said of a column that was dropped, or of something that is gone, no dump writes.
_LIVING: Final = (
    "i.identity IS NOT NULL AND NOT (d.classoid = 'pg_class'::regclass AND d.objsubid > 0 AND EXISTS (SELECT FROM pg_attribute a"
    " WHERE a.attrelid = d.objoid AND a.attnum = d.objsubid AND a.attisdropped))"
)
_NO_MEMBER: Final = "NOT EXISTS (SELECT FROM pg_depend x WHERE x.classid = d.classoid AND x.objid = d.objoid AND x.deptype = 'e')"
_NO_PART_OF_MEMBER: Final = (
    "NOT EXISTS (SELECT FROM pg_depend p JOIN pg_depend x ON x.classid = p.refclassid AND x.objid = p.refobjid AND x.deptype = 'e'"
    " WHERE p.classid = d.classoid AND p.objid = d.objoid AND p.deptype IN ('a', 'i') AND p.refclassid = 'pg_class'::regclass)"
)
_PUBLICATION: Final = said(
    *(
        named(name, f"nullif(p.pub{name}, FALSE)")
        for name in ("alltables", "insert", "update", "delete", "truncate")
    ),
)

DATABASE: Final = (
    Group(
        "publication",
        f"SELECT p.pubname::text AS subject, {_PUBLICATION} AS definition FROM pg_publication p WHERE {own_object('pg_publication', 'p.oid')}",
        alike=True,
    ),
    Group(
        "publication by root",
        "SELECT p.pubname::text AS subject, p.pubviaroot::text AS definition FROM pg_publication p WHERE p.pubviaroot",
        alike=True,
        since=130000,
    ),
    Group(
        "table of publication",
        f"SELECT quote_ident(p.pubname) || ' ' || {identity('pg_class', 'r.prrelid')} AS subject, '' AS definition"
        " FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid",
        alike=True,
    ),
    Group(
        "rows and columns of publication",
        f"SELECT quote_ident(p.pubname) || ' ' || {identity('pg_class', 'r.prrelid')} AS subject, concat_ws(' ', pg_get_expr(r.prqual, r.prrelid),"
        " (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attname COLLATE \"C\") FROM pg_attribute a WHERE a.attrelid = r.prrelid"
        " AND a.attnum = ANY (r.prattrs))) AS definition FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid"
        " WHERE r.prqual IS NOT NULL OR r.prattrs IS NOT NULL",
        since=150000,
    ),
    Group(
        "schema of publication",
        "SELECT quote_ident(p.pubname) || ' ' || quote_ident(n.nspname) AS subject, '' AS definition FROM pg_publication_namespace r"
        " JOIN pg_publication p ON p.oid = r.pnpubid JOIN pg_namespace n ON n.oid = r.pnnspid",
        alike=True,
        since=150000,
    ),
    Group(
        "event trigger",
        f"SELECT e.evtname::text AS subject, concat_ws(' ', e.evtevent, e.evtfoid::regprocedure, array_to_string(e.evttags, ','), 'state ' || e.evtenabled::text) AS definition"
        f" FROM pg_event_trigger e WHERE {own_object('pg_event_trigger', 'e.oid')}",
        alike=True,
    ),
    Group(
        "extension",
        "SELECT e.extname::text AS subject, n.nspname::text AS definition FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace"
        f" WHERE e.extname <> 'plpgsql' AND n.nspname <> '{AMCHECK_SCHEMA}'",
        alike=True,
    ),
    Group(
        "user mapping",
        # The options hold passwords: a digest tells that one is another.
        "SELECT quote_ident(u.srvname) || ' ' || coalesce(quote_ident(u.usename), 'PUBLIC') AS subject,"
        f" md5({options('u.umoptions')}) AS definition FROM pg_user_mappings u",
        alike=True,
        told=False,
    ),
    Group(
        "default rights",
        f"SELECT {identity('pg_default_acl', 'a.oid')} AS subject, {rights('a.defaclacl', 'r', 'a.defaclrole')} AS definition FROM pg_default_acl a",
        rights=True,
    ),
    Group(
        "rights on foreign server",
        f"SELECT s.srvname::text AS subject, {rights('s.srvacl', 'S', 's.srvowner')} AS definition FROM pg_foreign_server s WHERE s.srvacl IS NOT NULL AND {own_object('pg_foreign_server', 's.oid')}",
        rights=True,
    ),
    Group(
        "rights on foreign data wrapper",
        f"SELECT f.fdwname::text AS subject, {rights('f.fdwacl', 'F', 'f.fdwowner')} AS definition FROM pg_foreign_data_wrapper f WHERE f.fdwacl IS NOT NULL AND {own_object('pg_foreign_data_wrapper', 'f.oid')}",
        rights=True,
    ),
    Group(
        "rights on large object",
        f"SELECT m.oid::text AS subject, pg_get_userbyid(m.lomowner) || ' ' || {rights('m.lomacl', 'L', 'm.lomowner')} AS definition FROM pg_largeobject_metadata m",
        rights=True,
        rows=True,
    ),
    Group(
        "comment",
        f"SELECT i.type || ' ' || i.identity AS subject, d.description AS definition FROM pg_description d,"
        f" LATERAL pg_identify_object(d.classoid, d.objoid, d.objsubid) i WHERE d.objoid >= {FIRST_NORMAL_OID}"
        f" AND d.classoid NOT IN ('pg_extension'::regclass, 'pg_largeobject'::regclass) AND {_LIVING} AND {_NO_MEMBER} AND {_NO_PART_OF_MEMBER}",
        alike=True,
    ),
    Group(
        "security label",
        f"SELECT i.type || ' ' || i.identity || ' ' || d.provider AS subject, d.label AS definition FROM pg_seclabel d,"
        f" LATERAL pg_identify_object(d.classoid, d.objoid, d.objsubid) i WHERE d.objoid >= {FIRST_NORMAL_OID} AND {_LIVING} AND {_NO_MEMBER}",
        alike=True,
    ),
)
