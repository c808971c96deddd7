"""Making and removing databases: with the encoding and collation that the source had, and under names of ours."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from ops.errors import OpsError, SourceError, SourceRefusedError, ToolError
from ops.host.secret import Secret
from ops.model.findings import Finding, Severity
from ops.sources.postgres.catalog.identifiers import literal, quoted
from ops.sources.postgres.catalog.requirements import Needs
from ops.sources.postgres.connect.address import Address
from ops.sources.postgres.connect.route import DirectRoute, Route
from ops.sources.postgres.connect.session import Session
from ops.sources.postgres.programs.discover import Programs, client_for
from ops.sources.postgres.programs.release import Release

SCRATCH_PREFIX: Final = "drillbook_scratch_"
RESTORE_PREFIX: Final = "drillbook_restore_"
MAINTENANCE: Final = "postgres"
"""The database that every server has to connect to, unless somebody dropped it."""
_UNKNOWN_LOCALE: Final = (
    "invalid locale name",
    "invalid LC_",
    "could not create locale",
    "ICU locale",
    "invalid icu",
)
_LOCALE_PROVIDER_SINCE: Final = 150000
_ICU_RULES_SINCE: Final = 160000
_BUILTIN_SINCE: Final = 170000
DEFAULT_TABLESPACE: Final = "pg_default"


def new_name(prefix: str) -> str:
    """A database name that nobody has: the prefix and 64 random bits."""
    return prefix + secrets.token_hex(8)


def is_template(name: str) -> bool:
    """Return whether `name` is one of the two databases that CREATE DATABASE copies."""
    return name in {"template0", "template1"}


def administration_database(name: str) -> str:
    """Return the database to connect to for work on the database `name`: one that is always there, and another one."""
    return "template1" if name == MAINTENANCE else MAINTENANCE


@contextlib.contextmanager
def administration(route: Route) -> Iterator[Session]:
    """Yield a session in a database of the server that is always there, and is not the route's own.

    A database cannot be renamed or dropped by a session that is connected to it.
    """
    place = administration_database(route.address.database)
    with contextlib.ExitStack() as stack:
        try:
            session = stack.enter_context(route.to(place).session())
        except SourceRefusedError as error:
            if f'"{MAINTENANCE}" does not exist' not in error.message:
                raise
            session = stack.enter_context(route.to("template1").session())
        yield session


def server_route(address: Address, password: Secret, installed: Sequence[Programs]) -> DirectRoute:
    """A route to a server on which the address's database need not exist; it is asked for its version first.

    Raises ToolError when no client programs fit it.
    """
    if not installed:
        hint = "install postgresql-client, or pip install 'drillbook[postgres-drill]'"
        raise ToolError("no PostgreSQL client programs are installed here", code="tool.missing", hint=hint)
    any_client = DirectRoute(address, installed[0], password)
    with administration(any_client) as session:
        server = Release.of_server(session.version)
    return replace(any_client, programs=client_for(installed, server))


def create_database(
    session: Session, name: str, needs: Needs, *, strict: bool, tablespace: str = ""
) -> list[Finding]:
    """An empty database with the source's encoding and collation, that only its owner may connect to.

    Where the server lacks the collation: ToolError when `strict`, else C.UTF-8 or C, and a warning. `tablespace`: empty for
    the server's default.
    """
    place = f" TABLESPACE {quoted(tablespace)}" if tablespace else ""
    try:
        session.run(f"CREATE DATABASE {quoted(name)} TEMPLATE template0 {_properties(session, needs)}{place}")
        findings = []
    except SourceError as error:
        if not any(words in error.message for words in _UNKNOWN_LOCALE):
            raise
        if strict:
            message = f"the server lacks the source's collation {needs.database['collate']}: {error.message}"
            hint = "nothing was touched; install that locale on the server's machine, or restore on a server that has it"
            raise ToolError(message, code="tool.missing", hint=hint) from error
        findings = [_create_with_substitute(session, name, needs)]
    session.run(f"REVOKE ALL ON DATABASE {quoted(name)} FROM PUBLIC")
    return findings


def _properties(session: Session, needs: Needs) -> str:
    database = needs.database
    parts = [
        f"ENCODING {literal(database['encoding'])}",
        f"LC_COLLATE {literal(database['collate'])}",
        f"LC_CTYPE {literal(database['ctype'])}",
    ]
    if database["provider"] == "i" and session.version >= _LOCALE_PROVIDER_SINCE:
        parts.append(f"LOCALE_PROVIDER icu ICU_LOCALE {literal(database['icu_locale'])}")
        if rules := database.get("icu_rules"):
            if session.version < _ICU_RULES_SINCE:
                message = "the source's collation has rules of its own (ICU), which need a server of version 16 or newer"
                raise ToolError(message, code="tool.missing")
            parts.append(f"ICU_RULES {literal(rules)}")
    elif database["provider"] == "b":
        if session.version < _BUILTIN_SINCE:
            message = "the source's collation provider 'builtin' needs a server of version 17 or newer"
            raise ToolError(message, code="tool.missing")
        parts.append(f"LOCALE_PROVIDER builtin BUILTIN_LOCALE {literal(database['icu_locale'])}")
    elif session.version >= _LOCALE_PROVIDER_SINCE:
        parts.append("LOCALE_PROVIDER libc")
    return " ".join(parts)


def _create_with_substitute(session: Session, name: str, needs: Needs) -> Finding:
    encoding = needs.database["encoding"]
    substitute = "C.UTF-8" if encoding == "UTF8" else "C"
    session.run(
        f"CREATE DATABASE {quoted(name)} TEMPLATE template0 ENCODING {literal(encoding)}"
        f" LC_COLLATE {literal(substitute)} LC_CTYPE {literal(substitute)}"
    )
    wanted = needs.database["collate"]
    message = f"collation {wanted} is not installed here; {substitute} was used, so text may sort differently"
    return Finding(
        severity=Severity.WARNING,
        code="postgres.collation_substituted",
        message=message,
        expected=wanted,
        found=substitute,
    )


def drop_database(session: Session, name: str) -> None:
    """Remove a database of ours, whoever is connected to it."""
    session.run(
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = {literal(name)} AND pid <> pg_backend_pid()"
    )
    force = " WITH (FORCE)" if session.version >= 130000 else ""  # noqa: PLR2004 - PostgreSQL 13
    session.run(f"DROP DATABASE IF EXISTS {quoted(name)}{force}")


def drop_left(session: Session, name: str) -> None:
    """Remove a database of ours as far as that is possible now: one that stays is found by its prefix later."""
    with contextlib.suppress(OpsError):
        drop_database(session, name)


def claim(session: Session, name: str) -> None:
    """Say, for as long as the session lives, that database `name` is in use: before it is there, and between sessions."""
    session.run(f"SET application_name = {literal(f'drillbook {name}')}")


def sweep_databases(session: Session, prefix: str) -> list[Finding]:
    """Remove databases of that prefix that nobody claims and nobody is connected to: left by runs that were killed."""
    rows = session.rows(
        f"SELECT d.datname AS name FROM pg_database d WHERE starts_with(d.datname, {literal(prefix)})"
        " AND NOT EXISTS (SELECT FROM pg_stat_activity a"
        " WHERE a.datid = d.oid OR a.application_name = 'drillbook ' || d.datname)"
    )
    findings = []
    for row in rows:
        with contextlib.suppress(OpsError):
            session.run(f"DROP DATABASE IF EXISTS {quoted(row['name'])}")
            message = f"removed database {row['name']}, left by a run that was killed"
            findings.append(
                Finding(severity=Severity.OK, code="store.swept", message=message, where=row["name"])
            )
    return findings


def missing_roles(session: Session, needs: Needs) -> list[str]:
    """Roles of the source that the server lacks."""
    there = {row["name"] for row in session.rows("SELECT rolname AS name FROM pg_roles")}
    return [name for name in needs.roles if name not in there]


def missing_extensions(session: Session, needs: Needs) -> list[str]:
    """Extensions of the source that the server lacks."""
    there = {row["name"] for row in session.rows("SELECT name FROM pg_available_extensions")}
    return sorted(set(needs.extensions) - there)


def require_extensions(session: Session, needs: Needs) -> None:
    """Return when the server has all extensions of the source; raises ToolError that names the missing ones."""
    if missing := missing_extensions(session, needs):
        message = f"extensions that the source uses are not installed on this server: {', '.join(missing)}"
        hint = "install their packages (runbook: Missing extension), or drill on a server that has them (scratch = …)"
        raise ToolError(message, code="tool.extension_missing", hint=hint)
