"""The way to a database through its container: by the client programs in there, and nothing of ours on the host.

Files come and go through the engine's pipes, so archives are of the custom format and restores have one job.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

from ops.errors import ToolError
from ops.fsio.scratch import scratch_folder
from ops.host.network import require_allowed
from ops.host.secret import Secret
from ops.sources.postgres.connect.address import Address, parse_address
from ops.sources.postgres.connect.container_errors import engine_failure, is_engine_failure, stopped_answering
from ops.sources.postgres.connect.container_exec import Engine, open_engine
from ops.sources.postgres.connect.psql_session import PsqlSession, open_psql
from ops.sources.postgres.connect.route import DirectRoute, Place, Ran, address_argument, run_client
from ops.sources.postgres.connect.session import ENGLISH, startup_options
from ops.sources.postgres.options import PostgresOptions
from ops.sources.postgres.programs.discover import Programs

_PROJECT_FLAGS: Final = ("-f", "--file", "-p", "--project-name", "--project-directory")
_GLOBALS_END: Final = b"database cluster dump complete"
_TAIL_BYTES: Final = 4096
_HOSTS: Final = ("host", "hostaddr")


@dataclass(frozen=True, slots=True)
class ContainerAddress(Address):
    """A database in a container; `project`: what tells apart services of one name (a compose file, a project)."""

    container: str = ""
    project: str = ""

    @property
    def location(self) -> str:
        """The URI that would be used inside, and the container."""
        inside = Address(self.parameters).location
        project = f"&project={quote(self.project)}" if self.project else ""
        return f"{inside}{'&' if '?' in inside else '?'}container={quote(self.container)}{project}"


def container_address(options: PostgresOptions) -> ContainerAddress:
    """The database that the options mean, as the programs in their container are told."""
    address = parse_address(options.dsn)
    if options.database:
        address = address.with_database(options.database)
    flags = pairwise(options.container_exec)
    project = " ".join(value for flag, value in flags if flag in _PROJECT_FLAGS)
    return ContainerAddress(address.parameters, options.container, project)


@dataclass(frozen=True, slots=True)
class ContainerRoute:
    """Through the programs of a container; `installed` are those of the host, for work on files alone."""

    address: ContainerAddress
    engine: Engine
    installed: tuple[Programs, ...] = ()

    @property
    def writes_folders(self) -> bool:
        """Programs in there do not see our folders."""
        return False

    @property
    def codecs(self) -> frozenset[str]:
        """Of the container's pg_dump."""
        return self.engine.codecs

    @property
    def client_version(self) -> str:
        """Of the container's pg_dump."""
        return self.engine.version

    def client_knows(self, word: str) -> bool:
        """Assumed: in a container pg_dump comes with the server, and is compared with it by its release."""
        return True

    def to(self, database: str) -> ContainerRoute:
        """Another database of the same server."""
        return replace(self, address=self.address.with_database(database))

    def in_english(self) -> ContainerRoute:
        """By an option at the start of each session."""
        return replace(self, address=self.address.with_options(ENGLISH))

    def with_settings(self, settings: Mapping[str, str]) -> ContainerRoute:
        """By options at the start of each session."""
        return replace(self, address=self.address.with_options(startup_options(settings)))

    @contextlib.contextmanager
    def session(self) -> Iterator[PsqlSession]:
        """Over psql."""
        with open_psql(self.engine, self.address) as session:
            yield session

    def run(
        self,
        program: str,
        *arguments: str,
        stdin: Path | None = None,
        stdout: Path | None = None,
        folder: Path | None = None,
    ) -> Ran:
        """What it writes to `stdout` is whole when it ended well: engines have lost the ends of streams.

        Raises ToolError for a `folder`: the program would not see it; SourceError when the container is gone.
        """
        if folder is not None:
            message = (
                f"{program} in container {self.engine.container!r} cannot work in a folder of this machine"
            )
            raise ToolError(message, code="tool.missing", hint="leave `container` away and give a dsn")
        mark = self.engine.watch.new_mark()
        # By this the program is known in the container, and in pg_stat_activity.
        address = self.address.with_parameters(application_name=mark)
        ran = self._run(mark, [program, *arguments, *address_argument(program, address)], stdin, stdout)
        if ran.exit_code == 0 and stdout is not None:
            return self._read_back(ran, stdout)
        return ran

    def run_offline(self, program: str, *arguments: str, stdout: Path | None = None) -> Ran:
        """With the host's programs where some can read what the container's wrote; else in there.

        In there it gets the file that the last argument names on its standard input.
        """
        able = [
            programs
            for programs in self.installed
            if programs.major >= self.engine.major and programs.codecs >= self.engine.codecs
        ]
        if able:
            chosen = min(able, key=lambda programs: programs.major)
            return DirectRoute(Address(), chosen).run_offline(program, *arguments, stdout=stdout)
        *options, file = arguments
        if not Path(file).is_file():
            message = f"{file} cannot be read in container {self.engine.container!r}: it is no single file"
            hint = f"install the client programs of PostgreSQL {self.engine.major} on this machine"
            raise ToolError(message, code="tool.missing", hint=hint)
        return self._run(self.engine.watch.new_mark(), [program, *options], Path(file), stdout)

    def _run(self, mark: str, command: Sequence[str], stdin: Path | None, stdout: Path | None) -> Ran:
        program, *arguments = command
        engine, step = self.engine, f"running {program}"
        argv, environment = engine.call(program, *arguments)
        with scratch_folder(Path(tempfile.gettempdir())) as private:
            try:
                ran = run_client(argv, environment, Place(private, Path.cwd()), stdin=stdin, stdout=stdout)
            except BaseException:
                engine.watch.end(mark)
                raise
        ran = replace(ran, program=program)
        if ran.exit_code == 0:
            return ran
        said = " / ".join(ran.messages)
        spoke = any(line.startswith(f"{program}: ") for line in ran.messages)
        if not spoke and is_engine_failure(ran.exit_code, said):
            raise engine_failure(engine.container, step, said or f"exit code {ran.exit_code}")
        # The engine's client may have ended alone, and the program goes on in there.
        if not engine.watch.end(mark):
            raise stopped_answering(engine.container, f"while {program} ran", said)
        return ran

    def _read_back(self, ran: Ran, stdout: Path) -> Ran:
        if ran.program == "pg_dump":
            read = self.run_offline("pg_restore", f"--file={os.devnull}", os.fspath(stdout))
            missing = read.exit_code != 0
            said = read.messages
        else:
            missing = ran.program == "pg_dumpall" and _GLOBALS_END not in _tail(stdout)
            said = ()
        if not missing:
            return ran
        message = f"what {ran.program} wrote did not come out of container {self.engine.container!r} whole"
        return replace(ran, exit_code=1, messages=(*ran.messages, message, *said))


def _tail(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
        return file.read()


def _engine_hosts(command: Sequence[str]) -> list[str]:
    """The machines that the engine's client is told of by its arguments and variables; not what a context says."""
    places = [*command, *(os.environ.get(name, "") for name in ("DOCKER_HOST", "CONTAINER_HOST"))]
    urls = [urlsplit(place) for place in places if "://" in place]
    return [url.hostname or url.netloc for url in urls if url.scheme not in {"unix", "npipe", "fd"}]


@contextlib.contextmanager
def open_container(
    options: PostgresOptions, password: Secret, installed: Sequence[Programs]
) -> Iterator[ContainerRoute]:
    """The way through the running container that the options name.

    Whatever of ours still runs in it at the end of the block is ended, also when we are killed. Raises what
    `open_engine` does, and ToolError when the engine is another machine and `--no-network` was given.
    """
    address = container_address(options)
    inside = [host for keyword, hosts in address.parameters if keyword in _HOSTS for host in hosts.split(",")]
    require_allowed([*_engine_hosts(options.container_exec), *inside], f"container {options.container!r}")
    with open_engine(options.container, options.container_exec, password) as engine:
        yield ContainerRoute(address, engine, tuple(installed))
