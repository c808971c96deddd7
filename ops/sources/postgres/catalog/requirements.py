"""What a restore elsewhere needs to know of the source's server, beside the archive: kept in the manifest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from ops.errors import BackupError
from ops.sources.postgres.catalog.objects import DatabaseObject, one
from ops.sources.postgres.connect.session import Session
from ops.sources.postgres.programs.release import Release

MANIFEST_KEY = "postgres"

_DATABASE = """
SELECT d.datname AS name, pg_get_userbyid(d.datdba) AS owner, pg_encoding_to_char(d.encoding) AS encoding,
       d.datcollate AS collate, d.datctype AS ctype, {provider} AS provider, {locale} AS icu_locale, {rules} AS icu_rules,
       (SELECT spcname FROM pg_tablespace t WHERE t.oid = d.dattablespace) AS tablespace,
       d.datconnlimit AS connection_limit, d.datacl::text[] AS acl, shobj_description(d.oid, 'pg_database') AS comment,
       (SELECT setconfig FROM pg_db_role_setting s WHERE s.setdatabase = d.oid AND s.setrole = 0) AS settings,
       pg_database_size(d.oid) AS size
FROM pg_database d WHERE d.datname = current_database()
"""
_ROLE_SETTINGS = """
SELECT pg_get_userbyid(s.setrole) AS role, unnest(s.setconfig) AS setting FROM pg_db_role_setting s
JOIN pg_database d ON d.oid = s.setdatabase WHERE d.datname = current_database() AND s.setrole <> 0 ORDER BY 1, 2
"""
_LOCALE_COLUMNS = (
    (170000, {"provider": "d.datlocprovider::text", "locale": "d.datlocale", "rules": "d.daticurules"}),
    (160000, {"provider": "d.datlocprovider::text", "locale": "d.daticulocale", "rules": "d.daticurules"}),
    (150000, {"provider": "d.datlocprovider::text", "locale": "d.daticulocale", "rules": "NULL"}),
    (0, {"provider": "'c'", "locale": "NULL", "rules": "NULL"}),
)
_GRANTEES = """
SELECT DISTINCT pg_get_userbyid(g.grantee) AS name FROM (
  SELECT (aclexplode(relacl)).grantee FROM pg_class WHERE relacl IS NOT NULL AND oid >= 16384
  UNION ALL SELECT (aclexplode(nspacl)).grantee FROM pg_namespace WHERE nspacl IS NOT NULL
  UNION ALL SELECT (aclexplode(proacl)).grantee FROM pg_proc WHERE proacl IS NOT NULL AND oid >= 16384
  UNION ALL SELECT (aclexplode(typacl)).grantee FROM pg_type WHERE typacl IS NOT NULL AND oid >= 16384
  UNION ALL SELECT (aclexplode(attacl)).grantee FROM pg_attribute WHERE attacl IS NOT NULL AND attrelid >= 16384
  UNION ALL SELECT (aclexplode(defaclacl)).grantee FROM pg_default_acl
  UNION ALL SELECT defaclrole FROM pg_default_acl
  UNION ALL SELECT (aclexplode(lomacl)).grantee FROM pg_largeobject_metadata WHERE lomacl IS NOT NULL
  UNION ALL SELECT lomowner FROM pg_largeobject_metadata
  UNION ALL SELECT umuser FROM pg_user_mappings
  UNION ALL SELECT unnest(polroles) FROM pg_policy
) g WHERE g.grantee <> 0 AND g.grantee IN (SELECT oid FROM pg_roles)
"""
_EXTENSIONS = """
SELECT e.extname AS name, e.extversion AS version FROM pg_extension e WHERE e.extname <> 'plpgsql' ORDER BY 1
"""
_EXTENSION_SCHEMAS = """
SELECT n.nspname AS name, e.extname AS extension FROM pg_depend d JOIN pg_namespace n ON n.oid = d.objid
JOIN pg_extension e ON e.oid = d.refobjid
WHERE d.classid = 'pg_namespace'::regclass AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' ORDER BY 1
"""
_TABLESPACES = """
SELECT DISTINCT t.spcname AS name FROM pg_class c JOIN pg_tablespace t ON t.oid = c.reltablespace
WHERE c.oid >= 16384 AND t.spcname !~ '^pg_' ORDER BY 1
"""
_ICU = """
SELECT count(*) AS n FROM pg_collation WHERE oid >= 16384 AND collprovider = 'i'
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtensionRows:
    """The user's rows in a table of an extension: whose it is, the condition that they meet, how many, and a digest of them.

    `algorithm` and `digest` are None where they were only counted.
    """

    extension: str
    version: str
    condition: str
    rows: int
    algorithm: str | None = None
    digest: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """Server and database as they were; the field names are the manifest's keys.

    `provider` is pg_database's letter (c: libc, i: ICU, b: builtin). `acl` are GRANT items as pg_database holds
    them, `settings` `name=value`. `sequences` have the next values before and after the dump, between which
    the archive's is. `outside_keys` are foreign keys that lead out of a partial backup and are not restored (identity -> entry).
    `parallel`: the archive has what pg_restore needs to restore with several jobs; one that was streamed has not.
    `not_measured`: tables whose rows could not be counted, and why.
    `extension_schemas`: schemas that belong to an extension, and to which. `tablespaces`: those in which tables and indexes lie, beside the default one. `extension_rows`: the user's rows in tables of extensions, by table.
    `client_older`: pg_dump was older than the server, so that the archive may hold what the server keeps for itself.
    """

    server_version: str
    client_version: str
    format: str
    codec: str
    database: Mapping[str, Any]
    roles: Sequence[str] = ()
    extensions: Mapping[str, str] = field(default_factory=dict)
    icu: bool = False
    parallel: bool = True
    toc_entries: int = 0
    sequences: Mapping[str, Sequence[int]] = field(default_factory=dict)
    newest: Mapping[str, str | None] = field(default_factory=dict)
    estimated: Mapping[str, int] = field(default_factory=dict)
    not_dumped: Mapping[str, str] = field(default_factory=dict)
    outside_keys: Mapping[str, str] = field(default_factory=dict)
    client_older: bool = False
    not_measured: Mapping[str, str] = field(default_factory=dict)
    extension_rows: Mapping[str, ExtensionRows] = field(default_factory=dict)
    tablespaces: Sequence[str] = ()
    extension_schemas: Mapping[str, str] = field(default_factory=dict)

    @property
    def server(self) -> Release:
        """The release of the source's server."""
        return Release.parse(self.server_version)

    @property
    def client(self) -> Release:
        """The release of the pg_dump that wrote the archive."""
        return Release.parse(self.client_version)

    @property
    def server_major(self) -> int:
        """The source server's major version."""
        return self.server.major

    @property
    def client_major(self) -> int:
        """The major version of the pg_dump that wrote the archive."""
        return self.client.major

    def to_document(self) -> dict[str, Any]:
        """As it stands in the manifest."""
        return asdict(self)


