"""The verbs that replace a live database, for the source driver: which way leads to a target, and what is done there."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from ops.errors import ConfigError, RefusedError, SourceError, SourceUnreachableError
from ops.host.secret import Secret
from ops.model.findings import Finding, Severity
from ops.model.manifest import Payload
from ops.model.requests import RestoreOptions
from ops.run.progress import Progress
from ops.sources.postgres.catalog.identifiers import literal, quoted
from ops.sources.postgres.catalog.requirements import needs_of
from ops.sources.postgres.connect.address import parse_address
from ops.sources.postgres.connect.open import (
    open_route,
    source_address,
    source_password,
)
from ops.sources.postgres.connect.route import Route
from ops.sources.postgres.connect.session import Session
from ops.sources.postgres.drill.copy import usable
from ops.sources.postgres.options import PostgresOptions
from ops.sources.postgres.programs.discover import Programs
from ops.sources.postgres.restore.databases import (
    RESTORE_PREFIX,
    administration,
    claim,
    create_database,
    drop_left,
    new_name,
    server_route,
    sweep_databases,
)
from ops.sources.postgres.restore.fill import fill_database
from ops.sources.postgres.restore.pg_restore import Restoration
from ops.sources.postgres.restore.swap import BuiltCopy
from ops.sources.postgres.restore.tablespace import choose_tablespace, missing_tablespaces

_SERVER: Final = "the server of the target"


@contextlib.contextmanager
def open_target(options: PostgresOptions, target: str, installed: Sequence[Programs]) -> Iterator[Route]:
    """The way to a target that `target_of` gave; through the source's own server where it is that one.

    The source's password is used only for the source's own host, port and user.
    """
    address = parse_address(target)
    if not is_same_server(options, target):
        yield server_route(address, Secret("password"), installed)
    elif options.cluster is not None or options.container:
        with open_route(options, installed) as route:
            yield route.to(address.database)
    else:
        # Not through the source's database: it may be what was dropped, and is to come back.
        there = source_address(options).with_database(address.database)
        route = server_route(there, source_password(options), installed)
        yield replace(route, patience_s=options.lock_timeout.total_seconds())


def is_same_server(options: PostgresOptions, target: str) -> bool:
    """Whether a target is on the source's own server (or in its container), by its address."""
    return source_address(options).with_database(parse_address(target).database).location == target


@contextlib.contextmanager
def built_beside(
    route: Route, payload: Payload, options: PostgresOptions, wanted: RestoreOptions, progress: Progress
) -> Iterator[BuiltCopy]:
    """The payload restored into a new database on the target's server, where nobody else may connect.

    It is dropped at the end, unless it got another name meanwhile.
    """
    manifest = payload.manifest
    needs, name = needs_of(manifest.extra), new_name(RESTORE_PREFIX)
    beside = route.to(name)
    with contextlib.ExitStack() as stack:
        with usable(_SERVER):
            session = stack.enter_context(administration(route))
            claim(session, name)
            findings = sweep_databases(session, RESTORE_PREFIX)
            # After the swap there is none of that name.
            stack.callback(drop_left, session, name)
            tablespace, noticed = choose_tablespace(session, route.address.database, needs)
            elsewhere = missing_tablespaces(session, needs)
            findings += [*noticed, *elsewhere]
            findings += create_database(session, name, needs, strict=True, tablespace=tablespace)
            if not wanted.no_owner:
                # The owner may create in the schema public; without that, objects could not be given to it.
                session.run(f"ALTER DATABASE {quoted(name)} OWNER TO {quoted(needs.database['owner'])}")
            settings = options.restore_settings or {}
            _require_settings(session, settings)
            held = stack.enter_context(contextlib.ExitStack())
            holder = held.enter_context(beside.session())
        progress.step(f"restoring {manifest.payload} beside {route.address.database}")
        restoration = Restoration(
            options=wanted,
            jobs=options.jobs,
            tablespaces=not elsewhere,
            allowed=options.allowed_errors or {},
            settings=settings,
        )
        filled, recorded = fill_database(beside, holder, payload, options, restoration)
        yield BuiltCopy(beside, recorded, (*findings, *filled), held=held)


def _require_settings(session: Session, settings: Mapping[str, str]) -> None:
    """Return when the target's server lets our role set these; raises ConfigError."""
    for name, value in settings.items():
        try:
            session.run(f"SET {quoted(name)} = {literal(value)}")
        except SourceUnreachableError:
            raise
        except SourceError as error:
            message = f"restore_settings of the source, {name} = {value!r}: {error.message}"
            raise ConfigError(message, hint="correct it, or leave it away; nothing was touched") from error
        session.run(f"RESET {quoted(name)}")


def run_anonymization(route: Route, files: Sequence[Path]) -> list[Finding]:
    """Run the operator's SQL files in the copy, each whole or not at all, before anybody else can connect.

    Raises RefusedError (`refused.not_anonymized`) when one fails; the copy is dropped then.
    """
    for file in files:
        # Messages of the server may quote rows, and these are what must not be seen: only file, line and SQLSTATE.
        arguments = (
            "--no-psqlrc",
            "--set=VERBOSITY=sqlstate",
            "--quiet",
            "--no-password",
            "--set=ON_ERROR_STOP=1",
            "--single-transaction",
        )
        ran = (
            route.run("psql", *arguments, f"--file={file}")
            if route.writes_folders
            else route.run("psql", *arguments, "--file=-", stdin=file)
        )
        if ran.exit_code:
            said = " / ".join(ran.messages[-1:])
            message = f"anonymization by {file.name} failed, so the copy was dropped: {said}"
            raise RefusedError(
                message, code="refused.not_anonymized", hint="correct the file, then run it again"
            )
    names = ", ".join(file.name for file in files)
    return [Finding(severity=Severity.OK, code="restore.anonymized", message=f"anonymized by {names}")]
