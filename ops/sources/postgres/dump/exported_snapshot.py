"""One moment of a database, held still for as long as a dump and the measuring take.

The order makes the moment whole: first every table is locked against DDL (ACCESS SHARE: readers and writers go
on), then the snapshot is taken, then the tables are listed once more inside of it. LOCK TABLE as the first statement
of a REPEATABLE READ transaction does not take the snapshot yet.
Source: https://www.postgresql.org/docs/current/sql-lock.html,
https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-SNAPSHOT-SYNCHRONIZATION
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ops.errors import QueryFailedError, SourceError
from ops.sources.postgres.catalog.identifiers import literal
from ops.sources.postgres.catalog.lock_holders import telling_holders
from ops.sources.postgres.catalog.objects import one
from ops.sources.postgres.catalog.tables import Table, list_tables
from ops.sources.postgres.connect.session import Session

_ATTEMPTS: Final = 5
_BEGIN: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_MOST_NAMED: Final = 8

Chosen = Callable[[Sequence[Table]], list[Table]]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An exported snapshot: its id, all tables in it, those that are backed up, and its moment."""

    id: str
    everything: tuple[Table, ...]
    chosen: tuple[Table, ...]
    moment: datetime


@contextlib.contextmanager
def held_snapshot(session: Session, choose: Chosen, *, clock: Callable[[], datetime]) -> Iterator[Snapshot]:
    """A snapshot in which the tables that `choose` picks cannot be changed by DDL while the block runs.

    Raises SourceError: `source.locked` when DDL keeps a table for too long or the tables keep changing,
    `source.no_privilege` and `source.row_security` when our role cannot read everything.
    """
    for _ in range(_ATTEMPTS):
        try:
            with telling_holders(session):
                before = choose(list_tables(session))
                require_all_rows(before)
                session.run(_BEGIN)
                locked = _lock(session, before)
            if locked:
                moment = clock()
                snapshot = str(one(session, "SELECT pg_export_snapshot() AS id")["id"])
                inside = list_tables(session)
                chosen = choose(inside)
                if {table.oid for table in chosen if _lockable(table)} <= {table.oid for table in before}:
                    require_all_rows(chosen)
                    yield Snapshot(snapshot, tuple(inside), tuple(chosen), moment)
                    return
        finally:
            with contextlib.suppress(SourceError):
                session.run("ROLLBACK")
    message = "tables were created or dropped all the time while the backup tried to begin"
    raise SourceError(message, code="source.locked", hint="run it again when no migration is at work")


def _lockable(table: Table) -> bool:
    return table.kind in {"r", "p"}


def _lock(session: Session, tables: Sequence[Table], *, wait: bool = True) -> bool:
    """Whether all are locked now; False when one is gone, or, without `wait`, when somebody stands before us."""
    names = ", ".join(f"ONLY {table.sql}" for table in tables if _lockable(table))
    if not names:
        return True
    try:
        session.run(f"LOCK TABLE {names} IN ACCESS SHARE MODE{'' if wait else ' NOWAIT'}")
    except SourceError as error:
        if isinstance(error, QueryFailedError) or not wait:
            return False
        raise
    return True


def require_all_rows(tables: Sequence[Table]) -> None:
    """Return when our role sees every row of every table; raises SourceError that names those it does not see."""
    unreadable = [table.shown for table in tables if table.kind in {"r", "p"} and not table.readable]
    if unreadable:
        message = f"the role may not read {_named(unreadable)}"
        hint = "GRANT pg_read_all_data TO the role (14 and newer), or SELECT and USAGE on them: a backup holds all or nothing"
        raise SourceError(message, code="source.no_privilege", hint=hint)
    filtered = [table.shown for table in tables if table.kind in {"r", "p"} and table.filtered]
    if filtered:
        message = f"row security hides rows of {_named(filtered)} from the role"
        hint = "ALTER ROLE … BYPASSRLS, or back up as the tables' owner: a backup holds all rows or none"
        raise SourceError(message, code="source.row_security", hint=hint)


def _named(names: list[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more tables" if more > 0 else "")


def join_snapshot(session: Session, snapshot: Snapshot) -> bool:
    """Put a second session into the snapshot, holding the same locks; False when DDL already waits for one.

    Then its queries would wait behind that DDL, which itself waits for us.
    """
    session.run(_BEGIN)
    session.run(f"SET TRANSACTION SNAPSHOT {literal(snapshot.id)}")
    return _lock(session, snapshot.chosen, wait=False)
