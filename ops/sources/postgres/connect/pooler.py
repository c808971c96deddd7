"""Whether a connection is to a server, or to a pooler that gives each transaction to another server process.

What is set in such a session stays with a process that the application gets next, and a snapshot is gone with its transaction.
So it is found out before anything is set. Source: https://www.pgbouncer.org/features.html (SQL feature map for pooling modes)
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

from ops.errors import SourceError

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[dict[str, Any]]

REFUSED: Final = "unsupported startup parameter"
"""How a pooler answers that was not told to ignore start-up options."""
_MARK: Final = "drillbook.session"
_PID: Final = "SELECT pg_backend_pid() AS value"
_PATIENCE_S: Final = 10.0


def marked(token: str) -> str:
    """Return the start-up option by which a session is known again. Nobody needs a right to set it."""
    return f"-c {_MARK}={token}"


def require_own_process(
    connection: Connection, token: str, connect: Callable[[], Connection], where: str
) -> bool:
    """Return whether the server heard our start-up options; raises SourceError when transactions have other processes.

    False where a pooler keeps one process for a whole session. `connect`: opens another connection of the same kind.
    """
    if _asked(connection, f"SELECT current_setting('{_MARK}', true) AS value") == token:
        return True
    before = _asked(connection, _PID)
    with contextlib.closing(connect()) as other, ThreadPoolExecutor(1) as pool:
        try:
            theirs = pool.submit(_held, other).result(_PATIENCE_S)
        except TimeoutError:
            # Every process of the pool is taken: a dump in parallel would wait for them, too.
            other.close()
            raise pooled(where) from None
        # While the other one is in a transaction, its process is nobody else's.
        if theirs == before or _asked(connection, _PID) != before:
            raise pooled(where)
    return False


def _asked(connection: Connection, sql: str) -> object:
    row = connection.execute(sql.encode()).fetchone()
    return None if row is None else row["value"]


def _held(connection: Connection) -> object:
    connection.execute(b"BEGIN")
    return _asked(connection, _PID)


def pooled(where: str) -> SourceError:
    """Return the error that says what is between us and the server, and what to do."""
    message = (
        f"{where} is a connection pooler (pgbouncer or the like) that gives transactions other server processes:"
        " a backup needs sessions of its own, and would leave its settings in those of the application"
    )
    hint = "name the server's own host and port in dsn, or a pool with pool_mode = session that has processes to spare"
    return SourceError(message, code="source.pooled", hint=hint)
