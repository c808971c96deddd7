"""How questions and client programs get to a server: over its socket or network address, or through a container."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from ops.errors import ConfigError, SpaceError, ToolError
from ops.fsio.atomic import translated_write_errors
from ops.fsio.scratch import scratch_folder
from ops.host.secret import Secret
from ops.proc import run_program
from ops.sources.postgres.connect.address import Address, client_environment
from ops.sources.postgres.connect.session import ENGLISH, PATIENCE_S, Session, open_session, startup_options
from ops.sources.postgres.programs.discover import Programs

_NO_PASSWORD = Secret("password")
_ROOM_FOR_WORDS = 4096


@dataclass(frozen=True, slots=True)
class Ran:
    """How a client program ended: its exit code, and what it wrote to standard error, line by line."""

    program: str
    exit_code: int
    messages: tuple[str, ...]

    def require_success(self, what: str) -> None:
        """Return when it ended well; raises SpaceError for a full disk, ToolError that quotes it for all else."""
        self.require_room(what)
        if self.exit_code:
            raise ToolError(f"{what} failed: {self._said}", code="tool.failed")

    def require_room(self, what: str) -> None:
        """Return unless it failed because a disk of this machine is full; raises SpaceError then."""
        if self.exit_code and (
            "No space left on device" in self._said or "Disk quota exceeded" in self._said
        ):
            hint = "nothing half written was kept; free some space (runbook: Disk full) and run it again"
            raise SpaceError(f"{what}: the disk ran full: {self._said}", code="space.disk_full", hint=hint)

    @property
    def _said(self) -> str:
        return " / ".join(self.messages[-6:]) or f"exit code {self.exit_code}"


class Route(Protocol):
    """A way to one database of one server."""

    @property
    def address(self) -> Address:
        """The database, free of secrets."""

    @property
    def writes_folders(self) -> bool:
        """Whether client programs can write and read folders here (and so work in parallel)."""

    @property
    def codecs(self) -> frozenset[str]:
        """What the client's pg_dump can compress with."""

    @property
    def client_version(self) -> str:
        """The version of the client programs."""

    def client_knows(self, word: str) -> bool:
        """Return whether the client's pg_dump knows `word`, the name of an option."""

    def to(self, database: str) -> Route:
        """The same way to another database of the server."""

    def in_english(self) -> Route:
        """The same for a superuser, whose programs are answered in English; others may not ask for that."""

    def with_settings(self, settings: Mapping[str, str]) -> Route:
        """The same, whose programs and sessions have these settings of the server from their start on."""

    def session(self) -> AbstractContextManager[Session]:
        """A session of our own; raises SourceError when it cannot be had."""

    def run(
        self,
        program: str,
        *arguments: str,
        stdin: Path | None = None,
        stdout: Path | None = None,
        folder: Path | None = None,
    ) -> Ran:
        """Run a client program that connects by `--dbname` to the database, as its only address; in `folder`."""

    def run_offline(self, program: str, *arguments: str, stdout: Path | None = None) -> Ran:
        """Run a client program here that connects nowhere."""


