"""Backups through a container: made, verified, drilled, restored, in every scope; whole or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ops.errors import OpsError, SourceError, ToolError
from ops.model.compare_measures import compare_measures
from ops.model.evidence import Level
from ops.model.findings import Severity, Verdict, worst
from ops.model.manifest import Payload
from ops.model.requests import KeptTarget, RestoreOptions
from ops.repository.catalog import read_catalogue
from ops.run.progress import silent
from ops.sources.postgres import source as source_module
from ops.sources.postgres.dump.archive import DUMP_FILE, list_entries
from ops.sources.postgres.restore.swap import swap_database
from ops.sources.postgres.restore.target import built_beside
from ops.sources.postgres.source import PostgresSource
from tests.containers import ENGINE_ENDED_FIRST, KEEPER_PASSWORD
from tests.sources.postgres.containers.conftest import (
    CLIENTS,
    EVERY_CLIENT,
    ContainerDatabase,
    NewDatabase,
)
from tests.sources.postgres.shop import back_up, bad, drill, restore, store_in, verify

pytestmark = [pytest.mark.containers, pytest.mark.long]


@pytest.fixture
def no_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine has no PostgreSQL at all."""
    monkeypatch.setattr(source_module, "discover", lambda *_: ())


def through(folder: Path, client: Sequence[str], script: str) -> tuple[str, ...]:
    """A `container_exec` that puts a shell script between us and the engine's client, which is `engine` in it."""
    path = folder / "between"
    path.write_text(f'#!/bin/sh\nengine() {{ {" ".join(client)} "$@"; }}\n{script}\n')
    path.chmod(0o755)
    return (str(path),)


@pytest.mark.parametrize("client", EVERY_CLIENT)
def test_every_feature_comes_back(featured: ContainerDatabase, tmp_path: Path, client: str) -> None:
    """A backup through each engine's client passes verify and a drill on this machine; nothing stays in the container."""
    source = featured.source(client)
    backup = back_up(source, store_in(tmp_path))
    assert backup.manifest.measures.tables['"Vendas"."Cliente Nº 1"'].rows == 300
    assert "container=" in backup.manifest.source.location
    assert verify(backup, source, tmp_path, Level.FULL).verdict is Verdict.PASSED
    evidence = drill(backup, source, tmp_path)
    assert bad(evidence.findings) == []
    assert evidence.verdict is Verdict.PASSED
    assert featured.server.processes() == []
    assert featured.server.sessions() == []


@pytest.mark.parametrize(
    "options",
    [
        {"scope": "schema"},
        {"scope": "data"},
        {"scope": "schemas", "schemas": ("Vendas", 'weird schema.with "dots"')},
        {"scope": "tables", "tables": ('"weird schema.with ""dots"""."a.b; DROP TABLE x"', "messung")},
        {"counts": "estimated"},
        {"digests": False, "compress": "0"},
        {"freshness": ('"Vendas".pedido.quando',), "role_passwords": True},
    ],
    ids=lambda options: next(iter(options.values())),
)
def test_scopes(featured: ContainerDatabase, tmp_path: Path, options: dict[str, Any]) -> None:
    """Each scope is backed up through the container and drills."""
    # What is said about large objects is in no archive that leaves them out.
    featured.run(
        "DO $$ DECLARE o oid; BEGIN FOR o IN SELECT oid FROM pg_largeobject_metadata LOOP"
        " EXECUTE format('COMMENT ON LARGE OBJECT %s IS NULL', o); END LOOP; END $$; ANALYZE"
    )
    source = featured.source(**options)
    backup = back_up(source, store_in(tmp_path))
    evidence = drill(backup, source, tmp_path)
    serious = [item for item in evidence.findings if item.code != "postgres.rows_estimated"]
    assert bad(tuple(serious)) == []
    assert evidence.verdict is Verdict.PASSED


def test_the_scope_that_needs_files(database: ContainerDatabase, tmp_path: Path) -> None:
    """A tenant's rows cannot be taken through a container, and that is said."""
    database.run("CREATE TABLE t (tenant_id int)")
    with pytest.raises(ToolError, match="tenant"):
        back_up(database.source(scope="tenant", tenant=1), store_in(tmp_path))
    assert database.server.processes() == []


def test_without_programs_here(featured: ContainerDatabase, tmp_path: Path, no_programs: None) -> None:
    """A machine without PostgreSQL makes the backup, and has no verdict about it."""
    source = featured.source()
    backup = back_up(source, store_in(tmp_path))
    evidence = verify(backup, source, tmp_path)
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert "tool.missing" in {finding.code for finding in evidence.findings}
    assert drill(backup, source, tmp_path).verdict is Verdict.INCONCLUSIVE


def test_the_same_table_of_contents(featured: ContainerDatabase, tmp_path: Path) -> None:
    """The container's pg_restore lists what the host's does; a folder it cannot read."""
    with featured.route() as route:
        archive = tmp_path / DUMP_FILE
        assert route.run("pg_dump", "--format=custom", stdout=archive).exit_code == 0
        inside = list_entries(route, archive)
        with pytest.raises(ToolError, match="no single file"):
            list_entries(route, tmp_path)
    assert inside == list_entries(featured.outside(), archive)
    assert len(inside) > 100


@pytest.mark.parametrize(("installed", "lost"), [(True, 1), (True, 20000), (False, 1)])
def test_an_archive_that_lost_its_end(
    featured: ContainerDatabase,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    installed: bool,
    lost: int,
) -> None:
    """An engine that hands over less than pg_dump wrote, and ends well, makes no backup."""
    if not installed:
        monkeypatch.setattr(source_module, "discover", lambda *_: ())
    script = f'case "$*" in *"pg_dump --snapshot"*) engine "$@" | head -c -{lost} ;; *) engine "$@" ;; esac'
    command = through(tmp_path, featured.server.host.clients["podman"], script)
    store = store_in(tmp_path)
    with pytest.raises(ToolError, match="did not come out of container 'petshop-db' whole"):
        back_up(featured.source(container_exec=command), store)
    assert read_catalogue(store).backups == ()


