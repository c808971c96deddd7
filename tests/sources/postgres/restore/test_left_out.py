"""Extensions that a server cannot make: no verdict about the backup, and left out with all that is theirs where that is allowed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.errors import ToolError
from ops.model.findings import Verdict
from ops.sources.postgres.restore.left_out import LEFT_OUT
from ops.sources.postgres.server.server import RunningServer
from tests.sources.postgres.conftest import FreshDatabase, FreshDatabases, connect, serving
from tests.sources.postgres.shop import back_up, bad, drill, dsn, psql, restore, source_of, store_in

pytestmark = pytest.mark.long

# Like pg_cron: a setting that only its library knows, one database of the server, a schema of its own with the user's rows.
SCRIPT = """
DO $$ BEGIN IF current_database() <> current_setting('homely.database') THEN
RAISE EXCEPTION 'can only create extension in database %', current_setting('homely.database'); END IF; END $$;
CREATE SCHEMA homely;
GRANT USAGE ON SCHEMA homely TO PUBLIC;
CREATE TABLE homely.job (id serial PRIMARY KEY, what text);
SELECT pg_extension_config_dump('homely.job', '');
SELECT pg_extension_config_dump('homely.job_id_seq', '');
"""
ALLOWED = {"EXTENSION IF NOT EXISTS homely": "made by hand"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server that finds the extension (from 18 on)."""
    folder = tmp_path_factory.mktemp("extensions")
    (folder / "extension").mkdir()
    (folder / "extension" / "homely.control").write_text("default_version = '1'\nrelocatable = false\n")
    (folder / "extension" / "homely--1.sql").write_text(SCRIPT)
    with serving(18) as running:
        with connect(running) as connection:
            connection.execute(f"ALTER SYSTEM SET extension_control_path = '{folder}:$system'")
            connection.execute("SELECT pg_reload_conf()")
        yield running


@pytest.fixture
def database(server: RunningServer, fresh_database: FreshDatabases) -> FreshDatabase:
    """The one database in which it can be made, with a row of the user's in it and a table beside."""
    made = fresh_database(server)
    home = f"SET homely.database = '{made.name}'"
    psql(server, made.name, "-c", home, "-c", "CREATE EXTENSION homely")
    psql(
        server,
        made.name,
        "-c",
        "INSERT INTO homely.job (what) VALUES ('nightly')",
        "-c",
        "CREATE TABLE t AS SELECT 1 AS x",
    )
    return made


@pytest.mark.parametrize("known", [False, True])
def test_it_is_no_verdict(database: FreshDatabase, tmp_path: Path, known: bool) -> None:
    """Without its library, or with it for another database: a drill is inconclusive, a restore refused, and both say what to do."""
    source = source_of(database.server, database.name, scratch=dsn(database.server, ""))
    backup = back_up(source, store_in(tmp_path))
    with connect(database.server) as connection:
        connection.execute(
            "ALTER ROLE CURRENT_USER SET homely.database = 'elsewhere'" if known else "SELECT 1"
        )
    try:
        evidence = drill(backup, source, tmp_path)
        assert evidence.verdict is Verdict.INCONCLUSIVE
        said = " ".join(bad(evidence.findings))
        assert "this server cannot make extension homely" in said
        assert ("can only create extension in database elsewhere" in said) == known
        with pytest.raises(ToolError, match="cannot make extension homely") as refused:
            restore(backup, source, tmp_path)
        assert "EXTENSION IF NOT EXISTS homely" in refused.value.hint
    finally:
        with connect(database.server) as connection:
            connection.execute("ALTER ROLE CURRENT_USER RESET homely.database")


def test_it_is_left_out_with_all_that_is_its(database: FreshDatabase, tmp_path: Path) -> None:
    """One allowed error is enough: its rows, sequences, rights and comment are left out with it, and all else is compared and restored."""
    server = database.server
    source = source_of(server, database.name, scratch=dsn(server, ""), allowed_errors=ALLOWED)
    backup = back_up(source, store_in(tmp_path))
    evidence = drill(backup, source, tmp_path)
    assert bad(evidence.findings) == []
    assert evidence.verdict is Verdict.PASSED
    assert [item.where for item in evidence.findings if item.code == LEFT_OUT] == ["homely"]
    done = restore(backup, source, tmp_path)
    assert [item.where for item in done.findings if item.code == LEFT_OUT] == ["homely"]
    assert psql(server, database.name, "-c", "TABLE t") == "1"


def test_nothing_else_is_allowed_by_it(database: FreshDatabase, tmp_path: Path) -> None:
    """An error that does not belong to the extension is as bad as before."""
    server = database.server
    psql(server, database.name, "-c", "CREATE FUNCTION g(a text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT upper(a)'",
         "-c", "CREATE FUNCTION f(a text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT g(a)'",
         "-c", "CREATE TABLE u (a text, b text GENERATED ALWAYS AS (f(a)) STORED)")  # fmt: skip
    source = source_of(server, database.name, scratch=dsn(server, ""), allowed_errors=ALLOWED)
    assert drill(back_up(source, store_in(tmp_path)), source, tmp_path).verdict is Verdict.FAILED
