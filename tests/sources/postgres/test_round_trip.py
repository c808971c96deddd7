"""Everything that a database can hold comes back, in every scope and format, from every server and client."""

from __future__ import annotations

from pathlib import Path

import pytest

from ops.model.findings import Verdict
from ops.sources.postgres.server.server import RunningServer
from tests.sources.postgres.conftest import FreshDatabases
from tests.sources.postgres.shop import (
    back_up,
    bad,
    drill,
    dsn,
    fill_with_features,
    fill_with_petshop,
    psql,
    source_of,
    store_in,
    verify,
)

pytestmark = pytest.mark.long


@pytest.mark.parametrize("major", [15, 17, 18])
def test_every_feature_comes_back(
    request: pytest.FixtureRequest, fresh_database: FreshDatabases, tmp_path: Path, major: int
) -> None:
    """A drill of a database with every feature finds each object, row, owner, sequence and large object again."""
    server: RunningServer = request.getfixturevalue(f"pg{major}")
    database = fresh_database(server)
    fill_with_features(server, database.name)
    source, store = source_of(server, database.name), store_in(tmp_path)
    backup = back_up(source, store)
    tables = backup.manifest.measures.tables
    assert tables['"Vendas"."Cliente Nº 1"'].rows == 300
    assert tables["pg_largeobject"].rows == 2
    assert tables["public.ohne_spalten"].rows == 3
    assert sum(name.startswith("s") for name in tables) == 200
    assert verify(backup, source, tmp_path).verdict is Verdict.PASSED
    evidence = drill(backup, source, tmp_path)
    assert bad(evidence.findings) == []
    assert evidence.verdict is Verdict.PASSED


@pytest.mark.parametrize(
    "options",
    [
        {"format": "custom"},
        {"compress": "gzip:6"},
        {"compress": "none", "jobs": 1},
        {"digests": False},
        {"counts": "estimated"},
        {"scope": "schema"},
        {"scope": "data"},
        {"scope": "tables", "tables": ("vendas", "public.itens_venda", "estoque_movimentos_2025_05")},
        {"scope": "schemas", "schemas": ("public",)},
        {"scope": "tenant", "tenant": 2, "freshness": ("vendas.realizada_em",)},
        {"amcheck": True},
        {"freshness": ("vendas.realizada_em",)},
    ],
    ids=lambda options: "-".join(map(str, next(iter(options.items())))),
)
def test_scopes_and_formats(
    pg17: RunningServer, fresh_database: FreshDatabases, tmp_path: Path, options: dict[str, object]
) -> None:
    """Each scope and format is backed up, verified and drilled, and holds what it says."""
    database = fresh_database(pg17)
    fill_with_petshop(pg17, database.name)
    source, store = source_of(pg17, database.name, **options), store_in(tmp_path)
    backup = back_up(source, store)
    assert backup.manifest.scope == options.get("scope", "full")
    assert verify(backup, source, tmp_path).verdict is Verdict.PASSED
    evidence = drill(backup, source, tmp_path)
    assert bad(evidence.findings) == []
    assert evidence.verdict is Verdict.PASSED


def test_every_legal_pair_of_versions(
    pg15: RunningServer,
    pg17: RunningServer,
    pg18: RunningServer,
    fresh_database: FreshDatabases,
    tmp_path: Path,
) -> None:
    """A backup of each version, by each client that may, drills on each server that may: rows and objects agree."""
    installed = {server.programs.major: server for server in (pg15, pg17, pg18)}
    databases = {major: fresh_database(server) for major, server in installed.items()}
    for major, server in installed.items():
        fill_with_petshop(server, databases[major].name)
    for major, server in installed.items():
        database = databases[major]
        for client, other in installed.items():
            if client < major:
                continue
            with_client = source_of(server, database.name, pg_bindir=other.programs.bindir)
            backup = back_up(with_client, store_in(tmp_path / f"{major}-{client}"))
            assert backup.manifest.measures.engine["server"].startswith(f"{major}.")
            assert backup.manifest.measures.engine["client"].startswith(f"{client}.")
            for scratch in (server for number, server in installed.items() if number >= max(major, client)):
                given = source_of(
                    server, database.name, scratch=dsn(scratch, ""), pg_bindir=None, digests=True
                )
                evidence = drill(backup, given, tmp_path)
                assert bad(evidence.findings) == [], (major, client, scratch.programs.major)


