"""Restores over living databases: the old data or the new, whole, open to everybody, and a way back."""

from __future__ import annotations

import shlex
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from ops.actions.restore import plan_restore
from ops.actions.restore_request import RestoreRequest
from ops.errors import ConfigError, OpsError, RefusedError, ToolError
from ops.model.requests import RestoreOptions
from ops.repository.find import find_backup
from ops.repository.repository import Repository
from ops.sources.postgres.restore import swap as promote
from ops.sources.postgres.server.server import RunningServer
from tests.sources.postgres.conftest import FreshDatabase, FreshDatabases, require_programs
from tests.sources.postgres.shop import (
    back_up,
    bad,
    drill,
    dsn,
    fill_with_features,
    fill_with_petshop,
    psql,
    restore,
    source_of,
    store_in,
)

pytestmark = pytest.mark.long

COUNT = "SELECT count(*) FROM public.vendas"


@pytest.fixture
def shop(pg17: RunningServer, fresh_database: FreshDatabases) -> Iterator[FreshDatabase]:
    """A pet shop on PostgreSQL 17; databases that a test restores to are gone afterwards."""
    database = fresh_database(pg17)
    fill_with_petshop(pg17, database.name)
    yield database
    for name in databases(pg17):
        if name.startswith(f"{database.name}_"):
            psql(pg17, "postgres", "-c", f'DROP DATABASE "{name}" WITH (FORCE)')


def databases(server: RunningServer) -> list[str]:
    """All databases of the server, without templates."""
    return psql(
        server, "postgres", "-c", "SELECT datname FROM pg_database WHERE NOT datistemplate"
    ).splitlines()


def ours(server: RunningServer) -> list[str]:
    """Databases that a restore or drill made under names of its own."""
    return [name for name in databases(server) if name.startswith("drillbook_")]


def test_into_a_new_database(shop: FreshDatabase, tmp_path: Path) -> None:
    """A new database appears whole, with owner, settings, comment and rights, and nothing else is left."""
    psql(shop.server, shop.name, "-c", f"COMMENT ON DATABASE \"{shop.name}\" IS 'loja'",
         "-c", f'GRANT CREATE ON DATABASE "{shop.name}" TO petshop_leitura')  # fmt: skip
    source = source_of(shop.server, shop.name)
    backup = back_up(source, store_in(tmp_path))
    done = restore(backup, source, tmp_path, to=f"{shop.name}_new", yes=False)
    assert bad(done.findings) == []
    assert psql(shop.server, f"{shop.name}_new", "-c", COUNT) == "750"
    described = (
        "SELECT pg_get_userbyid(datdba), has_database_privilege('petshop_leitura', datname, 'CREATE'),"
        " shobj_description(oid, 'pg_database'), datconnlimit, datallowconn,"
        " (SELECT setconfig FROM pg_db_role_setting WHERE setdatabase = d.oid AND setrole = 0)"
        " FROM pg_database d WHERE datname = '{}'"
    )
    new = psql(shop.server, "postgres", "-c", described.format(f"{shop.name}_new"))
    assert new == psql(shop.server, "postgres", "-c", described.format(shop.name))
    assert ours(shop.server) == []


def test_over_a_database_in_use(shop: FreshDatabase, tmp_path: Path) -> None:
    """With applications that connect again and again, the swap succeeds, they go on with the new data, and undo works."""
    source, store = source_of(shop.server, shop.name), store_in(tmp_path)
    backup = back_up(source, store)
    psql(shop.server, shop.name, "-c", "DELETE FROM pagamentos WHERE id <= 10")
    with hammering(shop) as seen:
        done = restore(backup, source, tmp_path)
        time.sleep(0.3)
    assert [text for text in bad(done.findings) if "replaced_kept" not in text] == []
    assert seen[-1] == "849"
    assert set(seen) <= {"839", "849"}
    assert ours(shop.server) == []
    assert done.safety is not None
    assert done.undo is not None
    assert f"--to '{dsn(shop.server, shop.name)}' --yes" in done.undo
    restore(find_backup(store, done.safety), source, tmp_path, to=dsn(shop.server, shop.name))
    assert psql(shop.server, shop.name, "-c", "SELECT count(*) FROM pagamentos") == "839"


