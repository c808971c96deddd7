"""A server that refuses to be loaded says nothing about the backup: no verdict, and the reason."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ops.errors import ConfigError, RefusedError, ToolError
from ops.fsio.scratch import scratch_folder
from ops.model.evidence import Evidence
from ops.model.findings import Verdict
from ops.repository.backup import Backup
from ops.sources.postgres.catalog.requirements import needs_of
from ops.sources.postgres.connect.address import parse_address
from ops.sources.postgres.connect.route import DirectRoute, Ran
from ops.sources.postgres.connect.session import ENGLISH
from ops.sources.postgres.dump.archive import Entry, attaches, list_entries
from ops.sources.postgres.restore.messages import Reading, read_messages
from ops.sources.postgres.restore.prerequisites import target_address
from ops.sources.postgres.restore.role import Role, role_of
from ops.sources.postgres.server.server import RunningServer, scratch_server
from tests.sources.postgres.conftest import require_programs, serving
from tests.sources.postgres.shop import back_up, bad, drill, dsn, psql, restore, source_of, store_in

pytestmark = pytest.mark.long

_FULL = "No space left on device|Check free disk space"
SHOP = """
CREATE TABLE items (id integer, day date NOT NULL) PARTITION BY RANGE (day);
CREATE TABLE items_1 PARTITION OF items FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
CREATE TABLE items_2 PARTITION OF items FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
CREATE TABLE items_3 PARTITION OF items FOR VALUES FROM ('2026-03-01') TO ('2026-04-01');
ALTER TABLE items ADD PRIMARY KEY (id, day);
CREATE INDEX items_day ON items (day);
CREATE INDEX items_both ON items (day, id);
INSERT INTO items SELECT n, date '2026-01-01' + n % 80 FROM generate_series(1, 200) n;
CREATE TABLE notes (id integer PRIMARY KEY, item integer, day date, FOREIGN KEY (item, day) REFERENCES items);
"""
EVENT_TRIGGER = """
CREATE FUNCTION hush() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE EVENT TRIGGER hush ON ddl_command_end EXECUTE FUNCTION hush();
"""
POLICY = """
CREATE TABLE items (id integer PRIMARY KEY);
CREATE POLICY own ON items TO "the reader's" USING (id > 1);
"""
ROLES = """
CREATE ROLE nothing LOGIN;
CREATE ROLE reader LOGIN SUPERUSER;
ALTER ROLE reader SET default_transaction_read_only = on;
CREATE ROLE maker LOGIN CREATEDB;
CREATE ROLE abroad LOGIN SUPERUSER;
ALTER ROLE abroad SET lc_messages = 'C.UTF-8';
CREATE ROLE stranger LOGIN CREATEDB;
ALTER ROLE stranger SET lc_messages = 'C.UTF-8';
"""


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    """A server with a shop, and roles that may not do everything."""
    with serving(15) as running:
        psql(running, "postgres", "-c", "CREATE DATABASE shop")
        psql(running, "shop", "-c", SHOP)
        psql(running, "postgres", "-c", ROLES)
        yield running


@pytest.fixture
def backup(server: RunningServer, tmp_path: Path) -> Backup:
    """A good backup of it."""
    return back_up(source_of(server, "shop"), store_in(tmp_path))


def inconclusive(evidence: Evidence, said: str) -> None:
    """The drill has no verdict, and says why."""
    assert evidence.verdict is Verdict.INCONCLUSIVE
    (finding,) = [item for item in evidence.findings if item.blocking]
    assert re.search(said.replace("(scratch)", r"\(scratch\)"), finding.message), finding.message


@pytest.mark.parametrize(
    ("role", "said"),
    [
        ("nothing", "permission denied to create database"),
        ("reader", "read-only transaction"),
        ("nobody", 'role "nobody" does not exist'),
    ],
)
def test_a_drill_on_a_server_that_refuses(
    server: RunningServer, backup: Backup, tmp_path: Path, role: str, said: str
) -> None:
    """A role without the right, one that may only read, and one that is not there: inconclusive."""
    given = source_of(server, "shop", scratch=dsn(server, "", role))
    inconclusive(drill(backup, given, tmp_path), f"(scratch) cannot be used: .*{said}")


def test_a_drill_on_a_server_that_is_not_there(server: RunningServer, backup: Backup, tmp_path: Path) -> None:
    """The message does not say that it answered before."""
    given = source_of(server, "shop", scratch=f"postgresql:///?host={tmp_path}&port=1")
    inconclusive(drill(backup, given, tmp_path), "(scratch) cannot be used: .*No such file")


@pytest.mark.needs_root
def test_a_server_without_room_for_a_database(
    backup: Backup, server: RunningServer, small_disk: Callable[[int], Path], tmp_path: Path
) -> None:
    """A server whose disk is full when the database is to be made: a drill has no verdict, and a restore is not begun."""
    disk = small_disk(90 << 20)
    disk.chmod(0o755)
    with scratch_folder(disk) as folder, scratch_server(require_programs(15), folder) as full:
        free = os.statvfs(disk)
        (disk / "ballast").write_bytes(bytes(max(0, free.f_bavail * free.f_frsize - (1 << 20))))
        inconclusive(
            drill(backup, source_of(server, "shop", scratch=dsn(full, "")), tmp_path),
            _FULL,
        )
        with pytest.raises(RefusedError, match="twice the database"):
            restore(backup, source_of(server, "shop"), tmp_path, to=dsn(full, "other"))


def test_what_only_a_superuser_may_load(server: RunningServer, tmp_path: Path) -> None:
    """A role that may create databases and no event trigger: inconclusive, not a bad backup."""
    psql(server, "postgres", "-c", "CREATE DATABASE hushed")
    psql(server, "hushed", "-c", EVENT_TRIGGER)
    try:
        source = source_of(server, "hushed", scratch=dsn(server, "", "maker"))
        evidence = drill(back_up(source, store_in(tmp_path)), source, tmp_path)
        inconclusive(evidence, "our role on the server may not load .*(permission denied|must be member)")
    finally:
        psql(server, "postgres", "-c", "DROP DATABASE hushed")


def test_a_policy_for_a_role_that_the_server_lacks(server: RunningServer, tmp_path: Path) -> None:
    """Owners and rights can be left away, what a policy names cannot: inconclusive, with the role's name."""
    with serving(15) as other:
        psql(other, "postgres", "-c", 'CREATE ROLE "the reader\'s"', "-c", "CREATE DATABASE guarded")
        psql(other, "guarded", "-c", POLICY)
        source = source_of(other, "guarded", scratch=dsn(server, ""))
        evidence = drill(back_up(source, store_in(tmp_path)), source, tmp_path)
    inconclusive(evidence, "lacks a role of the source, .*the reader's")


