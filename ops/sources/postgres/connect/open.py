"""From a source's options to a route: which programs, which address, which password."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace

from ops.errors import ToolError
from ops.host.secret import Secret
from ops.sources.postgres.connect.address import Address, parse_address
from ops.sources.postgres.connect.container_route import container_address, open_container
from ops.sources.postgres.connect.route import DirectRoute, Route
from ops.sources.postgres.connect.session import open_session
from ops.sources.postgres.options import PostgresOptions
from ops.sources.postgres.programs.discover import Programs, client_for
from ops.sources.postgres.programs.release import Release
from ops.sources.postgres.server.server import running_cluster

_NO_CLIENT = "no PostgreSQL client programs (pg_dump, pg_restore, psql) are installed here"


def source_address(options: PostgresOptions) -> Address:
    """The database that the options mean; for a cluster that is not running, what its socket folder would be."""
    if options.cluster is not None:
        database = options.database or "postgres"
        return Address((("host", str(options.cluster)), ("dbname", database)))
    if options.container:
        return container_address(options)
    address = parse_address(options.dsn)
    return address.with_database(options.database) if options.database else address


def source_password(options: PostgresOptions) -> Secret:
    """Where the operator keeps the password."""
    return Secret("password", options.password_env, options.password_file, options.password_command)


@contextlib.contextmanager
def open_route(options: PostgresOptions, installed: Sequence[Programs]) -> Iterator[Route]:
    """The way to the source's database, with client programs of the server's own version where they are here.

    A cluster is started for as long as the block runs. Raises ToolError when no client fits.
    """
    patience_s = options.lock_timeout.total_seconds()
    if options.cluster is not None:
        programs = cluster_programs(options, installed)
        with running_cluster(programs, options.cluster) as server:
            database = options.database or "postgres"
            place = (
                ("host", str(server.socket_dir)),
                ("port", str(server.port)),
                ("user", server.user),
                ("dbname", database),
            )
            yield DirectRoute(Address(place), programs, patience_s=patience_s, is_ours=True)
        return
    if options.container:
        with open_container(options, source_password(options), installed) as container:
            yield container
        return
    route = direct_route(source_address(options), source_password(options), installed)
    yield replace(route, patience_s=patience_s)


def direct_route(address: Address, password: Secret, installed: Sequence[Programs]) -> DirectRoute:
    """A route to a server that is asked for its version first."""
    if not installed:
        hint = "install postgresql-client, or pip install 'drillbook[postgres-drill]'"
        raise ToolError(_NO_CLIENT, code="tool.missing", hint=hint)
    with open_session(address, password.read()) as session:
        server = Release.of_server(session.version)
    return DirectRoute(address, client_for(installed, server), password)


def cluster_programs(options: PostgresOptions, installed: Sequence[Programs]) -> Programs:
    """The server programs of the version that wrote the cluster."""
    if options.cluster is None:
        raise ToolError("no cluster is configured", code="tool.missing")
    version = options.cluster / "PG_VERSION"
    try:
        major = int(version.read_text("ascii").strip())
    except (OSError, ValueError) as error:
        message = f"{options.cluster} is no PostgreSQL data folder: PG_VERSION cannot be read"
        raise ToolError(message, code="tool.failed") from error
    for programs in installed:
        if programs.major == major and programs.has_server:
            return programs
    message = f"{options.cluster} needs PostgreSQL {major}, which is not installed here"
    hint = "install it, or pip install 'drillbook[postgres-drill]' (17) or 'drillbook[postgres-drill-18]'"
    raise ToolError(message, code="tool.missing", hint=hint)
