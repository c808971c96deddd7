"""Nothing that a program or the server says is thrown away: it is told, and damage stays with the backup."""

from __future__ import annotations

from pathlib import Path

import pytest

from ops.actions.backup import Taken, take_backup
from ops.actions.begin_backup import BackupRequest
from ops.actions.drill import DrillRequest, run_drill
from ops.model.complaints import Known
from ops.model.findings import Finding, Severity, Verdict
from ops.repository.repository import Repository
from ops.run.job import Job
from ops.sources.postgres.dump.said import findings_of
from ops.sources.postgres.server.server import RunningServer
from ops.sources.postgres.source import PostgresSource
from tests.sources.postgres.conftest import FreshDatabases, connect
from tests.sources.postgres.shop import dsn, psql, source_of, store_in

pytestmark = pytest.mark.long


def taken(source: PostgresSource, folder: Path) -> Taken:
    """A backup of it."""
    return take_backup(source, Repository(store=store_in(folder)), BackupRequest(), Job())


def of(findings: tuple[Finding, ...], code: str) -> list[Finding]:
    """Those of one code."""
    return [item for item in findings if item.code == code]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], []),
        (["pg_dump: warning: x", "pg_dump: detail: y", "pg_dump: hint: z"], [("postgres.said", Severity.WARNING)]),
        (["pg_dump: warning: x", "pg_dump: warning: x"], [("postgres.said", Severity.WARNING)]),
        (["WARNING:  invalid page in block 3; zeroing out page"], [("postgres.damaged", Severity.CRITICAL)]),
        (
            ["pg_dump: warning: there are circular foreign-key constraints on this table:", "pg_dump:   node",
             "pg_dump: hint: a"],
            [("postgres.said", Severity.OK)],
        ),
    ],
)  # fmt: skip
def test_lines(lines: list[str], expected: list[tuple[str, Severity]]) -> None:
    """Each thing that is said is one finding, with its details; what speaks of damage is critical."""
    assert [(item.code, item.severity) for item in findings_of("pg_dump", lines)] == expected


def test_what_is_left_out(pg17: RunningServer, fresh_database: FreshDatabases, tmp_path: Path) -> None:
    """Subscriptions that a role may not dump are told, though pg_dump ends with 0."""
    database = fresh_database(pg17)
    role = f"reader_{database.name}"
    psql(pg17, database.name, "-c", f"CREATE TABLE t (i int); CREATE ROLE {role} LOGIN; GRANT pg_read_all_data TO {role};"
         "CREATE SUBSCRIPTION far CONNECTION 'host=far.invalid' PUBLICATION p WITH (connect = false)")  # fmt: skip
    try:
        source = source_of(pg17, database.name, dsn=dsn(pg17, database.name, role), globals=False)
        (said,) = of(taken(source, tmp_path).findings, "postgres.said")
        assert "subscriptions not dumped" in said.message
        assert said.severity is Severity.WARNING
    finally:
        psql(pg17, database.name, "-c", "ALTER SUBSCRIPTION far SET (slot_name = NONE)", "-c", "DROP SUBSCRIPTION far",
             "-c", f"DROP OWNED BY {role}; DROP ROLE {role}")  # fmt: skip


@pytest.fixture
def zeroed(pg17: RunningServer, fresh_database: FreshDatabases) -> str:
    """A database with a damaged page that its server is told to read as an empty one."""
    whole = fresh_database(pg17)
    psql(
        pg17,
        whole.name,
        "-c",
        "CREATE TABLE t AS SELECT i, repeat('x', 100) AS v FROM generate_series(1, 2000) i",
    )
    name = fresh_database(pg17).name
    with connect(pg17) as admin:
        admin.execute("CHECKPOINT")
        admin.execute(f'DROP DATABASE "{name}"')
        # Its pages are copied as files: no buffer of the server holds them.
        admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{whole.name}" STRATEGY file_copy')
        admin.execute(f'ALTER DATABASE "{name}" SET zero_damaged_pages = on')
        (folder,) = admin.execute("SHOW data_directory").fetchone() or ("",)
        (oid,) = admin.execute("SELECT oid FROM pg_database WHERE datname = %s", (name,)).fetchone() or ("",)
    with connect(pg17, whole.name) as connection:
        (file,) = connection.execute("SELECT pg_relation_filenode('t')").fetchone() or ("",)
    with (Path(folder) / f"base/{oid}/{file}").open("r+b") as table:
        table.seek(3 * 8192)
        table.write(b"\xff" * 200)
    return name


