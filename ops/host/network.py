"""Whether this process may contact other machines: a switch of the whole process, like its umask.

The tasks turn it off for `--no-network`; whatever opens a connection asks here first. Names are not looked up for the
answer, since that would already contact another machine.
"""

from __future__ import annotations

import contextlib
import ipaddress
import threading
from collections.abc import Iterable, Iterator
from typing import Final

from ops.errors import ToolError

_FORBIDDEN: Final = threading.Event()


@contextlib.contextmanager
def without_network() -> Iterator[None]:
    """While the block runs `require_allowed` lets through only what stays on this machine, in all threads."""
    _FORBIDDEN.set()
    try:
        yield
    finally:
        _FORBIDDEN.clear()


def require_allowed(hosts: Iterable[str], where: str) -> None:
    """Return when all of `hosts` are on this machine, or nothing was forbidden; raises ToolError that names `where`.

    It is no SourceError, and no verdict of a drill, because nothing was looked at.
    """
    if not _FORBIDDEN.is_set():
        return
    away = [host for host in hosts if not is_local(host)]
    if away:
        message = (
            f"{where} was not contacted: --no-network allows nothing but this machine ({', '.join(away)})"
        )
        raise ToolError(message, code="tool.network_forbidden", hint="run it again without --no-network")


def is_local(host: str) -> bool:
    """Whether a host is this machine beyond doubt: a socket's folder, `localhost`, or a loopback address.

    An abstract socket of libpq begins with `@`.
    """
    if not host or host.startswith(("/", "@")) or host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