def test_a_newer_archive_in_an_older_server(
    pg15: RunningServer, pg17: RunningServer, fresh_database: FreshDatabases, tmp_path: Path
) -> None:
    """An archive of pg_dump 17 goes into a server 15, and the setting that it does not know is named."""
    database = fresh_database(pg15)
    fill_with_petshop(pg15, database.name)
    backup = back_up(source_of(pg15, database.name, pg_bindir=pg17.programs.bindir), store_in(tmp_path))
    given = source_of(pg15, database.name, scratch=dsn(pg15, ""), pg_bindir=pg17.programs.bindir)
    evidence = drill(backup, given, tmp_path)
    assert bad(evidence.findings) == []
    assert any(
        item.code == "postgres.newer_client" and "transaction_timeout" in item.message
        for item in evidence.findings
    )


def test_triggers_of_partitioned_tables_do_not_fire_while_rows_are_loaded(
    pg17: RunningServer, fresh_database: FreshDatabases, tmp_path: Path
) -> None:
    """A trigger that counts the rows of partitions, and a key of a partitioned table, wait for all rows with many jobs."""
    database = fresh_database(pg17)
    partitions = "".join(
        f"CREATE TABLE p{n} PARTITION OF p FOR VALUES FROM ({n * 1000}) TO ({(n + 1) * 1000});"
        for n in range(20)
    )
    psql(
        pg17, database.name,
        "-c", "CREATE TABLE ref (id int PRIMARY KEY); INSERT INTO ref SELECT generate_series(0, 19999)",
        "-c", "CREATE TABLE soma (n bigint); INSERT INTO soma VALUES (0)",
        "-c", f"CREATE TABLE p (id int, x text) PARTITION BY RANGE (id); {partitions}",
        "-c", "CREATE FUNCTION conta() RETURNS trigger LANGUAGE plpgsql AS"
              " 'BEGIN UPDATE public.soma SET n = n + 1; RETURN NEW; END'",
        "-c", "CREATE TRIGGER conta AFTER INSERT ON p FOR EACH ROW EXECUTE FUNCTION conta()",
        "-c", "COMMENT ON TRIGGER conta ON p IS 'conta'",
        "-c", "INSERT INTO p SELECT i, repeat('x', 200) FROM generate_series(0, 19999) i",
        "-c", "ALTER TABLE p ADD FOREIGN KEY (id) REFERENCES ref",
    )  # fmt: skip
    source = source_of(pg17, database.name, jobs=8)
    backup = back_up(source, store_in(tmp_path))
    for _ in range(2):
        assert bad(drill(backup, source, tmp_path).findings) == []


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_other_encodings(
    pg17: RunningServer, fresh_database: FreshDatabases, tmp_path: Path, encoding: str
) -> None:
    """A database in another encoding, with names and rows that are not ASCII, is backed up and drilled."""
    database = fresh_database(pg17)
    psql(pg17, "postgres", "-c", f'DROP DATABASE "{database.name}"',
         "-c", f"CREATE DATABASE \"{database.name}\" TEMPLATE template0 ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C'")  # fmt: skip
    psql(pg17, database.name, "-c", "SET client_encoding = 'UTF8'", "-c", 'CREATE TABLE "mês" ("preço" text)',
         "-c", "INSERT INTO \"mês\" VALUES ('ação'), ('coração')")  # fmt: skip
    source = source_of(pg17, database.name)
    backup = back_up(source, store_in(tmp_path))
    assert backup.manifest.measures.tables['public."mês"'].rows == 2
    assert bad(drill(backup, source, tmp_path).findings) == []
