"""Releases that differ: the server was patched and the client programs or the scratch server were not, or the reverse.

Servers of November 2026 keep an option `pg_attver` on every column, which older clients write into the archive. Whether
one of them is installed here or not: the archives of these tests hold what such a client writes.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ops.actions.backup import take_backup
from ops.actions.begin_backup import BackupRequest
from ops.actions.doctor import Patient, examine
from ops.errors import ToolError
from ops.model.evidence import Evidence, Level
from ops.model.findings import Finding, Severity, Verdict
from ops.model.requests import Objectives, RestoreOptions
from ops.repository.backup import Backup
from ops.repository.repository import Repository
from ops.run.job import Job
from ops.sources.postgres.catalog.definitions.definitions import Definitions, read_definitions
from ops.sources.postgres.catalog.requirements import needs_of
from ops.sources.postgres.connect.address import parse_address
from ops.sources.postgres.connect.older_client import find_older_client
from ops.sources.postgres.connect.route import DirectRoute, Ran
from ops.sources.postgres.connect.session import Session
from ops.sources.postgres.dump import capture
from ops.sources.postgres.dump import pg_dump as dumping
from ops.sources.postgres.programs.release import Release
from ops.sources.postgres.restore import pg_restore
from ops.sources.postgres.restore.messages import Reading, read_messages
from ops.sources.postgres.restore.script import without_options
from ops.sources.postgres.server.server import RunningServer
from tests.sources.postgres.conftest import FreshDatabase, FreshDatabases
from tests.sources.postgres.shop import (
    back_up,
    bad,
    drill,
    dsn,
    fill_with_petshop,
    psql,
    restore,
    source_of,
    store_in,
    verify,
)

pytestmark = pytest.mark.long

# As long as what stands there in truth: texts in a table of contents have their length in front.
OWN_OPTION = (b"n_distinct=-0.5", b"pg_attver=12345")
UNKNOWN_SETTING = (b"default_statistics_target", b"drillbook_unknown_setting")
SCHEMA = """
CREATE TABLE plain (id integer PRIMARY KEY, name text);
CREATE TABLE "Odd; ""name"" x" ("a;b" integer, note text DEFAULT 'pg_attver=1');
CREATE TABLE parts (id integer, day date) PARTITION BY RANGE (id);
CREATE TABLE part PARTITION OF parts FOR VALUES FROM (0) TO (1000);
CREATE VIEW seen AS SELECT id FROM plain;
CREATE FUNCTION quotes() RETURNS text LANGUAGE sql AS $$ SELECT '
ALTER TABLE ONLY public.plain ALTER COLUMN id SET (pg_attver=1);
' $$;
ALTER TABLE plain ALTER id SET (n_distinct=-0.5);
ALTER TABLE plain ALTER name SET (n_distinct=-0.5, n_distinct_inherited=-0.25);
ALTER TABLE "Odd; ""name"" x" ALTER "a;b" SET (n_distinct=-0.5);
ALTER TABLE part ALTER id SET (n_distinct=-0.5);
INSERT INTO plain SELECT n, 'name ' || n FROM generate_series(1, 50) n;
INSERT INTO parts SELECT n, current_date FROM generate_series(1, 40) n;
COMMENT ON TABLE plain IS 'a comment';
"""


@pytest.fixture
def written_by_older(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Has the next dumps hold what an older client, or a later server, would have put there."""

    def change(*pairs: tuple[bytes, bytes]) -> None:
        dump = dumping.Dumping.dump

        def changed(self: dumping.Dumping, session: object, snapshot: object) -> list[Finding]:
            said = dump(self, session, snapshot)  # type: ignore[arg-type]
            for table in [*self.into.rglob("toc.dat"), *self.into.glob("*.dump")]:
                content = table.read_bytes()
                for real, other in pairs:
                    assert content.count(real), real
                    content = content.replace(real, other)
                table.write_bytes(content)
            return said

        monkeypatch.setattr(dumping.Dumping, "dump", changed)
        monkeypatch.setattr(capture, "read_definitions", lambda session: without(session, pairs))

    def without(session: Session, pairs: tuple[tuple[bytes, bytes], ...]) -> Definitions:
        """What the source would say, where the server keeps those options for itself."""
        found = read_definitions(session)
        columns = dict(found.groups["column"])
        for real, _ in pairs:
            for name, text in columns.items():
                shorter = text.replace(f"options={real.decode()}, ", "options=")
                columns[name] = shorter.replace(f" options={real.decode()}", "")
        return replace(found, groups={**found.groups, "column": columns})

    return change


