"""No test here may reach beyond this machine: sockets to other than loopback addresses are refused."""

from __future__ import annotations

import ipaddress
import socket

import pytest

REAL_CONNECT = socket.socket.connect


def is_local(address: object) -> bool:
    """Whether a socket address stays on this machine."""
    if not isinstance(address, tuple):
        return True
    if address[0] == "localhost":
        return True
    try:
        return ipaddress.ip_address(address[0]).is_loopback
    except ValueError:
        return False


def guarded(self: socket.socket, address: object) -> None:
    """Connect to this machine only."""
    if not is_local(address):
        raise ConnectionRefusedError(f"no network in this session: {address}")
    REAL_CONNECT(self, address)  # type: ignore[arg-type] # any address that a socket takes


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse every connection that leaves this machine."""
    monkeypatch.setattr(socket.socket, "connect", guarded)


def pytest_report_header() -> str:
    """Say so."""
    return "network: sockets other than loopback are blocked"