def test_globals_that_lost_their_end(database: ContainerDatabase, tmp_path: Path) -> None:
    """Roles that came out of the container in part are not kept, and that is a warning."""
    script = 'case "$*" in *pg_dumpall*) engine "$@" | head -c -40 ;; *) engine "$@" ;; esac'
    command = through(tmp_path, database.server.host.clients["podman"], script)
    backup = back_up(database.source(container_exec=command), store_in(tmp_path))
    assert "globals.sql" not in {Path(file.path).name for file in backup.manifest.files}
    with pytest.raises(ToolError, match="whole"), database.route(container_exec=command) as route:
        route.run("pg_dumpall", "--globals-only", stdout=tmp_path / "globals").require_success("globals")


def refusal(source: PostgresSource, folder: Path) -> SourceError:
    """The error of a backup that the server refuses; asked again where the engine's own end came before psql's words."""
    for _ in range(5):
        with pytest.raises(SourceError) as caught:
            back_up(source, store_in(folder))
        if not any(words in caught.value.message for words in ENGINE_ENDED_FIRST):
            break
    assert caught.value.code == "source.refused"
    return caught.value


@pytest.mark.parametrize("client", ["podman", "docker"])
def test_a_password(database: ContainerDatabase, tmp_path: Path, client: str) -> None:
    """A password that the server asks for is handed on, and stands in no argument, error or manifest."""
    (tmp_path / "password").write_text(KEEPER_PASSWORD + "\n")
    dsn = f"user=keeper dbname='{database.name}'"
    assert "no password supplied" in refusal(database.source(client, dsn=dsn), tmp_path).message
    source = database.source(client, dsn=dsn, password_file=tmp_path / "password")
    with source._route() as route, route.session() as session:
        session.rows("SELECT 1 AS n")
        lines = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):  # it has just ended
                lines.append(path.read_bytes())
        assert any(b"user='keeper'" in line for line in lines)
        assert not any(KEEPER_PASSWORD.encode() in line for line in lines)
    backup = back_up(source, store_in(tmp_path))
    assert verify(backup, source, tmp_path).verdict is Verdict.PASSED
    manifest = (tmp_path / "store" / f"{backup.name}.manifest.json").read_text()
    assert "$word" not in manifest
    (tmp_path / "password").write_text("wrong")
    assert "password authentication failed" in refusal(source, tmp_path).message


@pytest.mark.parametrize("client", CLIENTS)
def test_restore_into_the_container(
    featured: ContainerDatabase, new_database: NewDatabase, tmp_path: Path, client: str
) -> None:
    """A backup is built beside a database in the container, measures the same, and takes its place."""
    backup = back_up(featured.source(client), store_in(tmp_path))
    target = new_database()
    target.run("CREATE TABLE old (i int)")
    fetched = Payload(tmp_path / "store" / backup.name, tmp_path, backup.manifest)
    options = target.options(client)
    with (
        target.route(client) as route,
        built_beside(route, fetched, options, RestoreOptions(), silent) as built,
    ):
        assert bad((*built.findings, *built.check())) == []
        recorded = backup.manifest.measures
        assert worst(compare_measures(recorded, built.measure(recorded))) is not Severity.CRITICAL
        kept = KeptTarget(safety=None, damaged=f"{target.name} old")
        assert bad(tuple(swap_database(built, route, kept, exists=True))) == []
    assert target.server.ask('SELECT count(*) FROM "Vendas"."Cliente Nº 1"', target.name) == [(300,)]
    target.server.order(f'DROP DATABASE "{target.name} old"')
    assert target.server.processes() == []


def test_two_containers_are_two_places(database: ContainerDatabase) -> None:
    """What is shown of a source tells containers, compose projects and databases apart."""
    compose = ("docker", "compose", "-f", "a b.yml", "exec", "-T")
    places = [
        database.source().info.location,
        database.source(container="other").info.location,
        database.source(container="other", container_exec=compose).info.location,
        database.source(database="elsewhere").info.location,
    ]
    assert len(set(places)) == 4
    assert places[2].endswith("?container=other&project=a%20b.yml")
    assert os.fspath(database.server.host.folder) not in places[0]


def test_probe_and_estimate(featured: ContainerDatabase) -> None:
    """Doctor and dry runs have their answers through the container."""
    source = featured.source()
    assert source.probe().text.startswith("PostgreSQL 15.")
    assert source.estimate() > 100_000


def test_errors_stay_errors(database: ContainerDatabase) -> None:
    """A program that fails in the container says why, in its own words."""
    with database.route() as route:
        ran = route.run("pg_dump", "--format=custom", "--snapshot=nonsense")
        assert ran.exit_code == 1
        assert ran.program == "pg_dump"
        assert any("invalid snapshot identifier" in line for line in ran.messages)
        with pytest.raises(OpsError, match="folder of this machine"):
            route.run("psql", folder=Path("/tmp"))


def test_a_dropped_database_comes_back(database: ContainerDatabase, tmp_path: Path) -> None:
    """What was dropped in the container is restored there under its name."""
    database.run("CREATE TABLE t AS SELECT 1 AS x")
    source = database.source()
    backup = back_up(source, store_in(tmp_path))
    database.server.order(f'DROP DATABASE "{database.name}"')
    assert bad(restore(backup, source, tmp_path).findings) == []
    with database.route() as route, route.session() as session:
        assert session.rows("SELECT x FROM public.t") == [{"x": 1}]
