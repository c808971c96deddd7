"""Whether the client programs are older than the server, as they are for weeks after every release of PostgreSQL.

A server may keep something in its catalogs that its own pg_dump leaves out and an older one writes into the archive.
"""

from __future__ import annotations

from typing import Final

from ops.model.findings import Finding, Severity
from ops.sources.postgres.catalog.identifiers import literal
from ops.sources.postgres.connect.route import Route
from ops.sources.postgres.connect.session import Session
from ops.sources.postgres.programs.release import OWN_OPTION_PREFIX, Release

_OWN_OPTIONS: Final = f"""
SELECT DISTINCT split_part(o.option, '=', 1) AS name FROM pg_attribute a, unnest(a.attoptions) AS o(option)
WHERE a.attoptions IS NOT NULL AND starts_with(o.option, {literal(OWN_OPTION_PREFIX)}) ORDER BY 1
"""


def find_older_client(route: Route, session: Session) -> list[Finding]:
    """Return one finding when the route's pg_dump is older than the server, as far as can be told; else none.

    For a client of another major version that is whether its pg_dump knows the options that the server keeps for
    itself. Raises SourceError when the server does not answer.
    """
    server = Release.of_server(session.version)
    client = Release.parse(route.client_version)
    if client.includes(server):
        return []
    reason = ""
    if client.major != server.major:
        unknown = [row["name"] for row in session.rows(_OWN_OPTIONS) if not route.client_knows(row["name"])]
        if not unknown:
            return []
        reason = f" ({', '.join(unknown)})"
    older = "is older than" if client.major == server.major else "does not know as much as"
    message = (
        f"pg_dump {client} {older} the server {server}: it writes into the backup what the server keeps"
        f" for itself{reason}; restores leave that out where it is unknown."
        f" Install client programs of {server} or newer (postgresql-client-{server.major}), or name"
        " theirs with pg_bindir"
    )
    return [
        Finding(
            severity=Severity.OK,
            code="postgres.older_client",
            message=message,
            expected=str(server),
            found=str(client),
        )
    ]
