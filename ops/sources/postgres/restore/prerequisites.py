"""The database that a restore replaces or makes: which it is, whether it is there, and what stands in the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ops.errors import ConfigError, OpsError, RefusedError
from ops.fsio.space import free_bytes
from ops.model.findings import Finding, Severity
from ops.model.manifest import Manifest
from ops.model.requests import RestoreOptions
from ops.sources.postgres.catalog.identifiers import literal, parse_shown, shown
from ops.sources.postgres.catalog.requirements import Needs, needs_of
from ops.sources.postgres.connect.address import Address, parse_address
from ops.sources.postgres.connect.identify import system_identifier
from ops.sources.postgres.connect.route import Route
from ops.sources.postgres.connect.session import Session
from ops.sources.postgres.programs.release import Release
from ops.sources.postgres.restore.databases import (
    administration,
    is_template,
    missing_extensions,
    missing_roles,
)
from ops.units import format_size

_IDENTITY: Final = """
SELECT extract(epoch FROM pg_postmaster_start_time())::text AS started,
       (SELECT oid::bigint FROM pg_database WHERE datname = {name}) AS database
"""
_RIGHTS: Final = """
SELECT rolsuper AS super, rolcreatedb AS createdb,
       rolsuper OR pg_has_role(current_user, 'pg_signal_backend', 'MEMBER') AS signal,
       pg_is_in_recovery() AS standby, current_setting('transaction_read_only') = 'on' AS readonly
FROM pg_roles WHERE rolname = current_user
"""
_OCCUPIED: Final = """
SELECT 'replication slot ' || slot_name AS what FROM pg_replication_slots WHERE database = {name}
UNION ALL SELECT 'prepared transaction ' || gid FROM pg_prepared_xacts WHERE database = {name}
UNION ALL SELECT 'subscription ' || s.subname FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid
  WHERE d.datname = {name}
"""
_ROOM_FACTOR: Final = 2
_LONGEST_NAME: Final = 63
"""Source: https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-IDENTIFIERS (NAMEDATALEN)"""
_OF_PATHS: Final = ("/", "\\")


def target_address(own: Address, to: str | None) -> Address:
    """The database that `to` means: nothing for the source's own, a name on the same server, or an address.

    Raises ConfigError when it names no database.
    """
    if to is None:
        return own
    _require_text(to)
    if "://" not in to and "=" not in to:
        _require_short(to)
        _require_no_path(to)
        return own.with_database(to)
    address = parse_address(to)
    _require_short(address.database)
    if own.with_database(address.database).location == to:
        return own.with_database(address.database)
    if not address.database:
        hint = "write postgresql://USER@HOST/DATABASE, or the name of a database on the source's server"
        raise ConfigError(f"--to {to} names no database", code="usage.bad_value", hint=hint)
    return address


def _require_no_path(to: str) -> None:
    """A path is meant for files, and would become the name of a new database."""
    if to in {".", ".."} or to.startswith("~") or any(mark in to for mark in _OF_PATHS):
        hint = (
            "write the name of a database on the source's server, or postgresql://USER@HOST/DATABASE; a database that is really"
            " called like that is written as an address, with %2F for each slash"
        )
        raise ConfigError(f"--to {to} is a path, not a database", code="usage.bad_value", hint=hint)


def _require_text(to: str) -> None:
    try:
        to.encode()
    except UnicodeEncodeError as error:
        shown = to.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        message = f"--to {shown} is not UTF-8, as names of databases must be here"
        raise ConfigError(message, code="usage.bad_value") from error


def _require_short(name: str) -> None:
    length = len(name.encode())
    if length > _LONGEST_NAME:
        message = f"the name of a database has at most {_LONGEST_NAME} bytes, and {name!r} has {length}"
        raise ConfigError(
            message, code="usage.bad_value", hint="PostgreSQL would cut it off: choose a shorter one"
        )


@dataclass(frozen=True, slots=True)
class Identity:
    """Which database it is. Two names of one database have one identity, and a copy of a database has another.

    `system`: the cluster's system identifier (None: our role may not see it). `started`: when its server was
    started, to the microsecond, because a cluster that was copied keeps the identifier. `database`: the oid.
    """

    system: str | None
    started: str
    database: int

    def is_same(self, other: Identity) -> bool:
        """Whether both are one database."""
        if self.database != other.database:
            return False
        if self.system is None or other.system is None:
            return self.started == other.started
        return (self.system, self.started) == (other.system, other.started)


def identity(route: Route) -> Identity | None:
    """The identity of the route's database; None when the server has none of that name."""
    with administration(route) as session:
        (row,) = session.rows(_IDENTITY.format(name=literal(route.address.database)))
        system = system_identifier(session)
    return None if row["database"] is None else Identity(system, **row)


def require_ready(
    route: Route, manifest: Manifest, options: RestoreOptions, *, exists: bool
) -> list[Finding]:
    """Return when nothing stands in the way of building beside the target, and of putting it there.

    Raises RefusedError (`refused.prerequisites`) with everything that does, at once.
    """
    needs, name = needs_of(manifest.extra), route.address.database
    with administration(route) as session:
        problems = [
            *_templates(name),
            *_rights(session, exists=exists),
            *_roles(session, needs, options),
            *_extensions(session, needs),
            *(_occupants(session, name) if exists and not options.tables else []),
        ]
        room, said = _room(session, needs, here=route.writes_folders)
        problems += room
        findings = [*said, *_older_server(session, needs)]
    if exists and options.tables:
        problems += _tables(route, options)
    elif options.tables:
        problems.append(f"database {name} is not there: tables need one to go into")
    _require_none(problems)
    return findings


