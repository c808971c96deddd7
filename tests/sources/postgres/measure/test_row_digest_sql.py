"""A table's digest means its content: not its order, not its version of PostgreSQL, and every value counts."""

from __future__ import annotations

import pytest

from ops.sources.postgres.catalog.tables import list_tables
from ops.sources.postgres.connect.address import parse_address
from ops.sources.postgres.connect.session import open_session
from ops.sources.postgres.measure.row_digest_sql import (
    EARLIER_RECORD_HASH,
    EARLIER_TEXT_HASH,
    RECORD_HASH,
    TEXT_HASH,
    algorithm_for,
)
from ops.sources.postgres.measure.tables import Measuring, measure_table
from ops.sources.postgres.server.server import RunningServer
from tests.sources.postgres.conftest import FreshDatabase, FreshDatabases
from tests.sources.postgres.shop import dsn, psql

pytestmark = pytest.mark.long

ALGORITHMS = [RECORD_HASH, TEXT_HASH, EARLIER_RECORD_HASH, EARLIER_TEXT_HASH]
COLUMNS = {
    "smallint": ("1", "2"),
    "bigint": ("1", "-1"),
    "numeric": ("1.0", "1.00"),
    "numeric(9,2)": ("1.00", "1.01"),
    "real": ("0.1", "0.10000001"),
    "double precision": ("0.0", "'-0'"),
    "text": ("'a'", "'a '"),
    "varchar(9)": ("'A'", "'a'"),
    "char(3)": ("'a'", "'b'"),
    "bytea": ("'\\x00'", "'\\x0000'"),
    "timestamptz": ("'2026-01-01 00:00Z'", "'2026-01-01 00:00:00.000001Z'"),
    "timestamp": ("'infinity'", "'-infinity'"),
    "date": ("'2026-01-01'", "'0001-01-01 BC'"),
    "interval": ("'1 mon'", "'30 days'"),
    "time with time zone": ("'12:00+00'", "'13:00+01'"),
    "jsonb": ("'{\"a\": 1}'", "'{\"a\": 1.0}'"),
    "json": ("'{}'", "'{ }'"),
    "inet": ("'10.0.0.1'", "'10.0.0.1/8'"),
    "integer[]": ("'{1,NULL}'", "'{1,0}'"),
    "boolean": ("true", "false"),
    "uuid": ("'00000000-0000-0000-0000-000000000001'", "'00000000-0000-0000-0000-000000000002'"),
    "money": ("1", "1.01"),
    "int4range": ("'[1,2)'", "'empty'"),
    "bit varying": ("B'1'", "B'10'"),
    "point": ("'(0,0)'", "'(0,1)'"),
}


def digest(database: FreshDatabase, table: str, algorithm: str = RECORD_HASH) -> str:
    """The digest of one table."""
    with open_session(parse_address(dsn(database.server, database.name)), None) as session:
        (found,) = [item for item in list_tables(session) if item.name == table]
        return str(measure_table(session, found, Measuring(algorithm)).digest)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_value_of_every_type_counts(
    pg17: RunningServer, fresh_database: FreshDatabases, algorithm: str
) -> None:
    """Two values that are not identical, equal or not, give two digests; so does NULL; order does not matter."""
    database = fresh_database(pg17)
    for number, (kind, (one, other)) in enumerate(COLUMNS.items()):
        psql(pg17, database.name, "-c", f"CREATE TABLE t{number} (a int, v {kind})",
             "-c", f"INSERT INTO t{number} VALUES (1, {one}), (2, {other})")  # fmt: skip
        first = digest(database, f"t{number}", algorithm)
        psql(pg17, database.name, "-c", f"UPDATE t{number} SET v = {other} WHERE a = 1")
        changed = digest(database, f"t{number}", algorithm)
        assert changed != first, kind
        psql(pg17, database.name, "-c", f"UPDATE t{number} SET v = NULL WHERE a = 1")
        assert digest(database, f"t{number}", algorithm) not in {first, changed}, kind
        psql(pg17, database.name, "-c", f"DELETE FROM t{number} WHERE a = 1",
             "-c", f"INSERT INTO t{number} VALUES (1, {one})")  # fmt: skip
        assert digest(database, f"t{number}", algorithm) == first, kind


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_version_agrees(
    pg15: RunningServer,
    pg17: RunningServer,
    pg18: RunningServer,
    fresh_database: FreshDatabases,
    algorithm: str,
) -> None:
    """The same rows give the same digest on each version, whatever time zone and date style the database has."""
    found = set()
    for server, zone in ((pg15, "UTC"), (pg17, "Pacific/Chatham"), (pg18, "America/Sao_Paulo")):
        database = fresh_database(server)
        columns = ", ".join(f"c{number} {kind}" for number, kind in enumerate(COLUMNS))
        values = ", ".join(one for one, _ in COLUMNS.values())
        psql(server, database.name, "-c", f"ALTER DATABASE \"{database.name}\" SET timezone = '{zone}'",
             "-c", f"ALTER DATABASE \"{database.name}\" SET datestyle = 'SQL, DMY'",
             "-c", f"CREATE TABLE t ({columns})", "-c", f"INSERT INTO t VALUES ({values})")  # fmt: skip
        found.add(digest(database, "t", algorithm))
    assert len(found) == 1


def test_the_algorithm_by_version() -> None:
    """Servers before 14 have no hash of records."""
    assert algorithm_for(130022) == TEXT_HASH
    assert algorithm_for(140000) == RECORD_HASH