def test_a_restore_to_a_server_that_refuses(server: RunningServer, backup: Backup, tmp_path: Path) -> None:
    """It is the server that is named, not the backup; and the looks before find it."""
    source = source_of(server, "shop")
    with pytest.raises(RefusedError, match="default_transaction_read_only") as caught:
        restore(backup, source, tmp_path, to=dsn(server, "other", "reader"))
    assert caught.value.code == "refused.prerequisites"
    with pytest.raises(RefusedError, match="may not create databases") as other:
        restore(backup, source, tmp_path, to=dsn(server, "other", "nothing"))
    assert other.value.code == "refused.prerequisites"


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, tuple[str, ...], str, str]]:
    """Each client program that is run from now on: its name, arguments, options of its sessions, and its list of entries."""
    seen = []
    really = DirectRoute.run

    def run(self: DirectRoute, program: str, *arguments: str, **more: Any) -> Ran:  # noqa: ANN401 - files
        lists = [
            Path(one.partition("=")[2]).read_text() for one in arguments if one.startswith("--use-list=")
        ]
        options = dict(self.address.parameters).get("options", "")
        seen.append((program, arguments, options, "".join(lists)))
        return really(self, program, *arguments, **more)

    monkeypatch.setattr(DirectRoute, "run", run)
    return seen


@pytest.mark.parametrize("scope", ["full", "tables"])
def test_indexes_are_attached_one_after_the_other(
    server: RunningServer, tmp_path: Path, scope: str, ran: list[tuple[str, tuple[str, ...], str, str]]
) -> None:
    """By one job, behind the run that makes the indexes, before the run that makes keys to the partitioned table."""
    options = {"scope": scope, **({"tables": ("public.items", "public.notes")} if scope == "tables" else {})}
    source = source_of(server, "shop", jobs=8, **options)
    backup = back_up(source, store_in(tmp_path))
    archive = next(
        path for path in (tmp_path / "store" / backup.name).iterdir() if (path / "toc.dat").exists()
    )
    if scope == "tables":
        archive = archive.with_name("schema")
    with source._route() as route:
        kinds = {f"{entry.id};": entry.rest for entry in list_entries(route, archive)}
    ran.clear()
    evidence = drill(backup, source, tmp_path)
    assert evidence.verdict is Verdict.PASSED, bad(evidence.findings)
    turns = [
        (arguments, [kinds[line] for line in chosen.split()])
        for program, arguments, _, chosen in ran
        if program == "pg_restore" and chosen
    ]
    (making, first), (attaching, second), (_, third) = turns
    assert "--jobs=8" in making
    assert any(entry.startswith("INDEX ") for entry in first)
    assert not any(attaches(Entry(0, entry)) for entry in (*first, *third))
    assert "--jobs=1" in attaching
    assert len(second) == 9
    assert all(attaches(Entry(0, entry)) for entry in second)
    assert any(entry.startswith("FK CONSTRAINT ") for entry in third)


