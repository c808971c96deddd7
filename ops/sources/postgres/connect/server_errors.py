"""What goes wrong with questions to a server, by SQLSTATE, as our errors.

Source: https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Final

from ops.errors import OpsError, SourceError, SpaceError
from ops.sources.postgres.connect.pooler import REFUSED, pooled

_NOT_NOW: Final = (
    "starting up",
    "shutting down",
    "recovery mode",
    "terminating connection",
    "not yet accepting",
)
_NO_CONNECTIONS: Final = "is not currently accepting connections"
_DISK_FULL: Final = "53100"
STANDBY: Final = "conflict with recovery"
STANDBY_HINT: Final = (
    "a standby ends what stands in the way of its replay: raise max_standby_streaming_delay (or _archive_) there, set"
    " hot_standby_feedback = on, or back up the primary"
)
_REFUSED: Final = ("28000", "28P01", "3D000", "42501", "53300", "55000")
_KINDS: Final = (
    (
        ("55P03", "57014", "40P01"),
        "source.locked",
        "somebody changes the schema, or holds a lock; see pg_stat_activity, then run it again",
    ),
    (
        ("XX001", "XX002", "58030"),
        "source.corrupt",
        "the server's own files are damaged; keep them, look at its log and at the disk",
    ),
    (_REFUSED, "source.refused", "check user, password, pg_hba.conf and the role's rights"),
)
"""States, the code for them, and what to do."""


@contextlib.contextmanager
def translated_errors(where: str = "") -> Iterator[None]:
    """Turn what psycopg raises into SourceError with a code that says what kind of trouble it is."""
    import psycopg

    try:
        yield
    except psycopg.Error as error:
        text = " ".join(str(error).split()) or type(error).__name__
        if REFUSED in text:
            raise pooled(where or "the server") from error
        raise source_error(error.sqlstate or "", text, where) from error
    except UnicodeError as error:
        hint = "a database in SQL_ASCII holds names that are no UTF-8; rename them, or convert the database"
        message = f"{where or 'PostgreSQL'}: text that is not UTF-8 ({error})"
        raise SourceError(message, code="source.query_failed", hint=hint) from error


def source_error(state: str, text: str, where: str = "") -> OpsError:
    """The error for an SQLSTATE (empty: the server did not give one) and what was said with it.

    SpaceError where the server's disk is full, which says nothing about what was asked; else SourceError.
    """
    message = f"{where}: {text}" if where else f"PostgreSQL: {text}"
    if not state and "FATAL:" in text and not any(words in text for words in _NOT_NOW):
        # libpq gives no SQLSTATE for a connection that the server refused.
        state = "28000"
    if state == _DISK_FULL:
        hint = "make room on the disk of that server (runbook: Disk full), then run it again"
        return SpaceError(message, code="space.disk_full", hint=hint)
    if STANDBY in text:
        return SourceError(message, code="source.locked", hint=STANDBY_HINT)
    if state.startswith(("08", "57P")) or not state:
        hint = "see the server's log, and that host, port and network are right: psql with the same address"
        return SourceError(message, code="source.unreachable", hint=hint)
    if _NO_CONNECTIONS in text:
        hint = "back up another database, or ALTER DATABASE … ALLOW_CONNECTIONS true"
        if '"template0"' in text:
            hint = "template0 is as the server made it, and needs no backup: name another database"
        return SourceError(message, code="source.refused", hint=hint)
    for states, code, hint in _KINDS:
        if state in states:
            return SourceError(message, code=code, hint=hint)
    return SourceError(message, code="source.query_failed")