@pytest.fixture
def later_release(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has manifests say that the source's server is of a later minor release than any."""
    monkeypatch.setattr(capture, "_dotted", lambda version: f"{version // 10000}.99")


@pytest.fixture
def filled(pg15: RunningServer, fresh_database: FreshDatabases) -> FreshDatabase:
    """A small database on the oldest server."""
    database = fresh_database(pg15)
    psql(pg15, database.name, "-c", SCHEMA)
    return database


def file_with(folder: Path, script: str) -> Path:
    """A script that is too long for an argument."""
    path = folder / "script.sql"
    path.write_text(script)
    return path


def left_out(evidence: Evidence) -> list[str]:
    """What was left out, one text a kind."""
    return [item.message for item in evidence.findings if item.code == "postgres.left_out"]


class TestOptionsOfTheServersOwn:
    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"format": "custom"},
            {"jobs": 1},
            {"scope": "schema"},
            {"scope": "tables", "tables": ("plain", "parts", "part")},
        ],
        ids=lambda options: str(options.get("scope", options)),
    )
    def test_do_not_turn_a_backup_red(
        self,
        filled: FreshDatabase,
        pg17: RunningServer,
        tmp_path: Path,
        written_by_older: Callable[..., None],
        options: dict[str, object],
    ) -> None:
        """A backup that holds them drills on a server of any release, with one finding for all of them."""
        written_by_older(OWN_OPTION)
        source = source_of(filled.server, filled.name, pg_bindir=pg17.programs.bindir, **options)
        backup = back_up(source, store_in(tmp_path))
        for scratch in (filled.server, pg17):
            given = replace(source, options=replace(source.options, scratch=dsn(scratch, "")))
            evidence = drill(backup, given, tmp_path)
            assert bad(evidence.findings) == [], scratch.programs.version
            assert evidence.verdict is Verdict.PASSED
            (said,) = left_out(evidence)
            # Four as they are made here; a server that has the option keeps one for each of the twelve columns.
            assert said.startswith(("4 column options pg_attver were", "12 column options pg_attver were"))

    @pytest.mark.needs_root
    @pytest.mark.parametrize("fits", ["nothing", "the script alone"])
    def test_on_a_disk_too_small_for_the_script(
        self,
        filled: FreshDatabase,
        pg17: RunningServer,
        tmp_path: Path,
        small_disk: Callable[[int], Path],
        written_by_older: Callable[..., None],
        monkeypatch: pytest.MonkeyPatch,
        fits: str,
    ) -> None:
        """A full temporary directory of this machine is space.disk_full, and no word about the backup or the server."""
        written_by_older(OWN_OPTION)
        body = "x" * 400_000
        psql(filled.server, filled.name, "-f", str(file_with(tmp_path, f"COMMENT ON TABLE part IS '{body}'")))
        source = source_of(filled.server, filled.name, pg_bindir=pg17.programs.bindir)
        backup = back_up(source, store_in(tmp_path))
        disk = small_disk(200_000 if fits == "nothing" else 450_000)
        monkeypatch.setattr(tempfile, "tempdir", str(disk))
        if fits != "nothing":
            monkeypatch.setattr(
                pg_restore, "without_options", lambda *given: without_options(*given) + b"-" * 400_000
            )
        evidence = drill(backup, source, tmp_path)
        assert evidence.verdict is Verdict.INCONCLUSIVE
        (finding,) = [item for item in evidence.findings if item.blocking]
        assert (finding.code, "server" in finding.message) == ("space.disk_full", False)
        assert list(disk.iterdir()) == []

    def test_leave_what_an_operator_set(
        self,
        filled: FreshDatabase,
        pg17: RunningServer,
        tmp_path: Path,
        written_by_older: Callable[..., None],
    ) -> None:
        """Options beside them, comments, and a function that quotes such a statement come back as they were."""
        written_by_older(OWN_OPTION)
        source = source_of(filled.server, filled.name, pg_bindir=pg17.programs.bindir)
        backup = back_up(source, store_in(tmp_path))
        restore(backup, source, tmp_path, to=f"{filled.name}_beside")
        beside = f"{filled.name}_beside"
        options = psql(
            filled.server,
            beside,
            "-c",
            "SELECT array_to_string(attoptions, ' ') FROM pg_attribute WHERE attrelid = 'plain'::regclass AND attname = 'name'",
        )
        assert "n_distinct_inherited=-0.25" in options
        assert "12345" not in options
        assert psql(filled.server, beside, "-c", "SELECT position('(pg_attver=1)' IN quotes())") > "0"
        assert psql(filled.server, beside, "-c", "SELECT obj_description('plain'::regclass)") == "a comment"
        psql(filled.server, "postgres", "-c", f'DROP DATABASE "{beside}"')

    def test_go_when_only_the_schema_is_restored(
        self,
        filled: FreshDatabase,
        pg17: RunningServer,
        tmp_path: Path,
        written_by_older: Callable[..., None],
    ) -> None:
        """A restore of the schema alone leaves them out, and its tables are empty."""
        written_by_older(OWN_OPTION)
        source = source_of(filled.server, filled.name, pg_bindir=pg17.programs.bindir)
        backup = back_up(source, store_in(tmp_path))
        beside = f"{filled.name}_schema"
        done = restore(backup, source, tmp_path, to=beside, schema_only=True)
        assert bad(done.findings) == []
        assert psql(filled.server, beside, "-c", "SELECT count(*) FROM plain") == "0"
        psql(filled.server, "postgres", "-c", f'DROP DATABASE "{beside}"')

    def test_are_looked_for_only_where_the_client_may_be_older(
        self, filled: FreshDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A client of the server's own release knows what to leave out: its archives go no way through a script."""
        looked: list[bytes] = []

        def looking(script: bytes) -> dict[str, int]:
            looked.append(script)
            return {}

        monkeypatch.setattr(pg_restore, "own_options", looking)
        source = source_of(filled.server, filled.name, pg_bindir=filled.server.programs.bindir)
        evidence = drill(back_up(source, store_in(tmp_path)), source, tmp_path)
        assert evidence.verdict is Verdict.PASSED, bad(evidence.findings)
        assert looked == []

    def test_are_not_compared(self, filled: FreshDatabase, tmp_path: Path) -> None:
        """Two copies of one database measure alike, whatever number the server put on their columns."""
        source = source_of(filled.server, filled.name)
        backup = back_up(source, store_in(tmp_path))
        assert "pg_attver" not in str(backup.manifest)
        psql(filled.server, filled.name, "-c", "ALTER TABLE plain ALTER name TYPE text")
        again = back_up(source, store_in(tmp_path / "again"))
        assert again.manifest.measures.facts == backup.manifest.measures.facts


class TestUnknownToTheServer:
    def backup_of_later(self, database: FreshDatabase, folder: Path, **options: object) -> Backup:
        """A backup with a function whose setting no server has."""
        psql(
            database.server,
            database.name,
            "-c",
            "CREATE FUNCTION sets() RETURNS integer LANGUAGE sql SET default_statistics_target = 100 AS 'SELECT 1';"
            "CREATE TABLE needs (a integer DEFAULT sets())",
        )
        return back_up(source_of(database.server, database.name, **options), store_in(folder))

    @pytest.mark.usefixtures("later_release")
    def test_is_no_verdict_about_the_backup(
        self, filled: FreshDatabase, tmp_path: Path, written_by_older: Callable[..., None]
    ) -> None:
        """What a server of an older release does not take leaves a drill without a verdict, which names the release."""
        written_by_older(UNKNOWN_SETTING)
        backup = self.backup_of_later(filled, tmp_path)
        given = source_of(filled.server, filled.name, scratch=dsn(filled.server, ""))
        for evidence in (drill(backup, given, tmp_path), verify(backup, given, tmp_path, Level.FULL)):
            assert evidence.verdict is Verdict.INCONCLUSIVE
            (finding,) = [item for item in evidence.findings if item.code == "tool.other_release"]
            assert "15.99" in finding.message
            assert "drillbook_unknown_setting" in finding.message

    @pytest.mark.usefixtures("later_release")
    def test_a_restore_is_refused(
        self, filled: FreshDatabase, tmp_path: Path, written_by_older: Callable[..., None]
    ) -> None:
        """A restore to such a server ends with that error, and the live database is as it was."""
        written_by_older(UNKNOWN_SETTING)
        backup = self.backup_of_later(filled, tmp_path)
        source = source_of(filled.server, filled.name)
        with pytest.raises(ToolError, match=r"15\.99.*drillbook_unknown_setting") as caught:
            restore(backup, source, tmp_path, options=RestoreOptions())
        assert caught.value.code == "tool.other_release"
        assert psql(filled.server, filled.name, "-c", "SELECT count(*) FROM plain") == "50"

    def test_fails_on_the_very_release(
        self, filled: FreshDatabase, tmp_path: Path, written_by_older: Callable[..., None]
    ) -> None:
        """The release of the source must take its own backup: there it is a failure of the backup."""
        written_by_older(UNKNOWN_SETTING)
        backup = self.backup_of_later(filled, tmp_path)
        given = source_of(filled.server, filled.name, scratch=dsn(filled.server, ""))
        assert drill(backup, given, tmp_path).verdict is Verdict.FAILED

    @pytest.mark.parametrize(
        ("source", "server", "said", "decides"),
        [
            ("15.20", "15.18", 'unrecognized configuration parameter "x"', False),
            ("15.20", "15.18", 'syntax error at or near "NULLS"', False),
            ("17.2", "15.18", "function any_value(integer) does not exist", False),
            ("17.2", "15.18", 'access method "later" does not exist', False),
            ("15.20", "17.10", 'unrecognized parameter "x"', False),
            ("15.18", "15.20", "expression has pseudo-type record", False),
            ("15.20", "15.20", 'unrecognized parameter "x"', True),
            ("15.18", "15.20", 'unrecognized parameter "x"', True),
            ("15.20", "17.10", 'syntax error at or near "x"', True),
            ("15.20", "15.18", 'relation "public.t" does not exist', True),
            ("15.20", "15.18", "function public.mine(integer) does not exist", True),
            ("15.20", "15.18", 'duplicate key value violates unique constraint "k"', True),
        ],
    )
    def test_what_another_release_explains(self, source: str, server: str, said: str, decides: bool) -> None:
        """Only what the other release does not know, or refuses, leaves it open; every other error decides."""
        ran = Ran("pg_restore", 1, (f"pg_restore: error: could not execute query: ERROR:  {said}",))
        reading = Reading(source=Release.parse(source), server=Release.parse(server))
        if decides:
            assert [item.severity for item in read_messages(ran, reading)] == [Severity.CRITICAL]
            return
        with pytest.raises(ToolError, match=source) as caught:
            read_messages(ran, reading)
        assert caught.value.code == "tool.other_release"

    def test_an_allowed_error_leaves_nothing_open(self) -> None:
        """What the operator allows with a reason is neither a failure nor a question."""
        ran = Ran("pg_restore", 1, ('pg_restore: error: ERROR:  unrecognized parameter "x"',))
        reading = Reading({"unrecognized": "known"}, Release(15, 20), Release(15, 18))
        assert [item.code for item in read_messages(ran, reading)] == ["postgres.error_allowed"]

    def test_a_command_of_newer_scripts_is_left_out(self) -> None:
        r"""An older psql does not know \restrict, which protects the machine that runs a script: that is no error."""
        lines = tuple(
            f"psql:<stdin>:{n}: error: invalid command \\{word}"
            for n, word in ((5, "restrict"), (9, "unrestrict"))
        )
        (finding,) = read_messages(Ran("psql", 0, lines), Reading())
        assert (finding.severity, finding.code) == (Severity.OK, "postgres.newer_client")
        (finding,) = read_messages(
            Ran("psql", 0, ("psql:<stdin>:5: error: invalid command \\restricted",)), Reading()
        )
        assert finding.severity is Severity.CRITICAL

    def test_an_error_of_a_script_names_its_entry(self) -> None:
        """The line that psql names leads to the entry that stands there."""
        ran = Ran("psql", 0, ("psql:<stdin>:12: ERROR:  no such thing",))
        reading = Reading(entries=[(2, "TABLE public a"), (10, "TABLE public b"), (20, "TABLE public c")])
        assert [item.where for item in read_messages(ran, reading)] == ["TABLE public b"]


class Answering:
    """A session with a server of another major version that keeps one option for itself."""

    version = 150000
    warnings = ()

    def __init__(self, option: str) -> None:
        self._option = option

    def rows(self, sql: str) -> list[dict[str, object]]:
        """The names of the server's own options."""
        return [{"name": self._option}]

    def run(self, sql: str) -> None:
        """Not asked for."""
        raise AssertionError(sql)

    def cancel(self) -> None:
        """Not asked for."""
        raise AssertionError


class TestAnOlderClient:
    def test_is_told_once_and_recorded(
        self, filled: FreshDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The backup is fine: the finding names both releases and what to install, and the manifest keeps it."""
        monkeypatch.setattr(Release, "of_server", classmethod(lambda cls, number: cls(number // 10000, 99)))
        taken = take_backup(
            source_of(filled.server, filled.name, pg_bindir=filled.server.programs.bindir),
            Repository(store=store_in(tmp_path)),
            BackupRequest(),
            Job(),
        )
        (finding,) = [item for item in taken.findings if item.code == "postgres.older_client"]
        assert finding.severity is Severity.OK
        assert finding.expected == "15.99"
        assert f"{finding.found}." in f"{filled.server.programs.version}."
        assert "postgresql-client-15" in finding.message
        assert needs_of(taken.backup.manifest.extra).client_older

    def test_is_a_warning_of_doctor(
        self, filled: FreshDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Only doctor warns, of the client and of the server that drills would use."""
        source, store = (
            source_of(filled.server, filled.name, pg_bindir=filled.server.programs.bindir),
            store_in(tmp_path),
        )
        patient = Patient(source, Repository(store=store), Objectives(), None)
        monkeypatch.setattr(capture, "_dotted", lambda version: f"{version // 10000}.99")
        back_up(source, store)
        monkeypatch.setattr(Release, "of_server", classmethod(lambda cls, number: cls(number // 10000, 99)))
        found = {item.code: item.severity for item in examine(patient, tmp_path, datetime.now(UTC))}
        assert found["postgres.older_client"] is Severity.WARNING
        assert found["postgres.older_server"] is Severity.WARNING

    def test_of_another_major_version_is_told_by_what_it_knows(
        self, filled: FreshDatabase, pg17: RunningServer
    ) -> None:
        """Releases of two major versions cannot be compared; whether pg_dump knows the server's options can."""
        route = DirectRoute(parse_address(dsn(filled.server, filled.name)), pg17.programs)
        assert find_older_client(route, Answering("pg_catalog")) == []
        (finding,) = find_older_client(route, Answering("pg_no_dump_knows_this"))
        assert "pg_no_dump_knows_this" in finding.message

    def test_every_option_that_a_server_keeps_begins_alike(
        self, pg15: RunningServer, fresh_database: FreshDatabases, tmp_path: Path
    ) -> None:
        """The options that this server keeps are the server's own: a query over its catalog finds no other prefix."""
        database = fresh_database(pg15)
        fill_with_petshop(pg15, database.name)
        names = psql(
            pg15,
            database.name,
            "-c",
            "SELECT DISTINCT split_part(o, '=', 1) FROM pg_attribute, unnest(attoptions) o ORDER BY 1",
        ).split()
        release = Release.parse(pg15.programs.version)
        assert ("pg_attver" in names) is release.includes(Release(15, 20))
        assert [name for name in names if not name.startswith(("pg_", "n_distinct"))] == []


def test_releases_are_compared_within_a_major_version() -> None:
    """15.20 includes 15.18 and not the reverse; 17.10 includes neither, and is not older."""
    old, new, other = (
        Release.parse("15.18 (Debian 15.18-0)"),
        Release.of_server(150020),
        Release.parse("17.10"),
    )
    assert new.includes(old)
    assert new.includes(new)
    assert not old.includes(new)
    assert not other.includes(old)
    assert old.is_older(new)
    assert old.is_older(other)
    assert not other.is_older(new)
    assert str(Release.parse("19beta1")) == "19.0"
    with pytest.raises(ValueError, match="devel"):
        Release.parse("devel")