@contextmanager
def hammering(shop: FreshDatabase) -> Iterator[list[str]]:
    """Three applications that connect, ask and reconnect without rest while the block runs; what they were told."""
    stop, seen = threading.Event(), list[str]()

    def work() -> None:
        while not stop.is_set():
            try:
                with shop.connect() as connection:
                    for _ in range(5):
                        row = connection.execute("SELECT count(*) FROM pagamentos").fetchone()
                        seen.append(str(row[0]) if row else "")
            except psycopg.Error:
                continue

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def write_before_the_swap(monkeypatch: pytest.MonkeyPatch, shop: FreshDatabase, sql: str) -> None:
    """Have an application write after the safety backup, at the last moment at which it can."""
    swap = promote._swap

    def late_writer(*arguments: object) -> object:
        psql(shop.server, shop.name, "-c", sql)
        return swap(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(promote, "_swap", late_writer)


def test_what_was_written_after_the_safety_backup_is_kept(
    shop: FreshDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows committed between the safety backup and the swap are in the replaced database, which is then kept and named."""
    source = source_of(shop.server, shop.name)
    backup = back_up(source, store_in(tmp_path))
    write_before_the_swap(monkeypatch, shop, "CREATE TABLE tarde AS SELECT 1 AS a")
    done = restore(backup, source, tmp_path)
    (kept,) = [item for item in done.findings if item.code == "restore.replaced_kept"]
    assert psql(shop.server, kept.where, "-c", "SELECT a FROM tarde") == "1"
    psql(shop.server, "postgres", "-c", f'DROP DATABASE "{kept.where}"')
    assert psql(shop.server, shop.name, "-c", COUNT) == "750"


def test_a_safety_backup_that_nobody_restored(shop: FreshDatabase, tmp_path: Path) -> None:
    """Where it cannot be tried, the old database stays, and the commands that are printed go back to it and drop it."""
    source = source_of(shop.server, shop.name)
    backup = back_up(source, store_in(tmp_path))
    psql(shop.server, shop.name, "-c", "DELETE FROM pagamentos WHERE id <= 10")
    nowhere = source_of(shop.server, shop.name, scratch="postgresql://127.0.0.1:1/postgres")
    done = restore(backup, nowhere, tmp_path)
    assert psql(shop.server, shop.name, "-c", "SELECT count(*) FROM pagamentos") == "849"
    (kept,) = [item for item in done.findings if item.code == "restore.replaced_kept"]
    assert "was not restored for a trial" in kept.message
    assert psql(shop.server, kept.where, "-c", "SELECT count(*) FROM pagamentos") == "839"
    back, _, drop = kept.message.partition("to go back to it: ")[2].partition("; when it is not needed: ")
    psql(shop.server, "postgres", *(word for statement in back.split("; ") for word in ("-c", statement)))
    assert psql(shop.server, shop.name, "-c", "SELECT count(*) FROM pagamentos") == "839"
    assert drop == f'DROP DATABASE "{kept.where}"'
    psql(shop.server, "postgres", "-c", f'DROP DATABASE "{shop.name}_restored"')


def test_prerequisites_are_reported_together(
    pg17: RunningServer, pg15: RunningServer, fresh_database: FreshDatabases, tmp_path: Path
) -> None:
    """Missing roles, extensions and rights are one message, before anything is touched."""
    database = fresh_database(pg15)
    fill_with_features(pg15, database.name)
    psql(pg15, database.name, "-c", 'CREATE EXTENSION "uuid-ossp"')
    source = source_of(pg15, database.name)
    backup = back_up(source, store_in(tmp_path))
    psql(pg17, "postgres", "-c", "CREATE ROLE schwach LOGIN")
    before = databases(pg17)
    with pytest.raises(OpsError) as caught:
        restore(backup, source, tmp_path, to=dsn(pg17, "anderswo", "schwach"))
    psql(pg17, "postgres", "-c", "DROP ROLE schwach")
    assert caught.value.code == "refused.prerequisites"
    for text in ("CREATEDB", "uuid-ossp"):
        assert text in caught.value.message
    assert databases(pg17) == before


def test_missing_roles_are_named_and_can_be_left_away(
    shop: FreshDatabase, fresh_database: FreshDatabases, pg15: RunningServer, tmp_path: Path
) -> None:
    """A server without the roles refuses with their names; with --no-owner and --no-acl it takes the backup."""
    role = f"{shop.name}_dono"
    psql(shop.server, shop.name, "-c", f"CREATE ROLE {role}", "-c", f"ALTER TABLE vendas OWNER TO {role}")
    source = source_of(shop.server, shop.name, format="custom", compress="gzip:1")
    backup = back_up(source, store_in(tmp_path))
    target = dsn(shop.server, f"{shop.name}_x")
    psql(shop.server, shop.name, "-c", "ALTER TABLE vendas OWNER TO petshop_app", "-c", f"DROP ROLE {role}")
    with pytest.raises(OpsError, match=role) as caught:
        restore(backup, source, tmp_path, to=target)
    assert "--no-owner --no-acl" in caught.value.message
    done = restore(backup, source, tmp_path, to=target, no_owner=True, no_acl=True)
    assert bad(done.findings) == []
    owners = "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'"
    assert psql(shop.server, f"{shop.name}_x", "-c", owners) == "postgres"


def test_tables_into_a_living_database(shop: FreshDatabase, tmp_path: Path) -> None:
    """Tables are made or replaced in one transaction; keys, triggers and other tables stay as they were."""
    source = source_of(shop.server, shop.name)
    backup = back_up(source, store_in(tmp_path))
    psql(shop.server, shop.name, "-c", "DROP TABLE agendamentos", "-c", "UPDATE produtos SET nome = 'x' WHERE id = 1",
         "-c", "DELETE FROM pagamentos")  # fmt: skip
    keys = "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND convalidated"
    triggers = "SELECT tgname, tgenabled FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1"
    before = psql(shop.server, shop.name, "-c", keys), psql(shop.server, shop.name, "-c", triggers)
    with pytest.raises(OpsError, match="--truncate"):
        restore(backup, source, tmp_path, tables=("produtos", "agendamentos"))
    done = restore(backup, source, tmp_path, tables=("produtos", "pagamentos"), truncate=True)
    assert bad(done.findings) == []
    after = psql(shop.server, shop.name, "-c", keys), psql(shop.server, shop.name, "-c", triggers)
    assert after == before
    restore(backup, source, tmp_path, tables=("agendamentos",))
    again = back_up(source, store_in(tmp_path))
    assert again.manifest.measures.tables == backup.manifest.measures.tables


def test_tables_that_would_break_references(shop: FreshDatabase, tmp_path: Path) -> None:
    """A table whose restored rows lack some that others refer to is rolled back whole."""
    source = source_of(shop.server, shop.name)
    backup = back_up(source, store_in(tmp_path))
    psql(shop.server, shop.name, "-c", "INSERT INTO tenants SELECT 77, nome || 'x' FROM tenants LIMIT 0")
    statement = (
        "INSERT INTO categorias (id, nome) OVERRIDING SYSTEM VALUE VALUES (999, 'nova');"
        " UPDATE produtos SET categoria_id = 999 WHERE id = 1"
    )
    psql(shop.server, shop.name, "-c", statement)
    with pytest.raises(OpsError) as caught:
        restore(backup, source, tmp_path, tables=("categorias",), truncate=True)
    assert caught.value.code == "refused.table_not_replaced"
    assert psql(shop.server, shop.name, "-c", "SELECT count(*) FROM categorias WHERE id = 999") == "1"


def test_schema_only(shop: FreshDatabase, tmp_path: Path) -> None:
    """--schema-only makes every object and no row."""
    source = source_of(shop.server, shop.name)
    backup = back_up(source, store_in(tmp_path))
    restore(backup, source, tmp_path, to=f"{shop.name}_s", schema_only=True)
    assert psql(shop.server, f"{shop.name}_s", "-c", COUNT) == "0"


def test_anonymization_is_a_gate(shop: FreshDatabase, tmp_path: Path) -> None:
    """A copy for a non-production database is anonymized before its name exists; when that fails there is no copy."""
    script = tmp_path / "anon.sql"
    target = f"{shop.name}_staging"
    source = source_of(shop.server, shop.name, anonymize=(script,), non_production=(target,))
    backup = back_up(source, store_in(tmp_path))
    script.write_text("UPDATE clientes SET nome = 'Fulano'; SELECT nome::integer FROM clientes;")
    with pytest.raises(OpsError) as caught:
        restore(backup, source, tmp_path, to=target)
    assert caught.value.code == "refused.not_anonymized"
    assert "Fulano" not in caught.value.message
    assert "22P02" in caught.value.message
    assert target not in databases(shop.server)
    assert ours(shop.server) == []
    script.write_text("UPDATE clientes SET nome = 'Fulano';")
    done = restore(backup, source, tmp_path, to=target)
    assert any(item.code == "restore.anonymized" for item in done.findings)
    assert psql(shop.server, target, "-c", "SELECT DISTINCT nome FROM clientes") == "Fulano"
    with pytest.raises(OpsError) as caught:
        restore(backup, source, tmp_path, to=target, tables=("clientes",), truncate=True)
    assert caught.value.code == "refused.not_anonymized"
    assert psql(shop.server, target, "-c", "SELECT DISTINCT nome FROM clientes") == "Fulano"


def test_a_role_that_is_no_superuser_restores(shop: FreshDatabase, tmp_path: Path) -> None:
    """A role that may create databases and belongs to the owners restores into a new database."""
    role = f"{shop.name}_ops"
    psql(shop.server, shop.name, "-c", f"CREATE ROLE {role} LOGIN CREATEDB",
         "-c", f"GRANT petshop_app, petshop_leitura, pg_signal_backend TO {role}")  # fmt: skip
    source = source_of(shop.server, shop.name)
    backup = back_up(source, store_in(tmp_path))
    done = restore(backup, source, tmp_path, to=dsn(shop.server, f"{shop.name}_r", role), yes=False)
    assert [item.message for item in done.findings if str(item.severity) == "critical"] == []
    assert psql(shop.server, f"{shop.name}_r", "-c", COUNT) == "750"


def test_plans_and_refusals_without_yes(shop: FreshDatabase, tmp_path: Path) -> None:
    """Without --yes a source is safe under every spelling of its address, and a plan touches nothing."""
    source, store = source_of(shop.server, shop.name), store_in(tmp_path)
    backup = back_up(source, store)
    other = f"host={shop.server.socket_dir} port={shop.server.port} dbname='{shop.name}' user=postgres application_name=x"
    for target in (shop.name, dsn(shop.server, shop.name), other):
        with pytest.raises(OpsError) as caught:
            restore(backup, source, tmp_path, to=target, yes=False)
        assert caught.value.code == "refused.target_is_source"
    request = RestoreRequest(
        scratch=tmp_path, safety=Repository(store=store), to=shop.name, options=RestoreOptions(), yes=True
    )
    assert "swap" in " ".join(plan_restore(backup, source, request))
    assert ours(shop.server) == []


def test_drill_on_a_given_server(shop: FreshDatabase, pg15: RunningServer, tmp_path: Path) -> None:
    """A drill on a given server uses a database of its own there, removes it, and what a dead run left."""
    psql(shop.server, "postgres", "-c", "CREATE DATABASE drillbook_scratch_dead")
    source = source_of(shop.server, shop.name, scratch=dsn(shop.server, ""))
    backup = back_up(source, store_in(tmp_path))
    assert bad(drill(backup, source, tmp_path).findings) == []
    assert ours(shop.server) == []


def test_a_missing_extension_is_no_verdict(
    pg15: RunningServer, pg17: RunningServer, fresh_database: FreshDatabases, tmp_path: Path
) -> None:
    """A backup whose extension the scratch server lacks is inconclusive, and the extension is named."""
    database = fresh_database(pg15)
    psql(pg15, database.name, "-c", 'CREATE EXTENSION "uuid-ossp"')
    source = source_of(pg15, database.name, scratch=dsn(pg17, ""))
    evidence = drill(back_up(source, store_in(tmp_path)), source, tmp_path)
    assert str(evidence.verdict) == "inconclusive"
    assert "uuid-ossp" in " ".join(bad(evidence.findings))


def test_large_objects_written_late_are_kept(
    shop: FreshDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large object that came after the safety backup, where that has none, keeps the replaced database from being dropped."""
    source = source_of(shop.server, shop.name)
    backup = back_up(source, store_in(tmp_path))
    write_before_the_swap(monkeypatch, shop, "SELECT lo_from_bytea(0, 'x')")
    done = restore(backup, source, tmp_path)
    (kept,) = [item for item in done.findings if item.code == "restore.replaced_kept"]
    assert [item.where for item in source.probe().findings] == [kept.where], "and doctor goes on naming it"
    assert psql(shop.server, kept.where, "-c", "SELECT count(*) FROM pg_largeobject_metadata") == "1"
    psql(shop.server, "postgres", "-c", f'DROP DATABASE "{kept.where}"')


def test_settings_of_roles_in_the_database_come_back(shop: FreshDatabase, tmp_path: Path) -> None:
    """ALTER ROLE … IN DATABASE … SET belongs to a database's identity, which the swap changes: it is given again."""
    quoted = f'"{shop.name}"'
    psql(shop.server, shop.name, "-c", f"ALTER ROLE petshop_leitura IN DATABASE {quoted} SET work_mem = '7MB'",
         "-c", f'ALTER ROLE petshop_leitura IN DATABASE {quoted} SET search_path = a, "B c"',
         "-c", f"ALTER DATABASE {quoted} SET search_path = 'x y', public")  # fmt: skip
    settings = (
        "SELECT pg_get_userbyid(setrole), unnest(setconfig) FROM pg_db_role_setting s JOIN pg_database d ON d.oid = setdatabase"
        f" WHERE datname = '{shop.name}' ORDER BY 1, 2"
    )
    before = psql(shop.server, "postgres", "-c", settings)
    source = source_of(shop.server, shop.name)
    restore(back_up(source, store_in(tmp_path)), source, tmp_path)
    assert psql(shop.server, "postgres", "-c", settings) == before
    assert "7MB" in before


def test_a_sweep_leaves_what_a_living_run_claims(shop: FreshDatabase) -> None:
    """A database that a run made and is not connected to is left alone while the run lives, and removed afterwards."""
    from ops.sources.postgres.connect.address import parse_address
    from ops.sources.postgres.connect.session import open_session
    from ops.sources.postgres.restore.databases import RESTORE_PREFIX, claim, new_name, sweep_databases

    name = new_name(RESTORE_PREFIX)
    address = parse_address(dsn(shop.server, "postgres"))
    with open_session(address, None) as other:
        with open_session(address, None) as run:
            claim(run, name)
            run.run(f'CREATE DATABASE "{name}"')
            assert sweep_databases(other, RESTORE_PREFIX) == []
        for _ in range(50):
            if swept := sweep_databases(other, RESTORE_PREFIX):
                break
            time.sleep(0.1)
    assert [finding.where for finding in swept] == [name]
    assert name not in databases(shop.server)


def test_two_restores_at_once(shop: FreshDatabase, tmp_path: Path) -> None:
    """Two restores of one backup into two new databases of one server do not meet."""
    source = source_of(shop.server, shop.name)
    backup = back_up(source, store_in(tmp_path))
    other = source_of(shop.server, shop.name)
    with ThreadPoolExecutor(2) as pool:
        both = [
            pool.submit(restore, backup, one, tmp_path, to=f"{shop.name}_{number}", wait_s=60.0)
            for number, one in enumerate((source, other))
        ]
        assert [bad(future.result().findings) for future in both] == [[], []]
    assert ours(shop.server) == []


def test_doctor_knows_what_a_drill_would_lack(
    shop: FreshDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Doctor asks for the room of the whole database, and says today that no server here could hold the backup."""
    from ops.actions.doctor import Patient, examine
    from ops.model.requests import Objectives

    source, store = source_of(shop.server, shop.name), store_in(tmp_path)
    back_up(source, store)
    patient = Patient(source, Repository(store=store), Objectives(), None)
    now = datetime.now(UTC)
    found = examine(patient, tmp_path, now)
    assert [item.code for item in found if str(item.severity) == "critical"] == []
    (room,) = [item.message for item in found if "the next drill" in item.message]
    assert "MiB needed" in room
    assert float(room.partition(", ")[2].split()[0]) > 60
    monkeypatch.setattr("ops.sources.postgres.source.discover", lambda *_: (require_programs(15),))
    codes = [item.code for item in examine(patient, tmp_path, now) if str(item.severity) == "critical"]
    assert "tool.missing" in codes


def test_settings_for_a_target(pg15: RunningServer, fresh_database: FreshDatabases, tmp_path: Path) -> None:
    """What `restore_settings` says holds while the target is loaded, spaces and backslashes included, and not afterwards."""
    database = fresh_database(pg15)
    asked = "SELECT current_setting('maintenance_work_mem') AS memory, current_setting('my.own', true) AS own"
    psql(pg15, database.name, "-c", f"CREATE MATERIALIZED VIEW seen AS {asked}")
    own = "a b\\c"
    source = source_of(pg15, database.name, restore_settings={"maintenance_work_mem": "3MB", "my.own": own})
    restore(back_up(source, store_in(tmp_path)), source, tmp_path)
    assert psql(pg15, database.name, "-c", "TABLE seen").split("|") == ["3MB", own]
    assert psql(pg15, database.name, "-c", "SHOW maintenance_work_mem") != "3MB"


@pytest.mark.parametrize(
    "settings", [{"maintenance_work_mem": "much"}, {"no_such_thing": "1"}, {"shared_buffers": "1GB"}]
)
def test_settings_that_the_target_refuses(
    shop: FreshDatabase, tmp_path: Path, settings: dict[str, str]
) -> None:
    """A setting that the target's server does not take is an error of the configuration, found before anything is loaded."""
    source = source_of(shop.server, shop.name, restore_settings=settings)
    backup = back_up(source, store_in(tmp_path))
    with pytest.raises(ConfigError, match="restore_settings of the source, "):
        restore(backup, source, tmp_path)
    assert ours(shop.server) == []


def test_a_limit_of_the_target_says_nothing_of_the_backup(
    pg15: RunningServer, fresh_database: FreshDatabases, tmp_path: Path
) -> None:
    """What the server stops for its limits is an error of the server, and nothing of it is left; without them it is restored."""
    database = fresh_database(pg15)
    psql(pg15, database.name, "-c", "CREATE TABLE t AS SELECT i, md5(i::text) AS v FROM generate_series(1, 100000) i",
         "-c", "CREATE INDEX ON t (v)")  # fmt: skip
    limits = {"maintenance_work_mem": "1MB", "temp_file_limit": "0", "max_parallel_maintenance_workers": "0"}
    source = source_of(pg15, database.name)
    backup = back_up(source, store_in(tmp_path))
    with pytest.raises(ToolError, match="a limit of the server ended the load") as caught:
        restore(backup, source_of(pg15, database.name, restore_settings=limits), tmp_path)
    assert "restore_settings" in caught.value.hint
    assert ours(pg15) == []
    assert bad(restore(backup, source, tmp_path).findings) == []


IN_TABLESPACE = "SELECT spcname FROM pg_database d JOIN pg_tablespace t ON t.oid = dattablespace WHERE datname = current_database()"


def test_a_database_stays_in_its_tablespace(
    pg17: RunningServer, fresh_database: FreshDatabases, tmp_path: Path
) -> None:
    """Restored over itself or into a new one it lies where it lay; where there is no such tablespace, a warning names it."""
    database = fresh_database(pg17)
    psql(pg17, "postgres", "-c", "SET allow_in_place_tablespaces = on", "-c", "CREATE TABLESPACE fast LOCATION ''",
         "-c", f'ALTER DATABASE "{database.name}" SET TABLESPACE fast')  # fmt: skip
    psql(pg17, database.name, "-c", "CREATE TABLE t AS SELECT 1 AS x")
    source, new = source_of(pg17, database.name), f"{database.name}_new"
    backup = back_up(source, store_in(tmp_path))
    assert bad(restore(backup, source, tmp_path).findings) == []
    assert psql(pg17, database.name, "-c", IN_TABLESPACE) == "fast"
    assert bad(restore(backup, source, tmp_path, to=new).findings) == []
    assert psql(pg17, new, "-c", IN_TABLESPACE) == "fast"
    for name in (new, database.name):
        psql(pg17, "postgres", "-c", f'DROP DATABASE "{name}"')
    psql(pg17, "postgres", "-c", "DROP TABLESPACE fast")
    (said,) = bad(restore(backup, source, tmp_path).findings)
    assert "restore.property_lost fast" in said
    assert psql(pg17, database.name, "-c", "TABLE t") == "1"


def test_a_dropped_database_comes_back(shop: FreshDatabase, tmp_path: Path) -> None:
    """What was dropped is planned and restored to its own place, with `--yes` alone and by its name; nothing is kept of what was not there."""
    source = source_of(shop.server, shop.name)
    backup = back_up(source, store_in(tmp_path))
    rows = psql(shop.server, shop.name, "-c", "SELECT count(*) FROM vendas")
    for to in (None, shop.name):
        psql(shop.server, "postgres", "-c", f'DROP DATABASE "{shop.name}" WITH (FORCE)')
        request = RestoreRequest(
            scratch=tmp_path, safety=Repository(store=backup.store), sources=[source], to=to, yes=True
        )
        assert f"give it the name {shop.name}" in plan_restore(backup, source, request)
        done = restore(backup, source, tmp_path, to=to)
        assert (bad(done.findings), done.safety) == ([], None)
        assert psql(shop.server, shop.name, "-c", "SELECT count(*) FROM vendas") == rows


def test_a_refused_table_leaves_its_sequence(
    pg17: RunningServer, fresh_database: FreshDatabases, tmp_path: Path
) -> None:
    """A restore of a table that is rolled back has not moved its sequence either: the next insert goes through."""
    database = fresh_database(pg17)

    def run(*statements: str) -> list[str]:
        return [psql(pg17, database.name, "-c", one) for one in statements]

    run("CREATE TABLE c (id bigserial PRIMARY KEY, n text)", "CREATE TABLE o (id int, c_id bigint REFERENCES c)",
        "INSERT INTO c (n) SELECT 'x' FROM generate_series(1, 10)")  # fmt: skip
    source = source_of(pg17, database.name)
    backup = back_up(source, store_in(tmp_path))
    run("INSERT INTO c (n) SELECT 'new' FROM generate_series(1, 5)", "INSERT INTO o VALUES (1, 15)")
    with pytest.raises(RefusedError, match="violates foreign key"):
        restore(backup, source, tmp_path, tables=("c",), truncate=True)
    assert run("INSERT INTO c (n) VALUES ('after') RETURNING id") == ["16"]
    run("DELETE FROM o")
    restore(backup, source, tmp_path, tables=("c",), truncate=True)
    assert run("SELECT count(*) FROM c", "INSERT INTO c (n) VALUES ('last') RETURNING id") == ["10", "17"]


def test_a_server_without_the_tablespaces(
    pg17: RunningServer, fresh_database: FreshDatabases, tmp_path: Path
) -> None:
    """Tables whose tablespace the target lacks come into its default one, with a warning that names it."""
    database = fresh_database(pg17)
    psql(
        pg17,
        "postgres",
        "-c",
        "SET allow_in_place_tablespaces = on",
        "-c",
        "CREATE TABLESPACE swift LOCATION ''",
    )
    psql(pg17, database.name, "-c", "CREATE TABLE t (x int) TABLESPACE swift", "-c", "INSERT INTO t VALUES (1)",
         "-c", "CREATE INDEX ON t (x)")  # fmt: skip
    source = source_of(pg17, database.name)
    backup = back_up(source, store_in(tmp_path))
    psql(pg17, "postgres", "-c", f'DROP DATABASE "{database.name}"', "-c", "DROP TABLESPACE swift")
    (said,) = bad(restore(backup, source, tmp_path).findings)
    assert "restore.property_lost" in said
    assert "no tablespace swift" in said
    assert psql(pg17, database.name, "-c", "TABLE t") == "1"


@pytest.mark.parametrize("name", ["ev", 'public."Mixed"', "gone"])
def test_going_back_after_a_table(
    pg17: RunningServer, fresh_database: FreshDatabases, tmp_path: Path, name: str
) -> None:
    """The printed command puts that table back alone, partitioned ones and odd names too; where it cannot, that is said."""
    database = fresh_database(pg17)
    for statement in (
        "CREATE TABLE ev (d int) PARTITION BY RANGE (d)",
        "CREATE TABLE ev1 PARTITION OF ev FOR VALUES FROM (0) TO (9)",
        "INSERT INTO ev VALUES (1)",
        'CREATE TABLE "Mixed" AS SELECT 1 AS x',
        "CREATE TABLE gone AS SELECT 1 AS x",
    ):
        psql(pg17, database.name, "-c", statement)
    source = source_of(pg17, database.name)
    backup = back_up(source, store_in(tmp_path))
    psql(pg17, database.name, "-c", "DROP TABLE gone")
    done = restore(backup, source, tmp_path, tables=(name,), truncate=True)
    said = [item.message for item in done.findings if item.code == "restore.safety"]
    alone = f"--table {shlex.quote(name)} --truncate" in (done.undo or "")
    assert alone == (name != "gone")
    assert ("not these alone" in said[0]) == (name == "gone")


def test_a_table_that_was_measured_as_one(
    pg17: RunningServer, fresh_database: FreshDatabases, tmp_path: Path
) -> None:
    """Partitions by hash of an enumeration come back from a backup of their table alone."""
    database = fresh_database(pg17)
    for statement in (
        "CREATE TYPE colour AS ENUM ('red', 'green', 'blue')",
        "CREATE TABLE paint (c colour) PARTITION BY HASH (c)",
        "CREATE TABLE paint_0 PARTITION OF paint FOR VALUES WITH (MODULUS 2, REMAINDER 0)",
        "CREATE TABLE paint_1 PARTITION OF paint FOR VALUES WITH (MODULUS 2, REMAINDER 1)",
        "INSERT INTO paint VALUES ('red'), ('green'), ('blue')",
    ):
        psql(pg17, database.name, "-c", statement)
    source = source_of(pg17, database.name, scope="tables", tables=("paint",))
    backup = back_up(source, store_in(tmp_path))
    psql(pg17, database.name, "-c", "DELETE FROM paint")
    restore(backup, source, tmp_path, tables=("paint",), truncate=True)
    assert psql(pg17, database.name, "-c", "SELECT count(*) FROM paint") == "3"


def test_a_table_whose_name_has_line_ends(
    pg17: RunningServer, fresh_database: FreshDatabases, tmp_path: Path
) -> None:
    """Rows that look like a statement for a sequence come back whole, also where the name makes COPY several lines long."""
    database = fresh_database(pg17)
    name = '"two\nlines"'
    line = "SELECT pg_catalog.setval(''x'', 1);"
    for statement in (
        f"CREATE TABLE {name} (id serial, text text)",
        f"CREATE TABLE plain (text text); INSERT INTO plain VALUES ('{line}')",
        f"INSERT INTO {name} (text) VALUES ('{line}'), ('COPY x FROM stdin;')",
        f"ALTER TABLE {name} DROP COLUMN id",
    ):
        psql(pg17, database.name, "-c", statement)
    source = source_of(pg17, database.name)
    backup = back_up(source, store_in(tmp_path))
    for table in (name, "plain"):
        psql(pg17, database.name, "-c", f"DELETE FROM {table}")
        restore(backup, source, tmp_path, tables=(f"public.{table}",), truncate=True)
    assert psql(pg17, database.name, "-c", f"SELECT count(*) FROM {name}") == "2"
    assert psql(pg17, database.name, "-c", "SELECT count(*) FROM plain") == "1"