def test_attaching() -> None:
    """As pg_restore lists it."""
    assert attaches(Entry(1, "INDEX ATTACH public items_1_day_idx postgres"))
    assert not attaches(Entry(2, "TABLE ATTACH public items_1 postgres"))
    assert not attaches(Entry(3, "INDEX public items_day postgres"))


@pytest.mark.parametrize(
    "line",
    [
        "psql:<stdin>:12: FEHLER:  Relation »shop« existiert nicht",
        "pg_restore: error: could not execute query: ERREUR:  la relation « shop » n'existe pas",
        'psql:<stdin>:12: ОШИБКА:  отношение "shop" не существует',
    ],
)
def test_errors_in_another_language_are_errors(line: str) -> None:
    """They are not passed over, and make no verdict: whether they concern the backup cannot be read."""
    with pytest.raises(ToolError, match="language that is not read here"):
        read_messages(Ran("psql", 0, (line,)), Reading())


def test_errors_of_a_server_whose_word_for_error_is_english() -> None:
    """Spanish says ERROR too; the setting tells."""
    line = "pg_restore: error: could not execute query: ERROR:  no existe la relación «shop»"
    with pytest.raises(ToolError, match="lc_messages = es_ES"):
        read_messages(
            Ran("pg_restore", 1, (line,)), Reading(role=Role(superuser=False, language="es_ES.UTF-8"))
        )
    (finding,) = read_messages(Ran("pg_restore", 1, (line,)), Reading())
    assert finding.code == "postgres.restore_error"


@pytest.mark.parametrize("word", ["NOTICE", "WARNING", "INFO", "LOG", "DEBUG"])
def test_what_is_no_error(word: str) -> None:
    """What psql quotes of a server besides is no finding."""
    assert read_messages(Ran("psql", 0, (f"psql:<stdin>:3: {word}:  something",)), Reading()) == []


@pytest.mark.parametrize(("role", "asked"), [("abroad", True), ("stranger", False)])
def test_a_superuser_is_answered_in_english(
    server: RunningServer,
    tmp_path: Path,
    role: str,
    asked: bool,
    ran: list[tuple[str, tuple[str, ...], str, str]],
) -> None:
    """Sessions and programs that load a copy ask for it; a role that may not is left as it is, and can still load."""
    psql(server, "postgres", "-c", f"CREATE DATABASE of_{role} OWNER {role}")
    try:
        psql(server, f"of_{role}", "-c", f"SET ROLE {role}; CREATE TABLE items (id integer PRIMARY KEY)")
        source = source_of(
            server, f"of_{role}", scratch=dsn(server, "", role), pg_bindir=server.programs.bindir
        )
        backup = back_up(source, store_in(tmp_path))
        ran.clear()
        evidence = drill(backup, source, tmp_path)
        assert evidence.verdict is Verdict.PASSED, bad(evidence.findings)
        loading = [options for program, _, options, _ in ran if program in {"pg_restore", "psql"}]
        assert loading
        assert all((ENGLISH in options) is asked for options in loading)
        with source.at(dsn(server, "shop", role))._route() as route, route.session() as session:
            (row,) = session.rows("SELECT current_setting('lc_messages') AS language")
            assert row["language"] == ("C" if asked else "C.UTF-8")
            found = role_of(session, needs_of(backup.manifest.extra))
            assert found == Role(superuser=asked)
    finally:
        psql(server, "postgres", "-c", f"DROP DATABASE of_{role}")


@pytest.mark.parametrize(
    "to", ["n" * 64, "ü" * 32, f"postgresql:///{'n' * 64}", "db\udce9", "postgresql:///db\udce9"]
)
def test_names_that_no_database_can_have(to: str) -> None:
    """Longer than PostgreSQL keeps, or not UTF-8: refused before anything is asked."""
    with pytest.raises(ConfigError, match=r"--to|at most 63 bytes") as caught:
        target_address(parse_address("postgresql:///shop"), to)
    assert caught.value.code == "usage.bad_value"
    caught.value.message.encode()


@pytest.mark.parametrize("to", ["/srv/restored.db", "./restored", "some/path", "new/", "~", "C:\\new", "."])
def test_paths_are_no_databases(to: str) -> None:
    """A path would become the name of a new database; one that is really called so is written as an address."""
    with pytest.raises(ConfigError, match="is a path, not a database") as caught:
        target_address(parse_address("postgresql:///shop"), to)
    assert caught.value.code == "usage.bad_value"
    assert target_address(parse_address("postgresql:///shop"), "postgresql:///%2Fodd").database == "/odd"


def test_a_rehearsal_over_template1_is_refused(server: RunningServer) -> None:
    """What --dry-run promises is what --yes does."""
    source = source_of(server, "template1")
    with (
        source.target(None) as target,
        pytest.raises(RefusedError, match="template1 is what CREATE DATABASE copies"),
    ):
        target.plan(None, None, "local")  # type: ignore[arg-type]
