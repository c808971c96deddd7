"""Which database a source is: what is configured, and what its server says of itself."""

from __future__ import annotations

import os
from collections.abc import Mapping

from ops.host.network import is_local
from ops.model.series import Identified, Whereabouts
from ops.sources.postgres.connect.open import source_address
from ops.sources.postgres.connect.route import Route
from ops.sources.postgres.connect.session import Session
from ops.sources.postgres.options import PostgresOptions

_MAY_ASK = "SELECT has_function_privilege('pg_control_system()', 'EXECUTE') AS may"
_SYSTEM = "SELECT system_identifier::text AS system FROM pg_control_system()"
_NUMBER = "SELECT oid::bigint AS number FROM pg_database WHERE datname = current_database()"


def whereabouts_of(options: PostgresOptions) -> Whereabouts:
    """Return the address as it is written: hosts, ports and database, or the container's name, or the cluster's folder.

    Sockets, loopback addresses, clusters and containers are this machine's own. What the environment adds is left aside:
    it is another one under cron than in a shell, and the server's own word tells at each backup.
    """
    address = source_address(options)
    database = address.database
    if options.cluster is not None:
        return Whereabouts("postgres", f"{os.path.normpath(options.cluster)}/{database}")
    if options.container:
        return Whereabouts("postgres", f"container {options.container}/{database}")
    hosts = address.hosts({})
    port = dict(address.parameters).get("port", "")
    local = all(map(is_local, hosts)) or hosts[0].startswith("service ")
    return Whereabouts("postgres", f"{','.join(hosts)}:{port}/{database}", local)


def selection_of(options: PostgresOptions) -> Mapping[str, object]:
    """Return the part of the database that the scope takes; empty where the scope says it alone."""
    if options.scope == "tables":
        return {"tables": sorted(options.tables)}
    if options.scope == "schemas":
        return {"schemas": sorted(options.schemas)}
    if options.scope == "tenant":
        return {"tenant": options.tenant, "tenant_column": options.tenant_column}
    return {}


def identify_database(route: Route, options: PostgresOptions) -> Identified:
    """Ask the server; where our role may not see the system identifier, the address alone is what is known."""
    with route.session() as session:
        system = system_identifier(session) or ""
        (row,) = session.rows(_NUMBER)
    where = whereabouts_of(options).text
    return Identified(f"{system} {where}".strip(), system, str(row["number"]))


def system_identifier(session: Session) -> str | None:
    """Return the identifier of the session's cluster; None where our role may not see it.

    The right is asked for first: PostgreSQL looks at it before the statement begins, whether the function is reached or not.
    """
    (row,) = session.rows(_MAY_ASK)
    return str(session.rows(_SYSTEM)[0]["system"]) if row["may"] else None
