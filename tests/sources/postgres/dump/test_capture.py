"""What stands in the way of a backup is said before it begins, and a backup holds all rows or does not come to be."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ops.actions.backup import take_backup
from ops.actions.begin_backup import BackupRequest
from ops.errors import OpsError
from ops.model.findings import Verdict
from ops.repository.repository import Repository
from ops.run.job import Job
from ops.sources.postgres.server.server import RunningServer
from tests.sources.postgres.conftest import FreshDatabase, FreshDatabases
from tests.sources.postgres.shop import (
    back_up,
    bad,
    drill,
    dsn,
    fill_with_petshop,
    psql,
    source_of,
    store_in,
)

pytestmark = pytest.mark.long


@pytest.fixture
def shop(pg17: RunningServer, fresh_database: FreshDatabases) -> FreshDatabase:
    """A pet shop on PostgreSQL 17."""
    database = fresh_database(pg17)
    fill_with_petshop(pg17, database.name)
    return database


@pytest.fixture
def role(shop: FreshDatabase) -> str:
    """A role that may log in and nothing else."""
    name = f"{shop.name}_role"
    psql(shop.server, shop.name, "-c", f"CREATE ROLE {name} LOGIN")
    return name


def refused(shop: FreshDatabase, folder: Path, **options: object) -> OpsError:
    """The error of a backup that does not come to be, which leaves nothing in the store."""
    store = store_in(folder)
    with pytest.raises(OpsError) as caught:
        back_up(source_of(shop.server, shop.name, **options), store)
    assert [stored.key for stored in store.list()] == []
    return caught.value


def test_a_role_without_rights_is_told_all_tables(shop: FreshDatabase, role: str, tmp_path: Path) -> None:
    """Tables that the role may not read are named together, and nothing is dumped."""
    error = refused(shop, tmp_path, dsn=dsn(shop.server, shop.name, role))
    assert error.code == "source.no_privilege"
    assert "public.agendamentos" in error.message
    assert "more tables" in error.message


def test_a_reading_role_is_enough(shop: FreshDatabase, role: str, tmp_path: Path) -> None:
    """With pg_read_all_data a backup comes to be that drills, without being superuser."""
    psql(shop.server, shop.name, "-c", f"GRANT pg_read_all_data TO {role}")
    source = source_of(shop.server, shop.name, dsn=dsn(shop.server, shop.name, role))
    backup = back_up(source, store_in(tmp_path))
    assert bad(drill(backup, source, tmp_path).findings) == []


def test_row_security_never_hides_rows(shop: FreshDatabase, role: str, tmp_path: Path) -> None:
    """A role from which policies hide rows gets no backup; the owner and BYPASSRLS do."""
    psql(
        shop.server, shop.name, "-c", f"GRANT pg_read_all_data TO {role}",
        "-c", "ALTER TABLE vendas ENABLE ROW LEVEL SECURITY",
        "-c", "CREATE POLICY um ON vendas USING (tenant_id = 1)",
    )  # fmt: skip
    error = refused(shop, tmp_path, dsn=dsn(shop.server, shop.name, role))
    assert error.code == "source.row_security"
    assert "public.vendas" in error.message
    psql(shop.server, shop.name, "-c", f"ALTER ROLE {role} BYPASSRLS")
    source = source_of(shop.server, shop.name, dsn=dsn(shop.server, shop.name, role))
    assert back_up(source, store_in(tmp_path)).manifest.measures.tables["public.vendas"].rows == 750


@pytest.mark.parametrize(
    ("options", "code", "text"),
    [
        ({"scope": "tables", "tables": ("vendas", "não_há")}, "source.missing", "não_há"),
        ({"scope": "schemas", "schemas": ("nirgends",)}, "source.missing", "nirgends"),
        ({"freshness": ("vendas.nirgends",)}, "source.query_failed", "nirgends"),
        ({"freshness": ("nur_ein_name",)}, "config.invalid_value", "nur_ein_name"),
        ({"compress": "nonsense:99"}, "tool.failed", "nonsense"),
        ({"dsn": "postgresql://nobody@/x?host=/nonexistent"}, "source.unreachable", "/nonexistent"),
        ({"dsn": "postgresql://localhost:1/x"}, "source.unreachable", "localhost:1"),
    ],
)
def test_nonsense_is_refused(
    shop: FreshDatabase, tmp_path: Path, options: dict[str, object], code: str, text: str
) -> None:
    """What cannot be backed up as configured is an error that names it."""
    error = refused(shop, tmp_path, **options)
    assert error.code == code
    assert text in error.message


def test_unknown_database_and_role(shop: FreshDatabase, tmp_path: Path) -> None:
    """A database or role that is not there is refused by name."""
    assert refused(shop, tmp_path, dsn=dsn(shop.server, "not_there")).code == "source.refused"
    assert "nobody_here" in refused(shop, tmp_path, dsn=dsn(shop.server, shop.name, "nobody_here")).message


def test_an_older_client_is_refused(
    pg15: RunningServer, pg17: RunningServer, fresh_database: FreshDatabases, tmp_path: Path
) -> None:
    """A client that is older than the server is refused with both versions."""
    database = fresh_database(pg17)
    error = refused(database, tmp_path, pg_bindir=pg15.programs.bindir)
    assert error.code == "tool.too_old"
    assert "17" in error.message
    assert "15" in error.message


def test_hostile_time_limits(shop: FreshDatabase, tmp_path: Path) -> None:
    """Limits that the role and the database set for all sessions do not end a backup."""
    settings = (
        "statement_timeout = '20ms'",
        "idle_in_transaction_session_timeout = '20ms'",
        "lock_timeout = '1ms'",
        "idle_session_timeout = '150ms'",
        "transaction_timeout = '200ms'",
        "search_path = 'nirgends'",
        "bytea_output = 'escape'",
        "datestyle = 'German'",
        "extra_float_digits = -15",
        "default_transaction_read_only = on",
    )
    # In one session: with these limits another one of psql's might not live long enough.
    commands = [f'ALTER DATABASE "{shop.name}" SET {setting}' for setting in settings]
    psql(shop.server, shop.name, *(word for command in commands for word in ("-c", command)))
    source = source_of(shop.server, shop.name)
    backup = back_up(source, store_in(tmp_path))
    assert bad(drill(backup, source, tmp_path).findings) == []


def test_ddl_that_waits_is_waited_for(shop: FreshDatabase, tmp_path: Path) -> None:
    """A table that DDL holds ends a backup with the code for locks after the time that was given, not before."""
    with shop.connect(autocommit=False) as connection:
        connection.execute("LOCK TABLE vendas IN ACCESS EXCLUSIVE MODE")
        error = refused(shop, tmp_path, lock_timeout=timedelta(seconds=0.5))
        assert error.code == "source.locked"
        assert f"public.vendas is locked by process {connection.info.backend_pid} (" in error.message
        connection.rollback()
    assert back_up(source_of(shop.server, shop.name), store_in(tmp_path)).manifest.measures.rows > 7000


def test_money_is_never_lost_under_writers_and_ddl(shop: FreshDatabase, tmp_path: Path) -> None:
    """While money moves between accounts and tables come and go, every backup holds the whole sum and drills."""
    psql(
        shop.server, shop.name,
        "-c", "CREATE TABLE conta (id int PRIMARY KEY, saldo bigint NOT NULL)",
        "-c", "INSERT INTO conta SELECT i, 1000 FROM generate_series(1, 50) i",
    )  # fmt: skip
    stop = threading.Event()

    def transfer() -> None:
        with shop.connect() as connection:
            while not stop.is_set():
                connection.execute(
                    "WITH d AS (SELECT 1 + floor(random() * 50)::int AS a, 1 + floor(random() * 50)::int AS b, 1 + floor(random() * 9)::int AS n)"
                    " UPDATE conta SET saldo = saldo + CASE WHEN id = a THEN -n ELSE n END FROM d WHERE id IN (a, b) AND a <> b"
                )

    def migrate() -> None:
        with shop.connect() as connection:
            number = 0
            while not stop.is_set():
                number += 1
                connection.execute(f"CREATE TABLE migracao_{number} AS SELECT 1 AS a")
                connection.execute(f"ALTER TABLE migracao_{number} ADD COLUMN b integer DEFAULT 5")
                connection.execute(f"DROP TABLE migracao_{number}")
                stop.wait(0.01)

    threads = [threading.Thread(target=transfer), threading.Thread(target=migrate)]
    for thread in threads:
        thread.start()
    try:
        source, store = source_of(shop.server, shop.name), store_in(tmp_path)
        taken = []
        for _ in range(3):
            try:
                taken.append(take_backup(source, Repository(store=store), BackupRequest(), Job()).backup)
            except OpsError as error:
                assert error.code in {"source.locked", "tool.failed"}, error.message
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert taken
    for backup in taken:
        evidence = drill(backup, source, tmp_path)
        assert bad(evidence.findings) == []
        assert evidence.verdict is Verdict.PASSED


def test_estimated_counts_still_count_large_objects(
    pg17: RunningServer, fresh_database: FreshDatabases, tmp_path: Path
) -> None:
    """With estimated counts nothing is read, but large objects are counted, and a drill compares their number."""
    database = fresh_database(pg17)
    psql(pg17, database.name, "-c", "SELECT lo_from_bytea(0, 'one'), lo_from_bytea(0, 'two')")
    source, store = source_of(pg17, database.name, counts="estimated"), store_in(tmp_path)
    backup = back_up(source, store)
    assert {name: table.rows for name, table in backup.manifest.measures.tables.items()} == {
        "pg_largeobject": 2
    }
    assert bad(drill(backup, source, tmp_path).findings) == []


def test_clocks_that_differ(shop: FreshDatabase, tmp_path: Path) -> None:
    """A server whose clock is ten minutes ahead of this machine's is a warning of the backup, which is made."""
    source = source_of(shop.server, shop.name)
    late = replace(source, clock=lambda: datetime.now(UTC) - timedelta(minutes=10))
    for one, expected in ((source, []), (late, ["clock.differs"])):
        taken = take_backup(one, Repository(store=store_in(tmp_path)), BackupRequest(), Job())
        assert [item.code for item in taken.findings if item.code == "clock.differs"] == expected


def test_an_index_that_no_statement_survives(
    pg15: RunningServer, fresh_database: FreshDatabases, tmp_path: Path
) -> None:
    """A table whose index calls what an empty search_path does not find is backed up unmeasured, and named with the reason."""
    database = fresh_database(pg15)
    psql(pg15, database.name, "-c",
         "CREATE FUNCTION inner_one(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1';"
         "CREATE FUNCTION outer_one(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT inner_one($1)';"
         "CREATE TABLE t (n text); INSERT INTO t VALUES ('a'); CREATE INDEX ON t (outer_one(n));"
         "CREATE TABLE other (i int); INSERT INTO other VALUES (1)")  # fmt: skip
    source = source_of(pg15, database.name)
    taken = take_backup(source, Repository(store=store_in(tmp_path)), BackupRequest(), Job())
    assert set(taken.backup.manifest.measures.tables) == {"public.other"}
    (said,) = [item for item in taken.findings if item.code == "postgres.not_measured"]
    assert said.where == "public.t"
    assert "inner_one" in said.message
    assert "snapshot" not in said.message.replace("measured in the source", "")