def test_damage_that_the_server_hides(pg17: RunningServer, zeroed: str, tmp_path: Path) -> None:
    """A page that the server zeroes makes the backup critical; a drill of it is not proven until the damage is known."""
    source = source_of(pg17, zeroed)
    made = taken(source, tmp_path)
    said = of(made.findings, "postgres.damaged")
    assert said
    assert {item.severity for item in said} == {Severity.CRITICAL}
    assert "zeroing out page" in said[0].message
    assert made.backup.manifest.measures.tables["public.t"].rows < 2000
    evidence = run_drill(made.backup, source, DrillRequest(scratch=tmp_path), Job())
    assert [item.inherited for item in of(evidence.findings, "postgres.damaged")] == [True] * len(said)
    assert evidence.verdict is Verdict.PASSED
    assert not evidence.proves
    known = [Known(code=item.code, where=item.where, reason="lost in May") for item in said]
    evidence = run_drill(made.backup, source, DrillRequest(scratch=tmp_path, known=known), Job())
    assert evidence.proves


def test_passwords_inside(pg17: RunningServer, fresh_database: FreshDatabases, tmp_path: Path) -> None:
    """That the archive holds passwords of user mappings and subscriptions is told, with how many, and not which; no warning."""
    database = fresh_database(pg17)
    source = source_of(pg17, database.name)
    assert of(taken(source, tmp_path / "before").findings, "postgres.password_inside") == []
    psql(pg17, database.name, "-c", "CREATE EXTENSION postgres_fdw", "-c", "CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw",
         "-c", "CREATE USER MAPPING FOR PUBLIC SERVER far OPTIONS (user 'a', password 'canary-1')",
         "-c", "CREATE SUBSCRIPTION far CONNECTION 'host=/nowhere password=canary-2' PUBLICATION p WITH (connect = false)")  # fmt: skip
    try:
        (said,) = of(taken(source, tmp_path / "after").findings, "postgres.password_inside")
        assert "1 user mappings, 1 subscriptions" in said.message
        assert "canary" not in said.message
        assert said.severity is Severity.OK
    finally:
        psql(
            pg17,
            database.name,
            "-c",
            "ALTER SUBSCRIPTION far SET (slot_name = NONE)",
            "-c",
            "DROP SUBSCRIPTION far",
        )


def test_a_tenant_that_matches_nothing(
    pg17: RunningServer, fresh_database: FreshDatabases, tmp_path: Path
) -> None:
    """A backup of a tenant without any row is made with a warning; one row is enough for none."""
    database = fresh_database(pg17)
    psql(pg17, database.name, "-c", "CREATE TABLE t (tenant_id int)", "-c", "INSERT INTO t VALUES (1)")
    for tenant, warned in ((1, 0), (2, 1)):
        made = taken(source_of(pg17, database.name, scope="tenant", tenant=tenant), tmp_path / str(tenant))
        assert len(of(made.findings, "postgres.tenant_empty")) == warned
    estimated = source_of(pg17, database.name, scope="tenant", tenant=1, counts="estimated")
    made = taken(estimated, tmp_path / "estimated")
    assert of(made.findings, "postgres.tenant_empty") == [], "nothing was counted, so nothing is known"


def test_a_tenant_that_refers_to_another(
    pg17: RunningServer, fresh_database: FreshDatabases, tmp_path: Path
) -> None:
    """A key by which a row of the tenant refers to another tenant's is left away and named; others stay, and it drills."""
    database = fresh_database(pg17)
    for statement in (
        "CREATE TABLE users (id int PRIMARY KEY, tenant_id int, invited_by int REFERENCES users)",
        "CREATE TABLE orders (id int PRIMARY KEY, tenant_id int, user_id int REFERENCES users) PARTITION BY RANGE (id)",
        "CREATE TABLE orders_1 PARTITION OF orders DEFAULT",
        "INSERT INTO users VALUES (1, 1, NULL), (2, 2, 1), (3, 2, 2)",
        "INSERT INTO orders VALUES (1, 2, 2), (2, 1, 1)",
    ):
        psql(pg17, database.name, "-c", statement)
    source = source_of(pg17, database.name, scope="tenant", tenant=2)
    made = taken(source, tmp_path)
    keys = made.backup.manifest.extra["postgres"]["outside_keys"]  # type: ignore[index]
    assert list(keys) == ["users_invited_by_fkey on public.users"]
    evidence = run_drill(made.backup, source, DrillRequest(scratch=tmp_path), Job())
    assert evidence.verdict is Verdict.PASSED
