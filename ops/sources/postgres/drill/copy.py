"""A restored database, as an action sees it."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from ops.errors import ConfigError, OpsError, SourceError, SourceUnreachableError, ToolError
from ops.model.close_names import did_you_mean
from ops.model.findings import Finding, Severity
from ops.model.manifest import Measures, TableMeasure
from ops.proc import worker_count
from ops.sources.postgres.catalog.definition_facts import definition_facts
from ops.sources.postgres.catalog.definitions.definitions import FACT, read_definitions
from ops.sources.postgres.catalog.identifiers import parse_shown, qualified
from ops.sources.postgres.catalog.objects import AMCHECK_SCHEMA, list_objects, object_facts
from ops.sources.postgres.catalog.scope import WHOLE, WITHOUT_ROWS
from ops.sources.postgres.catalog.tables import gathered_tables, list_tables
from ops.sources.postgres.connect.route import Route
from ops.sources.postgres.connect.session import Session
from ops.sources.postgres.measure.check import DEFAULT_RIGHTS, Recorded, check_database
from ops.sources.postgres.measure.tables import (
    LARGE_OBJECTS,
    Measuring,
    measure_large_objects,
    measure_tables,
    split_column,
)

_MOST_ROWS: Final = 100
_DAMAGED: Final = 2
_NO_TABLE: Final = re.compile(r'relation "([^"]+)" does not exist')
"""How pg_amcheck ends when it found something; 1 is an error of its own."""


@contextlib.contextmanager
def answering() -> Iterator[None]:
    """Turn the silence of the copy's server into ToolError: it says nothing about the backup."""
    try:
        yield
    except SourceUnreachableError as error:
        message = f"the server of the restored copy does not answer any more: {error.message}"
        hint = "look at memory and disk of this machine (kernel log: out of memory), then run it again"
        raise ToolError(message, code="tool.failed", hint=hint) from error


@contextlib.contextmanager
def usable(server: str) -> Iterator[None]:
    """Turn what a server refuses before anything is loaded into ToolError: it says nothing about the backup."""
    try:
        yield
    except SourceError as error:
        message = f"{server} cannot be used: {error.message}"
        hint = error.hint or "our role needs CREATEDB there, and the server must take changes"
        raise ToolError(message, code="tool.failed", hint=hint) from error


