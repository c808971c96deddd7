"""What an operator meets: no container, no engine, no program, no user: what is wrong, where, and what to do."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from ops.errors import OpsError
from ops.sources.postgres.options import PostgresOptions
from ops.sources.postgres.source import PostgresSource
from tests.containers import ENGINE_ENDED_FIRST, ContainerHost
from tests.sources.postgres.containers.conftest import ContainerDatabase

pytestmark = [pytest.mark.containers, pytest.mark.long]
BY_BOTH = pytest.mark.parametrize("client", ["podman", "docker"])


def trouble(container: str, command: Sequence[str], dsn: str = "user=postgres dbname=postgres") -> OpsError:
    """The error of looking at a source; asked again where the engine's own end came before psql's words."""
    options = PostgresOptions(container=container, container_exec=tuple(command), dsn=dsn)
    for _ in range(5):
        with pytest.raises(OpsError) as caught:
            PostgresSource("shop", options).probe()
        if not any(words in caught.value.message for words in ENGINE_ENDED_FIRST):
            break
    assert repr(container) in caught.value.message or "program" in caught.value.message
    assert caught.value.hint
    assert "Traceback" not in caught.value.message
    return caught.value


@BY_BOTH
def test_no_such_container(engine_host: ContainerHost, client: str) -> None:
    """A container that is not there is missing."""
    error = trouble("nowhere", engine_host.clients[client])
    assert error.code == "source.missing"
    assert "correct `container`" in error.hint


def test_no_such_service(engine_host: ContainerHost) -> None:
    """So is a compose service."""
    assert trouble("nowhere", engine_host.clients["compose"]).code == "source.missing"


@BY_BOTH
def test_not_running(engine_host: ContainerHost, client: str) -> None:
    """A container that does not run is to be started."""
    engine_host.podman("create", "--name", "still", "localhost/empty:1", "sh")
    try:
        error = trouble("still", engine_host.clients[client])
    finally:
        engine_host.podman("rm", "still")
    assert error.code == "source.unreachable"
    assert "start the container" in error.hint


def test_no_engine(engine_host: ContainerHost) -> None:
    """An engine that does not answer is to be started, or to be reached."""
    error = trouble("petshop-db", ("env", "DOCKER_HOST=unix:///nowhere.sock", "docker", "exec", "-i"))
    assert error.code == "tool.failed"
    assert "container engine" in error.hint


def test_no_client() -> None:
    """Without the engine's client that program is named."""
    error = trouble("petshop-db", ("no-such-engine", "exec", "-i"))
    assert error.code == "tool.missing"
    assert "no-such-engine" in error.message


@BY_BOTH
def test_no_programs(engine_host: ContainerHost, client: str) -> None:
    """A container without PostgreSQL's programs, or without a shell, is not the one that is meant."""
    engine_host.run("no-programs", "--tmpfs", "/usr/lib/postgresql:notmpcopyup", script="exec sleep 600")
    try:
        error = trouble("no-programs", engine_host.clients[client])
    finally:
        engine_host.podman("rm", "--force", "--time", "0", "no-programs")
    assert error.code == "tool.missing"
    assert "has no pg_dump" in error.message


def test_no_shell(engine_host: ContainerHost) -> None:
    """A container whose PATH leads nowhere has no shell."""
    engine_host.run("no-shell", "--env", "PATH=/nowhere", script="while :; do /usr/bin/sleep 1; done")
    try:
        error = trouble("no-shell", engine_host.clients["podman"])
    finally:
        engine_host.podman("rm", "--force", "--time", "0", "no-shell")
    assert error.code == "tool.missing"
    assert "sh, pg_dump, pg_restore and psql" in error.hint


def test_programs_off_the_path(engine_host: ContainerHost) -> None:
    """Programs that are installed where distributions put them are found, and a server that does not run is told."""
    # The machine's own /usr/bin may hold wrappers of that name.
    path = "PATH=/tmp:/usr/sbin"
    script = "cd /tmp; for p in sh env sleep; do /usr/bin/ln -s /usr/bin/$p $p; done; exec sleep 600"
    engine_host.run("no-server", "--env", path, script=f"/usr/bin/true; {script}")
    try:
        error = trouble("no-server", engine_host.clients["podman"])
    finally:
        engine_host.podman("rm", "--force", "--time", "0", "no-server")
    assert error.code == "source.unreachable"
    assert "is it starting?" in error.hint
    assert ".s.PGSQL.5432" in error.message


def test_no_such_user(engine_host: ContainerHost, database: ContainerDatabase) -> None:
    """A user whom the container does not have is refused."""
    error = trouble("petshop-db", (*engine_host.clients["podman"], "-u", "nobody-here"))
    assert error.code == "source.refused"


@pytest.mark.parametrize(
    ("dsn", "said"),
    [
        ("user=stranger dbname=postgres", 'role "stranger" does not exist'),
        ("user=postgres dbname='not there'", 'database "not there" does not exist'),
        ("user=keeper dbname=postgres", "no password supplied"),
    ],
)
def test_the_server_refuses(
    engine_host: ContainerHost, database: ContainerDatabase, dsn: str, said: str
) -> None:
    """A role, a database or a password that the server does not take."""
    error = trouble("petshop-db", engine_host.clients["docker"], dsn)
    assert error.code == "source.refused"
    assert said in error.message
    assert "dsn = " in error.hint


def test_no_socket(engine_host: ContainerHost, database: ContainerDatabase) -> None:
    """An address inside of the container at which no server listens."""
    error = trouble(
        "petshop-db", engine_host.clients["podman"], "host=/nowhere user=postgres dbname=postgres"
    )
    assert error.code == "source.unreachable"
