"""`--no-network`: nothing but this machine is contacted, and what was not is said."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ops.errors import ToolError
from ops.host.network import is_local, require_allowed, without_network
from ops.host.secret import Secret
from ops.sources.postgres.connect.address import parse_address
from ops.sources.postgres.connect.container_route import open_container
from ops.sources.postgres.connect.session import open_session
from ops.sources.postgres.options import PostgresOptions


@pytest.fixture
def no_network() -> Iterator[None]:
    """The switch is off for one test."""
    with without_network():
        yield


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("", True),
        ("/run/postgresql", True),
        ("@abstract", True),
        ("localhost", True),
        ("LOCALHOST.", True),
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("[::1]", True),
        ("10.0.0.1", False),
        ("0.0.0.0", False),
        ("db.internal", False),
        ("localhost.example.org", False),
        ("service shop", False),
    ],
)
def test_what_is_this_machine(host: str, local: bool) -> None:
    """Sockets and loopback are this machine; a name is not, whatever it would resolve to."""
    assert is_local(host) is local


def test_nothing_is_forbidden_unasked() -> None:
    """Without the flag every host is let through."""
    require_allowed(["db.internal"], "the server")


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize(
    ("dsn", "environment"),
    [
        ("postgresql://db.internal/shop", {}),
        ("postgresql://localhost,db.internal/shop", {}),
        ("host=localhost hostaddr=10.1.2.3 dbname=shop", {}),
        ("postgresql:///shop", {"PGHOST": "db.internal"}),
        ("postgresql:///shop", {"PGHOSTADDR": "10.1.2.3"}),
        ("postgresql:///shop?service=shop", {}),
        ("postgresql:///shop", {"PGSERVICE": "shop"}),
    ],
)
def test_a_server_elsewhere_is_not_contacted(
    monkeypatch: pytest.MonkeyPatch, dsn: str, environment: dict[str, str]
) -> None:
    """Wherever libpq would take the host from, a server that is not provably here is refused before it is asked."""
    for name in ("PGHOST", "PGHOSTADDR", "PGSERVICE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ToolError) as caught, open_session(parse_address(dsn), None):
        pass
    assert caught.value.code == "tool.network_forbidden"


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize(
    ("options", "environment"),
    [
        ({"container_exec": ("docker", "-H", "tcp://10.1.2.3:2375", "exec", "-i")}, {}),
        ({}, {"DOCKER_HOST": "ssh://ops@db.internal"}),
        ({"dsn": "postgresql://other.internal/shop"}, {}),
    ],
)
def test_a_container_elsewhere_is_not_contacted(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, object], environment: dict[str, str]
) -> None:
    """An engine on another machine, or a server behind the container, is refused before anything is run."""
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    chosen = PostgresOptions(container="petshop", **options)  # type: ignore[arg-type] # one value of many types
    with pytest.raises(ToolError) as caught, open_container(chosen, Secret("password"), ()):
        pass
    assert caught.value.code == "tool.network_forbidden"
