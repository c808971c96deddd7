"""Where a drill restores: a server of its own, or a database of its own on a server that was named."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from ops.errors import ToolError
from ops.host.secret import Secret
from ops.model.findings import Finding, Severity
from ops.model.manifest import Payload
from ops.model.requests import RestoreOptions
from ops.ports.source import LoadContext
from ops.run.progress import Progress
from ops.sources.postgres.catalog.identifiers import quoted
from ops.sources.postgres.catalog.requirements import Needs, needs_of
from ops.sources.postgres.connect.address import Address, parse_address
from ops.sources.postgres.connect.route import DirectRoute, Route
from ops.sources.postgres.connect.session import Session
from ops.sources.postgres.drill.copy import PostgresCopy, answering, usable
from ops.sources.postgres.options import PostgresOptions
from ops.sources.postgres.programs.discover import Programs, server_for
from ops.sources.postgres.programs.release import Release
from ops.sources.postgres.restore.databases import (
    MAINTENANCE,
    SCRATCH_PREFIX,
    administration,
    claim,
    create_database,
    drop_left,
    is_template,
    missing_roles,
    new_name,
    require_extensions,
    server_route,
    sweep_databases,
)
from ops.sources.postgres.restore.fill import fill_database
from ops.sources.postgres.restore.pg_restore import Restoration
from ops.sources.postgres.server.cluster import explained_by_log
from ops.sources.postgres.server.server import TUNED, scratch_server

EPHEMERAL: Final = "ephemeral"
_GIVEN: Final = "the server that is named for drills (scratch)"
_WITH_TRANSACTION_TIMEOUT: Final = 17


@contextlib.contextmanager
def loaded_copy(
    payload: Payload,
    options: PostgresOptions,
    installed: Sequence[Programs],
    context: LoadContext,
) -> Iterator[PostgresCopy]:
    """The payload restored where the options say, for as long as the block runs; of the rows those of the context's tables.

    Raises ToolError when this machine or the named server lacks something: no verdict about the backup then.
    """
    needs = needs_of(payload.manifest.extra)
    with contextlib.ExitStack() as stack:
        with answering():
            if options.scratch == EPHEMERAL:
                own = _ephemeral(payload.folder, needs, options, installed, context.progress)
                route = stack.enter_context(own)
            else:
                with usable(_GIVEN):
                    route = server_route(parse_address(options.scratch), Secret("password"), installed)
            copy = stack.enter_context(_restored(route, payload, options, context))
        yield copy


def drill_programs(needs: Needs, installed: Sequence[Programs]) -> Programs:
    """The programs for a server of its own that can hold the source; raises ToolError that says what is lacking."""
    codec = needs.codec if needs.codec in {"lz4", "zstd"} else None
    at_least = needs.server_major
    if needs.client_major >= _WITH_TRANSACTION_TIMEOUT:
        # Archives of newer clients set what older servers do not know.
        at_least = max(at_least, _WITH_TRANSACTION_TIMEOUT)
    wanted = set(needs.extensions)
    # Those that have the extensions first; where none does, the error names what is missing.
    able = [item for item in installed if wanted <= item.available_extensions()]
    with contextlib.suppress(ToolError):
        return server_for(able, at_least=at_least, codec=codec, needs_icu=needs.icu, source=needs.server)
    return server_for(installed, at_least=at_least, codec=codec, needs_icu=needs.icu, source=needs.server)


def require_loadable(needs: Needs, options: PostgresOptions, installed: Sequence[Programs]) -> list[Finding]:
    """Return when a drill could begin here; a warning when its server is older than the source's.

    Raises ToolError, or SourceError when the given server does not answer.
    """
    if options.scratch != EPHEMERAL:
        route = server_route(parse_address(options.scratch), Secret("password"), installed)
        with administration(route) as session:
            require_extensions(session, needs)
            return _older_server(Release.of_server(session.version), needs)
    programs = drill_programs(needs, installed)
    missing = sorted(set(needs.extensions) - programs.available_extensions())
    if missing:
        message = (
            f"PostgreSQL {programs.version} here lacks extensions that the source uses: {', '.join(missing)}"
        )
        raise ToolError(message, code="tool.extension_missing", hint="runbook: Missing extension")
    return _older_server(programs.release, needs)


def _older_server(server: Release, needs: Needs) -> list[Finding]:
    if not server.is_older(needs.server):
        return []
    message = (
        f"drills use a server of PostgreSQL {server}, which is older than the source's {needs.server}: what it does"
        f" not know leaves a drill without a verdict. Install postgresql-{needs.server_major} {needs.server} or newer"
    )
    return [Finding(severity=Severity.WARNING, code="postgres.older_server", message=message)]


@contextlib.contextmanager
def _ephemeral(
    folder: Path, needs: Needs, options: PostgresOptions, installed: Sequence[Programs], progress: Progress
) -> Iterator[Route]:
    programs = drill_programs(needs, installed)
    progress.step(f"starting PostgreSQL {programs.version}")
    settings = {**TUNED, **(options.drill_settings or {})}
    with (
        scratch_server(programs, folder, settings=settings) as server,
        explained_by_log(folder / "server.log"),
    ):
        yield DirectRoute(
            Address((("host", str(server.socket_dir)), ("port", str(server.port)), ("user", server.user))),
            programs,
            is_ours=True,
        )


@contextlib.contextmanager
def _restored(
    route: Route, payload: Payload, options: PostgresOptions, context: LoadContext
) -> Iterator[PostgresCopy]:
    """A new database with the payload in it, held open so that no clean-up takes it, and dropped at the end."""
    needs = needs_of(payload.manifest.extra)
    own_server = options.scratch == EPHEMERAL
    # On a server of our own the copy has the name of the source, unless every server has a database of that name.
    own_name = needs.database["name"]
    free = own_server and own_name != MAINTENANCE and not is_template(own_name)
    name = own_name if free else new_name(SCRATCH_PREFIX)
    server = "the server that was started for the drill" if own_server else _GIVEN
    with contextlib.ExitStack() as stack:
        with usable(server):
            session = stack.enter_context(administration(route))
            claim(session, name)
            swept = [] if own_server else sweep_databases(session, SCRATCH_PREFIX)
            require_extensions(session, needs)
            owned = _require_roles(session, needs, create=own_server)
            if not own_server:
                stack.callback(drop_left, session, name)
            created = create_database(session, name, needs, strict=False)
            target = route.to(name)
            holder = stack.enter_context(target.session())
        context.progress.step(f"restoring {payload.manifest.payload}")
        wanted = Restoration(
            options=RestoreOptions(no_owner=bool(owned), no_acl=bool(owned)),
            jobs=options.jobs,
            allowed=options.allowed_errors or {},
            only=tuple(context.tables),
        )
        filled, recorded = fill_database(target, holder, payload, options, wanted)
        findings = (*swept, *owned, *created, *filled)
        yield PostgresCopy(target, recorded, findings, amcheck=options.amcheck)


def _require_roles(session: Session, needs: Needs, *, create: bool) -> list[Finding]:
    """The source's roles exist: made here on a server of our own; on another one a warning names what is missing.

    Made as superusers without login: owners of event triggers must be ones, and nobody else is on the server.
    """
    missing = missing_roles(session, needs)
    if create:
        for name in missing:
            session.run(f"CREATE ROLE {quoted(name)} NOLOGIN SUPERUSER")
        return []
    if not missing:
        return []
    message = (
        f"roles {', '.join(missing)} do not exist on the scratch server; owners and rights were not restored"
    )
    return [Finding(severity=Severity.WARNING, code="postgres.roles_missing", message=message)]
