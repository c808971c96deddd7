"""Real PostgreSQL servers for the tests: one of each major version a session, started when first asked for."""

from __future__ import annotations

import contextlib
import itertools
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import psycopg
import pytest

from ops.fsio.scratch import scratch_folder
from ops.sources.postgres.programs.discover import Programs, discover
from ops.sources.postgres.server.server import RunningServer, scratch_server

_NUMBERS = itertools.count(1)


@dataclass(frozen=True, slots=True)
class FreshDatabase:
    """An empty database of its own on a running server."""

    server: RunningServer
    name: str

    def connect(self, *, autocommit: bool = True) -> psycopg.Connection[tuple[Any, ...]]:
        """A new connection as superuser; close it."""
        return connect(self.server, self.name, autocommit=autocommit)


FreshDatabases: TypeAlias = Callable[[RunningServer], FreshDatabase]


def connect(
    server: RunningServer, database: str = "postgres", *, autocommit: bool = True
) -> psycopg.Connection[tuple[Any, ...]]:
    """A new connection to `server` as its superuser; close it."""
    return psycopg.connect(
        host=str(server.socket_dir),
        port=server.port,
        user=server.user,
        dbname=database,
        autocommit=autocommit,
    )


def require_programs(major: int) -> Programs:
    """The installed server programs of `major`; without them the test is skipped, and fails where CI=true."""
    for programs in discover(None, os.environ):
        if programs.major == major and programs.has_server:
            return programs
    reason = f"no PostgreSQL {major} server is installed here"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@contextlib.contextmanager
def serving(major: int) -> Iterator[RunningServer]:
    """A scratch server of `major`, gone afterwards; a missing one is treated as `require_programs` does."""
    programs = require_programs(major)
    with scratch_folder(Path(tempfile.gettempdir())) as folder, scratch_server(programs, folder) as server:
        yield server


@pytest.fixture(scope="session")
def pg15() -> Iterator[RunningServer]:
    """A tuned PostgreSQL 15 that all tests of the session share."""
    with serving(15) as server:
        yield server


@pytest.fixture(scope="session")
def pg17() -> Iterator[RunningServer]:
    """A tuned PostgreSQL 17 that all tests of the session share."""
    with serving(17) as server:
        yield server


@pytest.fixture(scope="session")
def pg18() -> Iterator[RunningServer]:
    """A tuned PostgreSQL 18 that all tests of the session share."""
    with serving(18) as server:
        yield server


@pytest.fixture
def fresh_database() -> Iterator[FreshDatabases]:
    """Makes empty databases on the server that it is called with; they are dropped after the test."""
    made: list[FreshDatabase] = []

    def make(server: RunningServer) -> FreshDatabase:
        database = FreshDatabase(server, f"fresh_{os.getpid()}_{next(_NUMBERS)}")
        with connect(server) as connection:
            connection.execute(f'CREATE DATABASE "{database.name}" TEMPLATE template0')
        made.append(database)
        return database

    yield make
    for database in made:
        with connect(database.server) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{database.name}" WITH (FORCE)')