_FIELDS = frozenset(item.name for item in fields(Needs))
_EXTENSION_FIELDS = frozenset(item.name for item in fields(ExtensionRows))


def needs_of(extra: Mapping[str, object]) -> Needs:
    """The needs that a manifest recorded; raises BackupError when they are not there or not as they should be."""
    document = extra.get(MANIFEST_KEY)
    try:
        # A later version of this program may have recorded more.
        known = {key: value for key, value in dict(document).items() if key in _FIELDS}  # type: ignore[call-overload]
        rows = dict(known.get("extension_rows", {}))
        known["extension_rows"] = {name: _extension_rows(value) for name, value in rows.items()}
        needs = Needs(**known)
        needs.database["encoding"], needs.server_major, needs.client_major
    except (TypeError, ValueError, KeyError) as error:
        message = f"the manifest does not say what its archive needs ({error})"
        raise BackupError(message, code="backup.manifest_invalid", hint="use another backup") from error
    return needs


def _extension_rows(document: Mapping[str, Any]) -> ExtensionRows:
    return ExtensionRows(**{key: value for key, value in dict(document).items() if key in _EXTENSION_FIELDS})


def describe_database(session: Session) -> dict[str, Any]:
    """The database's own properties, as one row."""
    version = session.version
    columns = next(columns for since, columns in _LOCALE_COLUMNS if version >= since)
    row = dict(one(session, _DATABASE.format(**columns)))
    row["role_settings"] = [[item["role"], item["setting"]] for item in session.rows(_ROLE_SETTINGS)]
    row["acl"] = list(row["acl"] or [])
    row["settings"] = list(row["settings"] or [])
    return row


def list_roles(session: Session, objects: Sequence[DatabaseObject], database: Mapping[str, Any]) -> list[str]:
    """Roles that own something or were granted something, beside the predefined ones."""
    names = {item.owner for item in objects} | {database["owner"]}
    names |= {row["name"] for row in session.rows(_GRANTEES)}
    names |= {acl.partition("=")[0].strip('"') for acl in database["acl"]}
    names |= {role for role, _ in database["role_settings"]}
    return sorted(name for name in names if name and not name.startswith("pg_") and name != "public")


def list_extensions(session: Session) -> dict[str, str]:
    """Installed extensions and their versions, without plpgsql."""
    return {row["name"]: row["version"] for row in session.rows(_EXTENSIONS)}


def list_extension_schemas(session: Session) -> dict[str, str]:
    """Schemas that extensions have made for themselves, and which extension each is of."""
    return {row["name"]: row["extension"] for row in session.rows(_EXTENSION_SCHEMAS)}


def list_tablespaces(session: Session) -> list[str]:
    """Tablespaces in which tables and indexes lie, without the server's own."""
    return [row["name"] for row in session.rows(_TABLESPACES)]


def uses_icu(session: Session, database: Mapping[str, Any]) -> bool:
    """Whether the database or one of its own collations needs a server that was built with ICU."""
    return database["provider"] == "i" or bool(one(session, _ICU)["n"])
