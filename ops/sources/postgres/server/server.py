"""Servers of our own: scratch servers for drills, and the cluster of the demo."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from ops.fsio.atomic import translated_write_errors
from ops.fsio.process_marks import mark_process
from ops.fsio.remove import remove_tree
from ops.proc import run_program
from ops.sources.postgres.programs.installation import Programs, plain_environment
from ops.sources.postgres.server.cluster import (
    PORT,
    SUPERUSER,
    Cluster,
    RunningServer,
    can_hold_socket,
    initialise,
    is_ready,
    lock_fields,
    make_data_folder,
    require_ready,
    serve,
    socket_folder,
    socket_settings,
)
from ops.sources.postgres.server.run_as import run_as, run_as_owner
from ops.sources.postgres.server.settings import TUNED, core_settings, memory_settings

__all__ = [
    "DEFAULT_LOCALE",
    "TUNED",
    "RunningServer",
    "create_cluster",
    "running_cluster",
    "scratch_server",
]

# The one locale that knows all letters and sorts by code point; macOS has none of that kind.
DEFAULT_LOCALE: Final = "C.UTF-8" if sys.platform.startswith("linux") else "C"
_FIRST_WITH_CHECKSUMS_ON: Final = 18
_READY_PATIENCE_S: Final = 60.0
# After a crash the server first replays its log.
_RECOVERY_PATIENCE_S: Final = 600.0
_FAST_STOP_PATIENCE_S: Final = 60.0


@contextlib.contextmanager
def scratch_server(  # noqa: PLR0913 - what a new cluster can be asked for
    programs: Programs,
    folder: Path,
    *,
    settings: Mapping[str, str] = TUNED,
    encoding: str = "UTF8",
    locale: str = DEFAULT_LOCALE,
    stop_s: float = 10.0,
) -> Iterator[RunningServer]:
    """A new server in the private scratch folder `folder`, for as long as the block runs.

    Its data lies in `folder`/data, its log in `folder`/server.log. At the end it is stopped at once, without
    a checkpoint: nothing in it is of value; `stop_s` is how long that may take before it is killed. When we
    are killed, the kernel stops it (Linux), or else the clean-up of the scratch folder does. Raises ToolError
    with the end of the log when it does not start, SpaceError when the disk is full.
    """
    cluster = Cluster(programs, folder / "data", run_as(programs), folder / "server.log")
    options = [f"--encoding={encoding}", f"--locale={locale}", "--no-sync"]
    if programs.major >= _FIRST_WITH_CHECKSUMS_ON:
        options.append("--no-data-checksums")
    make_data_folder(cluster)
    initialise(cluster, *options)
    with socket_folder(cluster) as sockets:
        wanted = {**memory_settings(), **core_settings(), **settings, **socket_settings(sockets)}
        process = serve(cluster, wanted, death=signal.SIGQUIT)
        try:
            with translated_write_errors(folder):
                mark_process(folder, process.pid, signal.SIGQUIT)
            require_ready(cluster, process, timeout_s=_READY_PATIENCE_S)
            yield RunningServer(programs, sockets, PORT, SUPERUSER, cluster.data, process.pid)
        finally:
            process.stop(signal.SIGQUIT, stop_s)


def create_cluster(programs: Programs, data: Path) -> None:
    """Make `data` a new cluster that keeps what it is given: ordinary, durable settings, checksums, no TCP.

    Its parent folder must be there. Raises RefusedError when `data` exists, ToolError or SpaceError with the
    end of initdb's output; then nothing is left of it.
    """
    cluster = Cluster(programs, data, run_as(programs), _log_of(data))
    settings = socket_settings(data)
    if not can_hold_socket(data):
        del settings["unix_socket_directories"]
    lines = [f"{name} = '{value}'\n" for name, value in settings.items()]
    make_data_folder(cluster)
    try:
        initialise(cluster, "--encoding=UTF8", f"--locale={DEFAULT_LOCALE}", "--data-checksums")
        with translated_write_errors(data), (data / "postgresql.conf").open("ab") as configuration:
            configuration.write("".join(["\n", *lines]).encode("ascii"))
    except BaseException:
        remove_tree(data)
        raise


@contextlib.contextmanager
def running_cluster(programs: Programs, data: Path) -> Iterator[RunningServer]:
    """The server of the existing cluster `data`: started for as long as the block runs, unless it runs already.

    One that runs is used as it is and left running. Raises ToolError with the end of the log when it does not
    start, SpaceError when the disk is full.
    """
    running = _already_running(programs, data)
    if running is not None:
        yield running
        return
    cluster = Cluster(programs, data, run_as_owner(programs, data), _log_of(data))
    with socket_folder(cluster) as sockets:
        process = serve(cluster, socket_settings(sockets), death=signal.SIGINT)
        try:
            require_ready(cluster, process, timeout_s=_RECOVERY_PATIENCE_S)
            yield RunningServer(programs, sockets, PORT, SUPERUSER, data, process.pid)
        finally:
            process.stop(signal.SIGINT, _FAST_STOP_PATIENCE_S, then=signal.SIGQUIT)


def _already_running(programs: Programs, data: Path) -> RunningServer | None:
    fields = lock_fields(data)
    if not fields or not fields[0].isdecimal() or not is_ready(data, int(fields[0])):
        return None
    # The file outlives a server that was killed, and its process id may be somebody else's by now.
    port, sockets = fields[3], fields[4]
    asked = run_program(
        [programs.path("pg_isready"), f"--host={sockets}", f"--port={port}", "--quiet"],
        timeout_s=_FAST_STOP_PATIENCE_S,
        environment=plain_environment(os.environ),
        folder=data,
    )
    if asked.exit_code != 0:
        return None
    return RunningServer(programs, Path(sockets), int(port), SUPERUSER, data, int(fields[0]))


def _log_of(data: Path) -> Path:
    return data.with_name(f"{data.name}.log")
