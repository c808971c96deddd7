from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ops.model.evidence import Level
from ops.model.findings import Severity, Verdict
from ops.sources.postgres.catalog.requirements import needs_of
from ops.sources.postgres.connect.address import parse_address
from ops.sources.postgres.connect.session import open_session
from ops.sources.postgres.measure.extension_rows import check_extension_rows
from ops.sources.postgres.server.server import RunningServer
from ops.sources.postgres.source import PostgresSource
from tests.sources.postgres.conftest import FreshDatabase, FreshDatabases, connect, serving
from tests.sources.postgres.shop import back_up, bad, drill, dsn, psql, restore, source_of, store_in, verify

pytestmark = pytest.mark.long

SCRIPT = """
CREATE TABLE place (id int PRIMARY KEY, name text, own bool NOT NULL DEFAULT true);
CREATE TABLE job (id serial PRIMARY KEY, what text);
INSERT INTO place VALUES (1, 'brought along', false);
SELECT pg_extension_config_dump('place', 'WHERE own');
SELECT pg_extension_config_dump('job', '');
SELECT pg_extension_config_dump('job_id_seq', '');
"""


def make_extension(folder: Path, version: str, script: str = SCRIPT) -> None:
    """An extension whose tables hold rows of the user's."""
    (folder / "extension").mkdir(exist_ok=True)
    (folder / "extension" / "places.control").write_text(
        f"default_version = '{version}'\nrelocatable = false\nschema = 'public'\n"
    )
    (folder / "extension" / f"places--{version}.sql").write_text(script)


