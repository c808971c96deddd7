"""Whatever is changed in a restored copy is noticed, and nothing is where nothing was changed."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from ops.model.compare_measures import compare_measures
from ops.model.findings import Finding, Severity
from ops.model.manifest import Measures
from ops.sources.postgres.catalog.definitions.definitions import Definitions, read_definitions
from ops.sources.postgres.catalog.objects import list_objects
from ops.sources.postgres.catalog.requirements import Needs, describe_database
from ops.sources.postgres.catalog.sequences import next_values
from ops.sources.postgres.catalog.tables import gathered_tables, list_tables
from ops.sources.postgres.connect.address import parse_address
from ops.sources.postgres.connect.session import Session, open_session
from ops.sources.postgres.measure.check import Recorded, check_database
from ops.sources.postgres.measure.row_digest_sql import RECORD_HASH
from ops.sources.postgres.measure.tables import (
    LARGE_OBJECTS,
    Measuring,
    measure_large_objects,
    measure_table,
)
from ops.sources.postgres.server.server import RunningServer
from tests.sources.postgres.conftest import connect
from tests.sources.postgres.mutations import MUTATIONS, SCHEMA
from tests.sources.postgres.shop import dsn

pytestmark = pytest.mark.long

_NUMBERS = itertools.count(1)


def measured(session: Session) -> Measures:
    """Rows and digests of everything."""
    tables = gathered_tables(session, list_tables(session))
    found = {
        table.shown: measure_table(session, table, Measuring(RECORD_HASH))
        for table in tables
        if table.holds_rows
    }
    large = measure_large_objects(session, digests=True)
    return Measures(tables=found | ({LARGE_OBJECTS: large} if large else {}), digest_algorithm=RECORD_HASH)


@dataclass(frozen=True, slots=True)
class Original:
    """A database with something of every kind, and what a backup would record of it."""

    server: RunningServer
    name: str
    number: int
    recorded: Recorded
    measures: Measures

    @contextlib.contextmanager
    def copy(self) -> Iterator[str]:
        """A copy of it, gone afterwards."""
        name = f"{self.name}_{next(_NUMBERS)}"
        with connect(self.server) as admin:
            admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{self.name}"')
        try:
            yield name
        finally:
            with connect(self.server) as admin:
                admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')

    def look(self, name: str) -> list[Finding]:
        """What a drill finds wrong in the database of that name."""
        with open_session(parse_address(dsn(self.server, name)), None) as session:
            found = check_database(session, self.recorded)
            found += compare_measures(self.measures, measured(session))
        return [item for item in found if item.severity is Severity.CRITICAL]


@pytest.fixture(scope="session")
def original(pg17: RunningServer) -> Original:
    """Made once; copies of it are what is changed."""
    number = next(_NUMBERS)
    name = f"original_{number}"
    with connect(pg17) as admin:
        admin.execute(f'CREATE DATABASE "{name}"')
    with connect(pg17, name) as connection:
        connection.execute(SCHEMA.replace("{n}", str(number)))
    with open_session(parse_address(dsn(pg17, name)), None) as session:
        needs = Needs(
            server_version="17.0", client_version="17.0", format="directory", codec="zstd",
            database=describe_database(session),
            sequences={key: (value, value) for key, value in next_values(session).items()},
        )  # fmt: skip
        definitions = read_definitions(session)
        recorded = Recorded(needs, list_objects(session, kept=True), "full", definitions)
        return Original(pg17, name, number, recorded, measured(session))


def test_an_equal_copy(original: Original) -> None:
    """Nothing is said of a database that is equal."""
    with original.copy() as name:
        assert original.look(name) == []


@pytest.mark.parametrize("change", MUTATIONS)
def test_a_change_is_noticed(original: Original, change: str) -> None:
    """One change, whatever it is of, makes at least one critical finding."""
    with original.copy() as name:
        with connect(original.server, name) as connection:
            for statement in MUTATIONS[change].replace("{n}", str(original.number)).split(";"):
                connection.execute(statement)
        assert original.look(name) != []


def test_another_version_is_compared_by_what_is_printed_alike(original: Original) -> None:
    """Texts that another version prints in its own way are not compared; what is missing, new, or alike everywhere is."""
    known = original.recorded.definitions
    assert known is not None
    elsewhere = {
        **known.groups,
        "function": dict.fromkeys(known.groups["function"], "printed in another way"),
    }
    older = Definitions(known.major - 1, elsewhere)
    across = replace(original, recorded=replace(original.recorded, definitions=older))
    with original.copy() as name:
        assert across.look(name) == []
        with connect(original.server, name) as connection:
            connection.execute("COMMENT ON TABLE app.orders IS NULL")
        assert {item.code for item in across.look(name)} == {"postgres.definition_differs"}


def test_rights_that_were_left_away(original: Original) -> None:
    """A restore without rights is not measured by them."""
    without = replace(original, recorded=replace(original.recorded, rights=False))
    with original.copy() as name, connect(original.server, name) as connection:
        connection.execute(f"REVOKE SELECT ON app.orders FROM reader_{original.number}")
        assert without.look(name) == []
