"""Who holds the locks that we waited for in vain."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Final

from ops.errors import SourceError, SourceLockedError
from ops.sources.postgres.catalog.identifiers import shown
from ops.sources.postgres.catalog.objects import USER_SCHEMA
from ops.sources.postgres.connect.session import Row, Session

_HOLDERS: Final = f"""
SELECT DISTINCT n.nspname AS schema, c.relname AS name, a.pid, a.usename AS user, a.application_name AS application, a.state
FROM pg_locks l JOIN pg_class c ON c.oid = l.relation JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'relation' AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND l.mode = 'AccessExclusiveLock' AND l.pid <> pg_backend_pid() AND {USER_SCHEMA} ORDER BY 1, 2, 3
"""


@contextlib.contextmanager
def telling_holders(session: Session) -> Iterator[None]:
    """Where a lock is waited for in vain inside of the block, have the error name the tables, and who holds them."""
    try:
        yield
    except SourceLockedError as error:
        held = ""
        with contextlib.suppress(SourceError):  # that it was locked is what counts
            session.run("ROLLBACK")
            held = "; ".join(map(_told, session.rows(_HOLDERS)))
        message = f"{error.message}{f': {held}' if held else ''}"
        hint = "wait for that process, or end it (pg_terminate_backend); lock_timeout says how long a backup waits"
        raise SourceError(message, code=error.code, hint=hint) from error


def _told(row: Row) -> str:
    # What a process does is seen by its own role, and by those who may read statistics.
    who = ", ".join(row[key] for key in ("user", "application", "state") if row[key])
    return f"{shown(row['schema'], row['name'])} is locked by process {row['pid']} ({who})"