@pytest.fixture(scope="module")
def extensions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the server looks for extensions, beside its own."""
    return tmp_path_factory.mktemp("extensions")


@pytest.fixture(scope="module")
def server(extensions: Path) -> Iterator[RunningServer]:
    """A server that finds them (from 18 on)."""
    with serving(18) as running:
        with connect(running) as connection:
            connection.execute(f"ALTER SYSTEM SET extension_control_path = '{extensions}:$system'")
            connection.execute("SELECT pg_reload_conf()")
        yield running


@pytest.fixture
def database(server: RunningServer, extensions: Path, fresh_database: FreshDatabases) -> FreshDatabase:
    """A database with the extension, three rows of the user's and one of the extension's."""
    make_extension(extensions, "1.0")
    made = fresh_database(server)
    statements = (
        "CREATE EXTENSION places",
        "INSERT INTO place VALUES (2, 'ours', true), (3, 'ours too', true)",
        "INSERT INTO job (what) VALUES ('every night')",
    )
    for statement in statements:
        psql(server, made.name, "-c", statement)
    return made


@pytest.fixture
def source(database: FreshDatabase) -> PostgresSource:
    """Its source, drilled on the server itself, which finds the extension."""
    return source_of(database.server, database.name, scratch=dsn(database.server, ""))


def test_they_are_measured_and_compared(source: PostgresSource, tmp_path: Path) -> None:
    """The user's rows in tables of extensions, and where their sequences stand, are as in the backup's snapshot."""
    backup = back_up(source, store_in(tmp_path))
    evidence = drill(backup, source, tmp_path)
    assert bad(evidence.findings) == []
    (told,) = [item for item in evidence.findings if item.code == "postgres.extension_rows"]
    assert (
        told.message == "3 rows of the user's in 2 tables of extensions as measured in the backup's snapshot"
    )
    assert "public.job_id_seq" in backup.manifest.extra["postgres"]["sequences"]  # type: ignore[index]


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM place WHERE id = 3",
        "UPDATE place SET name = 'other' WHERE id = 3",
        "INSERT INTO place VALUES (4, 'new', true)",
        "DELETE FROM job",
        "ALTER TABLE job RENAME TO work",
    ],
)
def test_a_change_is_noticed(
    database: FreshDatabase, source: PostgresSource, tmp_path: Path, change: str
) -> None:
    """A row less, more or other in such a table is a critical finding that names the table."""
    backup = back_up(source, store_in(tmp_path))
    psql(database.server, database.name, "-c", change)
    with open_session(parse_address(dsn(database.server, database.name)), None) as session:
        (found,) = check_extension_rows(session, needs_of(backup.manifest.extra).extension_rows)
    assert found.severity is Severity.CRITICAL
    assert found.where in {"public.place", "public.job"}


def test_rows_that_the_extension_brings_are_not_compared(
    database: FreshDatabase, source: PostgresSource, tmp_path: Path
) -> None:
    """What does not meet the extension's condition is the extension's own: a dump does not carry it."""
    psql(database.server, database.name, "-c", "UPDATE place SET name = 'changed' WHERE NOT own")
    assert bad(drill(back_up(source, store_in(tmp_path)), source, tmp_path).findings) == []


def test_another_version_of_the_extension_is_no_verdict(
    source: PostgresSource, extensions: Path, tmp_path: Path
) -> None:
    """Where the extension is of another version and its table differs, nothing can be said: inconclusive, and both versions are named."""
    backup = back_up(source, store_in(tmp_path))
    make_extension(extensions, "2.0", SCRIPT.replace("DEFAULT true)", "DEFAULT true, seen int DEFAULT 0)"))
    evidence = drill(backup, source, tmp_path)
    assert evidence.verdict is Verdict.INCONCLUSIVE
    (told,) = bad(evidence.findings)
    assert "1.0 in the source and 2.0 here" in told
    (version,) = [item for item in evidence.findings if item.code == "postgres.extension_version"]
    assert (version.expected, version.found) == ("1.0", "2.0")


def test_a_restore_gives_them_back(database: FreshDatabase, source: PostgresSource, tmp_path: Path) -> None:
    """A restore over the database gives the rows back."""
    backup = back_up(source, store_in(tmp_path))
    psql(database.server, database.name, "-c", "DELETE FROM place WHERE own")
    restore(backup, source, tmp_path)
    assert psql(database.server, database.name, "-c", "SELECT count(*) FROM place") == "3"


def test_only_the_schema(source: PostgresSource, tmp_path: Path) -> None:
    """A backup of the schema holds no such rows, and none are asked for."""
    schema = replace(source, options=replace(source.options, scope="schema"))
    backup = back_up(schema, store_in(tmp_path))
    assert backup.manifest.extra["postgres"]["extension_rows"] == {}  # type: ignore[index]
    assert bad(verify(backup, schema, tmp_path, Level.FULL).findings) == []


def test_what_our_role_may_not_read_makes_no_verdict(
    database: FreshDatabase, source: PostgresSource, tmp_path: Path
) -> None:
    """A role without rights on such a table could not look: a warning that blocks, never a difference."""
    backup = back_up(source, store_in(tmp_path))
    psql(database.server, "postgres", "-c", "CREATE ROLE blind LOGIN")
    try:
        with open_session(parse_address(dsn(database.server, database.name, "blind")), None) as session:
            found = check_extension_rows(session, needs_of(backup.manifest.extra).extension_rows)
        assert [(item.severity, item.blocking) for item in found] == [(Severity.WARNING, True)] * 2
        assert "permission denied" in found[0].message
    finally:
        psql(database.server, "postgres", "-c", "DROP ROLE blind")


SEEDED = f"{SCRIPT}INSERT INTO job (what) VALUES ('brought along');\n"
"""An extension that brings a row of a table all of whose rows it calls the user's: pg_dump carries that row as well."""


def test_a_row_that_comes_twice(
    database: FreshDatabase, source: PostgresSource, extensions: Path, tmp_path: Path
) -> None:
    """What CREATE EXTENSION brings and the archive carries too is there once, as it was in the source."""
    psql(database.server, database.name, "-c", "DROP EXTENSION places")
    make_extension(extensions, "1.0", SEEDED)
    psql(database.server, database.name, "-c", "CREATE EXTENSION places")
    psql(database.server, database.name, "-c", "UPDATE job SET what = 'changed' WHERE id = 1")
    psql(database.server, database.name, "-c", "INSERT INTO job (what) VALUES ('every night')")
    backup = back_up(source, store_in(tmp_path))
    assert bad(drill(backup, source, tmp_path).findings) == []
    psql(database.server, database.name, "-c", "DELETE FROM job")
    restore(backup, source, tmp_path)
    rows = psql(database.server, database.name, "-Atc", "SELECT id, what FROM job ORDER BY id")
    assert rows.split() == ["1|changed", "2|every", "night"]
