"""Measuring many tables at once, each by the server itself, in one snapshot or in a database that nobody writes."""

from __future__ import annotations

import contextlib
import queue
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from ops.errors import ConfigError, OpsError, QueryFailedError
from ops.model.manifest import TableMeasure
from ops.proc import worker_count
from ops.sources.postgres.catalog.identifiers import parse_column
from ops.sources.postgres.catalog.tables import Table
from ops.sources.postgres.connect.route import Route
from ops.sources.postgres.connect.session import Session
from ops.sources.postgres.measure.row_digest_sql import measuring_query, table_digest

LARGE_OBJECTS: Final = "pg_largeobject"
"""The name under which large objects stand among the tables of a manifest."""

_LARGE_OBJECTS: Final = """
SELECT count(*) AS rows, coalesce(sum(hashtextextended(m.oid::text || ' ' || md5(lo_get(m.oid)), 0)), 0)::text AS total
FROM pg_largeobject_metadata m
"""
_SAVEPOINT: Final = "drillbook_table"
Join = Callable[[Session], bool]


@dataclass(frozen=True, slots=True)
class Measuring:
    """How tables are measured: the digest's algorithm (None: count only), and a condition that rows must meet.

    `refused`: where the sessions are inside transactions, here is kept which tables could not be measured, and why: an index
    whose function names what an empty search_path does not find ends every statement on its table. `warned`: here is kept what
    the server warned of meanwhile.
    """

    algorithm: str | None
    where: str = "TRUE"
    refused: dict[str, str] | None = None
    warned: list[str] = field(default_factory=list)


def measure_tables(
    route: Route, first: Session, tables: Sequence[Table], how: Measuring, *, join: Join
) -> dict[str, TableMeasure]:
    """Rows and digest of each table that holds rows, by its shown name.

    `first` measures, and as many further sessions as cores are left for which `join` says True. Raises the first
    error; the other sessions are cancelled then, also when the caller is interrupted.
    """
    largest_first = sorted((table for table in tables if table.holds_rows), key=lambda table: -table.bytes)
    todo: queue.SimpleQueue[Table] = queue.SimpleQueue()
    for table in largest_first:
        todo.put(table)
    found: dict[str, TableMeasure] = {}
    more = min(worker_count(), len(largest_first)) - 1
    with _further_sessions(route, more, join) as others, ThreadPoolExecutor(1 + len(others)) as pool:
        sessions = [first, *others]
        futures = [pool.submit(_measure_some, session, todo, how, found) for session in sessions]
        try:
            for future in futures:
                future.result()
        except BaseException:
            with contextlib.suppress(queue.Empty):
                while True:
                    todo.get_nowait()
            _cancel(sessions)
            raise
        how.warned.extend(line for session in sessions for line in session.warnings)
    return dict(sorted(found.items()))


def _cancel(sessions: Iterable[Session]) -> None:
    for session in sessions:
        with contextlib.suppress(Exception):
            session.cancel()


@contextlib.contextmanager
def _further_sessions(route: Route, count: int, join: Join) -> Iterator[list[Session]]:
    with contextlib.ExitStack() as stack:
        sessions = []
        for _ in range(count):
            # One session is enough; a server that has no connection left for a second one is no reason to fail.
            with contextlib.suppress(OpsError):
                session = stack.enter_context(route.session())
                if join(session):
                    sessions.append(session)
        yield sessions


def _measure_some(
    session: Session, todo: queue.SimpleQueue[Table], how: Measuring, found: dict[str, TableMeasure]
) -> None:
    while True:
        try:
            table = todo.get_nowait()
        except queue.Empty:
            return
        if how.refused is None:
            found[table.shown] = measure_table(session, table, how)
            continue
        session.run(f"SAVEPOINT {_SAVEPOINT}")
        try:
            found[table.shown] = measure_table(session, table, how)
        except QueryFailedError as error:
            # The snapshot goes on behind this.
            session.run(f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}")
            how.refused[table.shown] = error.message


def measure_table(session: Session, table: Table, how: Measuring) -> TableMeasure:
    """Rows of one table, and its digest where there is an algorithm."""
    (row,) = session.rows(measuring_query(table, how.algorithm, how.where))
    rows = int(row["rows"])
    if how.algorithm is None:
        return TableMeasure(rows)
    return TableMeasure(rows, table_digest(table, how.algorithm, rows, str(row["total"])))


def measure_large_objects(session: Session, *, digests: bool) -> TableMeasure | None:
    """How many large objects there are and a digest of their contents; None when there are none.

    Without the right to read them only their number is known (pg_dump fails on them, loudly).
    """
    (row,) = session.rows("SELECT count(*) AS rows FROM pg_largeobject_metadata")
    if not row["rows"]:
        return None
    if not digests:
        return TableMeasure(int(row["rows"]))
    (row,) = session.rows(_LARGE_OBJECTS)
    return TableMeasure(int(row["rows"]), str(row["total"]))


def estimate_rows(session: Session, table: Table) -> int:
    """What the planner expects, which it also does for a table without statistics."""
    (row,) = session.rows(f"EXPLAIN (FORMAT JSON) SELECT FROM ONLY {table.sql}")
    (plan,) = row["QUERY PLAN"]
    return int(plan["Plan"]["Plan Rows"])


def newest_values(session: Session, columns: Sequence[str]) -> dict[str, str | None]:
    """The greatest value of each `table.column`, as text."""
    found = {}
    for column in columns:
        table, name = split_column(column)
        (row,) = session.rows(f"SELECT max({name})::text AS value FROM {table}")
        found[column] = row["value"]
    return found


def split_column(column: str) -> tuple[str, str]:
    """The table and the column of `table.column` or `schema.table.column`, both as SQL.

    Raises ConfigError when it is neither.
    """
    try:
        return parse_column(column)
    except ValueError as error:
        raise ConfigError(f"assertion cannot be asked: {error}") from error