@dataclass(frozen=True, slots=True)
class PostgresCopy:
    """A database that nobody else uses, reached by `route`."""

    route: Route
    recorded: Recorded
    findings: Sequence[Finding] = ()
    amcheck: bool = False

    @property
    def place(self) -> str:
        """Its address as a URI."""
        return self.route.address.location

    @property
    def environment(self) -> Mapping[str, str]:
        """Libpq's own names, so that psql and every driver reach it without arguments."""
        names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "dbname": "PGDATABASE"}
        return {names[key]: value for key, value in self.route.address.parameters if key in names}

    def expected(self, recorded: Measures) -> Measures:
        """Everything; without rows when only the schema was restored, without default rights when no rights were.

        Definitions are compared one by one by `check`, as far as they are printed alike.
        """
        if FACT in recorded.facts:
            recorded = replace(recorded, facts={})
        if not self.recorded.rights:
            facts = {name: value for name, value in recorded.facts.items() if name != DEFAULT_RIGHTS}
            recorded = replace(recorded, facts=facts)
        if self.recorded.only is not None:
            tables = {name: item for name, item in recorded.tables.items() if name in self.recorded.only}
            return replace(recorded, tables=tables)
        if self.recorded.rows:
            return recorded
        empty = {name: TableMeasure(0) for name in recorded.tables if name != LARGE_OBJECTS}
        return replace(recorded, tables=empty, digest_algorithm=None)

    def check(self) -> list[Finding]:
        """Objects, owners, indexes, sequences, freshness; pg_amcheck where it was asked for."""
        with answering(), self.route.session() as session:
            found = check_database(session, self.recorded)
        return found + (self._amcheck() if self.amcheck else [])

    def measure(self, like: Measures) -> Measures:
        """Rows and digests of the tables that `like` has, and all facts."""
        with answering(), self.route.session() as session:
            everything = list_tables(session)
            gathered = [item for item in gathered_tables(session, everything) if item.shown in like.tables]
            # Of an earlier version are the partitions themselves.
            known = {item.shown for item in gathered}
            tables = gathered + [
                item for item in everything if item.shown in like.tables and item.shown not in known
            ]
            algorithm = like.digest_algorithm
            found = measure_tables(self.route, session, tables, Measuring(algorithm), join=lambda _: True)
            if self.recorded.scope in WHOLE and self.recorded.rows:
                # Also where `like` has none: what is new there must be seen.
                large = measure_large_objects(session, digests=algorithm is not None)
                found |= {LARGE_OBJECTS: large} if large else {}
            facts = self._facts(session, like)
        return Measures(
            tables=found,
            facts=facts,
            engine=like.engine,
            digest_algorithm=algorithm,
        )

    def _facts(self, session: Session, like: Measures) -> dict[str, str | int]:
        """The same as `like` has: of what is defined now, or what earlier versions recorded of it."""
        if not like.facts:
            return {}
        if FACT in like.facts:
            return {FACT: read_definitions(session).fact}
        facts = {**object_facts(list_objects(session)), **definition_facts(session)}
        return {name: value for name, value in facts.items() if name in like.facts or not self._partial}

    @property
    def _partial(self) -> bool:
        return bool(self.recorded.needs.outside_keys) or not self.recorded.rights

    def count_rows(self, table: str) -> int:
        """Rows of `table`, partitions included."""
        try:
            name = qualified(*parse_shown(table))
        except ValueError as error:
            raise ConfigError(f"assertion cannot be asked: {error}") from error
        ((count,),) = self.query(f"SELECT count(*) FROM {name}")
        return int(str(count))

    def newest(self, column: str) -> object:
        """The greatest value of `table.column`, as text."""
        table, name = split_column(column)
        ((value,),) = self.query(f"SELECT max({name})::text FROM {table}")
        return value

    def query(self, sql: str) -> list[tuple[object, ...]]:
        """The first hundred rows of one statement, in a transaction that changes nothing; `public` is searched."""
        try:
            with self.route.session() as session:
                session.run("SET search_path = public")
                session.run("BEGIN READ ONLY")
                rows = session.rows(sql)[:_MOST_ROWS]
        except SourceUnreachableError:
            raise
        except OpsError as error:
            hint = f"{self._meant(error.message)}try the statement with psql on the live database"
            raise ConfigError(f"assertion cannot be asked: {error.message} in {sql!r}", hint=hint) from error
        return [tuple(map(_plain, row.values())) for row in rows]

    def _meant(self, said: str) -> str:
        """The table that a wrong name probably means, as the beginning of a hint; empty where it is about no table."""
        wrong = _NO_TABLE.search(said)
        if wrong is None:
            return ""
        with contextlib.suppress(OpsError), self.route.session() as session:
            names = (table.shown.removeprefix("public.") for table in list_tables(session))
            meant = did_you_mean(wrong[1].removeprefix("public."), names)
            return f"{meant} else " if meant else ""
        return ""

    def _amcheck(self) -> list[Finding]:
        """What pg_amcheck found. That it could not look says nothing about the backup."""
        if self.recorded.scope in WITHOUT_ROWS:
            return []
        try:
            with answering(), self.route.session() as session:
                session.run(f"CREATE SCHEMA IF NOT EXISTS {AMCHECK_SCHEMA}")
                session.run(f"CREATE EXTENSION IF NOT EXISTS amcheck SCHEMA {AMCHECK_SCHEMA}")
            ran = self.route.run(
                "pg_amcheck", "--heapallindexed", "--no-password", f"--jobs={worker_count()}"
            )
        except (SourceError, ToolError) as error:
            message = f"pg_amcheck could not look: {error.message}"
            return [Finding(severity=Severity.WARNING, code=error.code, message=message, blocking=True)]
        if ran.exit_code == 0:
            return [Finding(severity=Severity.OK, code="postgres.amcheck", message="pg_amcheck: ok")]
        said = " / ".join(ran.messages[-4:]) or f"exit code {ran.exit_code}"
        if ran.exit_code == _DAMAGED:
            message = f"pg_amcheck found damage: {said}"
            return [Finding(severity=Severity.CRITICAL, code="postgres.amcheck", message=message)]
        message = f"pg_amcheck could not look: {said}"
        return [Finding(severity=Severity.WARNING, code="tool.failed", message=message, blocking=True)]


def _plain(value: object) -> object:
    """Numbers as Python's own, so that they compare with a configuration's; all else that is no text as text."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)