@dataclass(frozen=True, slots=True)
class DirectRoute:
    """Over an address that this machine reaches itself; `is_ours`: to a server that we started, which trusts us."""

    address: Address
    programs: Programs
    password: Secret = field(default=_NO_PASSWORD)
    patience_s: float = PATIENCE_S
    is_ours: bool = False

    @property
    def writes_folders(self) -> bool:
        """Programs run here."""
        return True

    @property
    def codecs(self) -> frozenset[str]:
        """Of the programs that were found."""
        return self.programs.codecs

    @property
    def client_version(self) -> str:
        """Of the programs that were found."""
        return self.programs.version

    def client_knows(self, word: str) -> bool:
        """As the file of pg_dump says."""
        return self.programs.mentions("pg_dump", word)

    def to(self, database: str) -> DirectRoute:
        """Another database at the same address."""
        return replace(self, address=self.address.with_database(database))

    def in_english(self) -> DirectRoute:
        """By an option at the start of each session, in front of which the environment's options go."""
        return replace(self, address=self.address.with_options(ENGLISH, os.environ.get("PGOPTIONS", "")))

    def with_settings(self, settings: Mapping[str, str]) -> DirectRoute:
        """In front of which the environment's options go."""
        before = os.environ.get("PGOPTIONS", "")
        return replace(self, address=self.address.with_options(startup_options(settings), before))

    @contextlib.contextmanager
    def session(self) -> Iterator[Session]:
        """Over psycopg."""
        with open_session(self.address, self.password.read(), patience_s=self.patience_s) as session:
            yield session

    def run(
        self,
        program: str,
        *arguments: str,
        stdin: Path | None = None,
        stdout: Path | None = None,
        folder: Path | None = None,
    ) -> Ran:
        """The password goes through a private password file: never an argument, never a variable."""
        # A scratch folder, because the next run removes those that a killed one left.
        with scratch_folder(Path(tempfile.gettempdir())) as private:
            environment = client_environment(with_password=not self.is_ours)
            if (password := self.password.read()) is not None:
                passfile = private / "pgpass"
                write_password_file(passfile, password)
                environment["PGPASSFILE"] = str(passfile)
                environment.pop("PGPASSWORD", None)
            argv = [self.programs.path(program), *arguments, *address_argument(program, self.address)]
            place = Place(private, folder or private)
            return run_client(argv, environment, place, stdin=stdin, stdout=stdout)

    def run_offline(self, program: str, *arguments: str, stdout: Path | None = None) -> Ran:
        """With the same programs."""
        with scratch_folder(Path(tempfile.gettempdir())) as folder:
            argv = [self.programs.path(program), *arguments]
            environment = client_environment(with_password=False)
            return run_client(argv, environment, Place(Path(folder), Path(folder)), stdout=stdout)


def address_argument(program: str, address: Address) -> list[str]:
    """How `program` is told where to connect."""
    conninfo = address.lasting.conninfo
    return [conninfo if program == "pg_amcheck" else f"--dbname={conninfo}"]


def write_password_file(path: Path, password: str) -> None:
    """A libpq password file that gives `password` for whatever is connected to.

    Raises ConfigError for one with a line end, which the format cannot hold.
    Source: https://www.postgresql.org/docs/current/libpq-pgpass.html (escapes, mode 0600)
    """
    if "\n" in password or "\r" in password:
        hint = "libpq's password file has one line for each; set another password"
        raise ConfigError("the password holds a line end", code="config.secret_unavailable", hint=hint)
    escaped = password.replace("\\", "\\\\").replace(":", "\\:")
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(f"*:*:*:*:{escaped}\n")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a program runs: a private folder for what it says, and its working folder."""

    private: Path
    working: Path


def in_english(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment with messages in English, which are read here, and all else of the locale as it was."""
    kept = {name: value for name, value in environment.items() if name != "LC_ALL"}
    if "LC_ALL" in environment:
        kept["LC_CTYPE"] = environment["LC_ALL"]
    return {**kept, "LC_MESSAGES": "C", "LANGUAGE": "C"}


def run_client(
    argv: Sequence[str],
    environment: dict[str, str],
    place: Place,
    *,
    stdin: Path | None = None,
    stdout: Path | None = None,
) -> Ran:
    """Run one client program to its end, with messages in English, and keep what it says.

    Raises SpaceError when it failed without a word, and there is no room for its words.
    """
    errors = place.private / "messages"
    ended = run_program(
        argv,
        timeout_s=None,
        environment=in_english(environment),
        folder=place.working,
        stdin=stdin,
        stdout=stdout,
        stderr=errors,
    )
    lines = errors.read_text("utf-8", "replace").splitlines()
    exit_code = -1 if ended.exit_code is None else ended.exit_code
    if exit_code and not lines:
        with translated_write_errors(errors), errors.open("ab") as file:
            file.write(bytes(_ROOM_FOR_WORDS))
    return Ran(Path(argv[0]).name, exit_code, tuple(line for line in lines if line.strip()))
