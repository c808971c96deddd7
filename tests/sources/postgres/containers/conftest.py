"""One engine and one PostgreSQL in a container for all tests here; databases of their own in it."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import pytest

from ops.host.secret import Secret
from ops.sources.postgres.connect.address import Address
from ops.sources.postgres.connect.container_route import ContainerRoute
from ops.sources.postgres.connect.open import open_route
from ops.sources.postgres.connect.route import DirectRoute
from ops.sources.postgres.options import PostgresOptions
from ops.sources.postgres.source import PostgresSource
from tests.containers import KEEPER_PASSWORD, ContainerHost, ServerContainer, container_host
from tests.sources.postgres.conftest import require_programs

EVERY_CLIENT: Final = ("podman", "docker", "compose")
CLIENTS: Final = ("podman", "docker", pytest.param("compose", marks=pytest.mark.faults_long))
"""podman-compose takes twice as long for each call: beside one whole round trip it is left to `nox -s faults`."""
_NUMBERS = itertools.count(1)


@dataclass(frozen=True, slots=True)
class ContainerDatabase:
    """A database of its own in the container."""

    server: ServerContainer
    name: str

    def options(self, client: str = "podman", **more: object) -> PostgresOptions:
        """A source's options that reach it through `client`."""
        values = {
            "container": "db" if client == "compose" else self.server.name,
            "container_exec": self.server.host.clients[client],
            "dsn": f"user=postgres dbname='{self.name}'",
            "min_size": 1,
            **more,
        }
        return PostgresOptions(**values)  # type: ignore[arg-type]

    def source(self, client: str = "podman", **more: object) -> PostgresSource:
        """It as a source."""
        return PostgresSource("shop", self.options(client, **more))

    @contextlib.contextmanager
    def route(self, client: str = "podman", **more: object) -> Iterator[ContainerRoute]:
        """The way through the container, without any programs of the host."""
        with open_route(self.options(client, **more), ()) as route:
            assert isinstance(route, ContainerRoute)
            yield route

    def outside(self) -> DirectRoute:
        """The way over the socket, with the host's programs."""
        parameters = (("host", str(self.server.sockets)), ("user", "postgres"), ("dbname", self.name))
        return DirectRoute(Address(parameters), require_programs(15), Secret("password"))

    def run(self, sql: str) -> None:
        """Execute statements."""
        self.server.order(sql, self.name)

    def psql(self, *arguments: str) -> None:
        """Run psql from outside; the test fails when it does."""
        self.outside().run("psql", "-Xq", "-v", "ON_ERROR_STOP=1", *arguments).require_success("psql")


NewDatabase: TypeAlias = Callable[[], ContainerDatabase]


@pytest.fixture(scope="session")
def engine_host() -> Iterator[ContainerHost]:
    """An engine of our own."""
    with container_host() as host:
        yield host


@pytest.fixture(scope="session")
def container(engine_host: ContainerHost) -> Iterator[ServerContainer]:
    """The container `petshop-db` with PostgreSQL 15, and a role whose password is asked for."""
    with engine_host.server("petshop-db", require_programs(15).bindir) as server:
        password = KEEPER_PASSWORD.replace("'", "''")
        server.order(f"CREATE ROLE keeper SUPERUSER LOGIN PASSWORD '{password}'")
        yield server


@pytest.fixture
def new_database(container: ServerContainer) -> Iterator[NewDatabase]:
    """Makes empty databases in the container; they are dropped after the test."""
    made: list[str] = []

    def make() -> ContainerDatabase:
        name = f"shop {os.getpid()} {next(_NUMBERS)}"
        container.order(f'CREATE DATABASE "{name}" TEMPLATE template0')
        made.append(name)
        return ContainerDatabase(container, name)

    yield make
    for name in made:
        container.order(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@pytest.fixture
def database(new_database: NewDatabase) -> ContainerDatabase:
    """An empty database."""
    return new_database()


@pytest.fixture
def featured(database: ContainerDatabase) -> ContainerDatabase:
    """A database with everything that a round trip must keep, odd names and values among it."""
    features = Path(__file__).parents[1] / "features.sql"
    variables = {"owner": "Dono das Vendas", "reader": "leitor's", "database": database.name, "xml": "1"}
    database.psql(*(f"--set={name}={value}" for name, value in variables.items()), f"--file={features}")
    return database


@pytest.fixture
def ballast(database: ContainerDatabase) -> ContainerDatabase:
    """A database whose dump takes much longer than it takes to see that it has begun, also on a loaded machine."""
    database.run(
        "CREATE TABLE ballast AS SELECT i AS id, repeat(md5(i::text), 8) || md5((i * 7)::text) AS filler"
        " FROM generate_series(1, 900000) i"
    )
    return database