def require_no_template(name: str) -> None:
    """Return when a database of that name may be replaced; raises RefusedError for what CREATE DATABASE copies."""
    _require_none(_templates(name))


def _require_none(problems: Sequence[str]) -> None:
    if problems:
        message = "the restore cannot begin: " + "; ".join(problems)
        hint = "nothing was touched; correct all of it, then run it again"
        raise RefusedError(message, code="refused.prerequisites", hint=hint)


def _templates(name: str) -> list[str]:
    if not is_template(name):
        return []
    return [
        f"{name} is what CREATE DATABASE copies, and is not replaced: restore into a database of another name (--to NAME)"
    ]


def _rights(session: Session, *, exists: bool) -> list[str]:
    (row,) = session.rows(_RIGHTS)
    problems = [] if row["super"] or row["createdb"] else ["the role may not create databases (CREATEDB)"]
    if row["standby"]:
        problems.append("the server is a standby, which takes no changes (name its primary)")
    elif row["readonly"]:
        problems.append("the role's transactions are read only (default_transaction_read_only)")
    if exists and not row["signal"]:
        problems.append("the role may not end other sessions (GRANT pg_signal_backend)")
    return problems


def _roles(session: Session, needs: Needs, options: RestoreOptions) -> list[str]:
    missing = missing_roles(session, needs)
    if not missing or (options.no_owner and options.no_acl):
        return []
    return [
        f"roles do not exist: {', '.join(missing)} (make them with globals.sql of the backup, or add --no-owner --no-acl)"
    ]


def _extensions(session: Session, needs: Needs) -> list[str]:
    missing = missing_extensions(session, needs)
    return [f"extensions are not installed on the server: {', '.join(missing)}"] if missing else []


def _occupants(session: Session, name: str) -> list[str]:
    rows = session.rows(_OCCUPIED.format(name=literal(name)))
    return [f"{row['what']} holds the database: drop or finish it first" for row in rows]


def _room(session: Session, needs: Needs, *, here: bool) -> tuple[list[str], list[Finding]]:
    """Twice the database must fit beside it; a server whose disk cannot be seen from here is only pointed out."""
    wanted = _ROOM_FACTOR * int(needs.database["size"])
    folder = _data_folder(session) if here else None
    if folder is None:
        message = f"the server's free space cannot be seen from here; it needs {format_size(wanted)}"
        return [], [Finding(severity=Severity.OK, code="restore.space_unseen", message=message)]
    free = free_bytes(folder)
    if free >= wanted:
        return [], []
    return [f"{format_size(free)} free in {folder}, {format_size(wanted)} needed (twice the database)"], []


def _data_folder(session: Session) -> Path | None:
    """Where the server keeps its data, if that is on this machine and our role may know it."""
    try:
        (row,) = session.rows("SELECT setting AS folder FROM pg_settings WHERE name = 'data_directory'")
        folder = Path(row["folder"])
        return folder if (folder / "PG_VERSION").is_file() else None
    except (OpsError, OSError, ValueError):
        return None


def _older_server(session: Session, needs: Needs) -> list[Finding]:
    server = Release.of_server(session.version)
    if not server.is_older(needs.server) and not (needs.client_major >= 17 > server.major):  # noqa: PLR2004 - a release
        return []
    message = f"the archive is of PostgreSQL {needs.server} (pg_dump {needs.client}), the server {server}"
    # Within a major version that is the usual state for weeks after every release.
    usual = server.major == needs.server_major
    return [
        Finding(
            severity=Severity.OK if usual else Severity.WARNING,
            code="postgres.older_server",
            message=f"{message}: what it does not know is reported",
            found=str(server),
        )
    ]


def _tables(route: Route, options: RestoreOptions) -> list[str]:
    """Tables that are there and may not be emptied."""
    problems = []
    with route.session() as session:
        for name in options.tables:
            schema, table = _parsed(name)
            found = session.rows(
                "SELECT 1 AS n FROM pg_tables"
                f" WHERE schemaname = {literal(schema)} AND tablename = {literal(table)}"
            )
            if found and not options.truncate:
                problems.append(f"table {shown(schema, table)} is there (add --truncate to replace its rows)")
    return problems


def _parsed(name: str) -> tuple[str, str]:
    try:
        return parse_shown(name)
    except ValueError as error:
        raise ConfigError(f"--table {name}: {error}", code="usage.bad_value") from error


def ended_sessions(rows: Sequence[dict[str, object]]) -> list[Finding]:
    """One finding that names the sessions which a swap ended."""
    if not rows:
        return []
    who = sorted({f"{row['user']} ({row['application'] or row['client'] or 'local'})" for row in rows})
    message = f"{len(rows)} sessions were ended for the swap: {', '.join(who)}"
    return [Finding(severity=Severity.OK, code="restore.sessions_ended", message=message)]
