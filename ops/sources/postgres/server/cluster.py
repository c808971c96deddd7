"""Making a data folder and running its server: what scratch servers and the demo's cluster share."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import signal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ops.errors import OpsError, RefusedError, SpaceError, StoreError, ToolError
from ops.fsio.atomic import translated_write_errors
from ops.fsio.scratch import scratch_folder
from ops.proc import ServerProcess, run_program, start_server
from ops.sources.postgres.programs.installation import Programs, plain_environment
from ops.sources.postgres.server.run_as import RunAs

SUPERUSER: Final = "postgres"
PORT: Final = 5432
_SHORT_PLACE: Final = Path("/tmp")  # noqa: S108 - the folder made in it is new and private
_LONGEST_SOCKET: Final = 103  # sockaddr_un.sun_path without its end: 107 on Linux, 103 on macOS
_PLAIN: Final = re.compile(r"[\w/.+~-]+", re.ASCII)
_INITDB_PATIENCE_S: Final = 300.0
_TAIL: Final = 1500


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server that answers on the Unix socket in `socket_dir`, and nowhere else.

    `user` is its superuser, who needs no password: only those who may enter `socket_dir` (0700) reach it.
    """

    programs: Programs
    socket_dir: Path
    port: int
    user: str
    data: Path
    pid: int


@dataclass(frozen=True, slots=True)
class Cluster:
    """A data folder, the programs that run it and as whom, and where its server logs."""

    programs: Programs
    data: Path
    run_as: RunAs
    log: Path


def make_data_folder(cluster: Cluster) -> None:
    """Make the cluster's empty data folder. Raises RefusedError when it exists, StoreError or SpaceError."""
    try:
        with translated_write_errors(cluster.data):
            cluster.run_as.make_folder(cluster.data)
    except StoreError as error:
        if isinstance(error.__cause__, FileExistsError):
            message = f"{cluster.data} exists; a new cluster would take its place"
            raise RefusedError(message, hint="name a folder that does not exist") from None
        raise


def initialise(cluster: Cluster, *options: str) -> None:
    """Fill the cluster's empty data folder by initdb.

    Raises SpaceError or ToolError with the end of initdb's output.
    """
    programs, data = cluster.programs, cluster.data
    initdb = [programs.path("initdb"), f"--pgdata={data}", f"--username={SUPERUSER}", "--auth=trust"]
    ended = run_program(
        [*cluster.run_as.prefix, *initdb, *options],
        timeout_s=_INITDB_PATIENCE_S,
        environment=plain_environment(os.environ),
        folder=data.parent,
        # What it reports on the way; the errors are kept for the message.
        stdout=Path(os.devnull),
    )
    if ended.exit_code != 0:
        how = "took too long" if ended.exit_code is None else "failed"
        raise _failure(f"initdb of PostgreSQL {programs.version} {how} in {data}", ended.output_tail)


@contextlib.contextmanager
def socket_folder(cluster: Cluster) -> Iterator[Path]:
    """The folder for the socket: the data folder, which is private, where it can be; else a new one in /tmp."""
    if can_hold_socket(cluster.data):
        yield cluster.data
        return
    with scratch_folder(_SHORT_PLACE) as folder:
        sockets = folder / "s"
        cluster.run_as.make_folder(sockets)
        yield sockets


def can_hold_socket(folder: Path) -> bool:
    """Whether clients can connect to a socket in `folder`: a short path of plain characters.

    In libpq's `host` a comma starts the next host, and settings have quoting of their own.
    """
    path = str(folder / f".s.PGSQL.{PORT}")
    return len(path) <= _LONGEST_SOCKET and _PLAIN.fullmatch(path) is not None


def serve(cluster: Cluster, settings: Mapping[str, str], *, death: signal.Signals) -> ServerProcess:
    """Start the cluster's server in the foreground as our child; it may not be ready yet.

    `death` is what the kernel tells it when we are killed.
    """
    arguments = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    return start_server(
        [*cluster.run_as.prefix, cluster.programs.path("postgres"), "-D", str(cluster.data), *arguments],
        environment=plain_environment(os.environ),
        folder=cluster.data.parent,
        log=cluster.log,
        death_signal=death,
    )


def socket_settings(folder: Path) -> dict[str, str]:
    """Settings that make the socket in `folder` (see `can_hold_socket`) the only way in."""
    return {
        "listen_addresses": "",
        "port": str(PORT),
        "unix_socket_directories": str(folder),
        "unix_socket_permissions": "0700",
    }


def require_ready(cluster: Cluster, process: ServerProcess, *, timeout_s: float) -> None:
    """Return when the server takes connections. Raises SpaceError or ToolError with the end of its log."""
    if process.wait_for(lambda: is_ready(cluster.data, process.pid), timeout_s):
        return
    ended = process.exit_code()
    how = f"did not get ready in {timeout_s:g} s" if ended is None else f"ended with exit code {ended}"
    raise _failure(f"the PostgreSQL server of {cluster.data} {how}", _end_of(cluster.log))


def is_ready(data: Path, pid: int) -> bool:
    """Whether the server's lock file says that it takes connections (its last line since PostgreSQL 10)."""
    fields = lock_fields(data)
    return fields[:1] == [str(pid)] and fields[-1].strip() == "ready"


def lock_fields(data: Path) -> list[str]:
    """The lines of postmaster.pid: pid, data, start, port, socket folder, address, memory, state; or none."""
    try:
        return os.fsdecode((data / "postmaster.pid").read_bytes()).rstrip("\n").split("\n")
    except OSError:
        return []


@contextlib.contextmanager
def explained_by_log(log: Path) -> Iterator[None]:
    """Turn the failure of a program into SpaceError when the server's log says that it stopped on a full disk."""
    try:
        yield
    except ToolError as error:
        if error.code == "tool.failed" and os.strerror(errno.ENOSPC) in _end_of(log):
            raise _failure(
                f"the scratch server stopped ({error.message})", os.strerror(errno.ENOSPC)
            ) from error
        raise


def _end_of(log: Path) -> str:
    try:
        return log.read_bytes()[-_TAIL:].decode("utf-8", "replace").strip()
    except OSError:
        return ""


def _failure(what: str, said: str) -> OpsError:
    message = f"{what}: {said[-_TAIL:] or 'it said nothing'}"
    if os.strerror(errno.ENOSPC) in said:
        hint = "free some space, or set scratch_dir to a larger place"
        return SpaceError(message, code="space.disk_full", hint=hint)
    hint = ""
    if os.strerror(errno.EACCES) in said:
        hint = (
            "the server's user must be able to pass through every folder above it; set scratch_dir elsewhere"
        )
    return ToolError(message, hint=hint)
