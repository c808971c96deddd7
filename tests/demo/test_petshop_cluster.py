"""The demo's PostgreSQL part: the recorded rows, never half built, never somebody else's, and no error where it cannot be."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from ops.demo import catalogue, cluster
from ops.demo.catalogue import DemoCatalogue, build_demo
from ops.demo.cluster import NoServerError, find_server
from ops.demo.petshop import PetshopScript, petshop_checks
from ops.errors import OpsError, RefusedError, ToolError
from ops.report.outcome import Outcome
from ops.sources.postgres.programs.discover import discover
from ops.sources.postgres.programs.installation import Programs
from ops.sources.postgres.server import run_as as privileges
from ops.sources.postgres.server.server import running_cluster
from ops.tasks import demo as examining
from ops.tasks.commands import Demo
from tests.conftest import CONSOLE, run_drillbook
from tests.demo.test_petshop import CONTENT
from tests.petshop_server import Server, broken_checks

pytestmark = [pytest.mark.alone, pytest.mark.long]

DATABASE = "petshop_db"
ROOT = Path(__file__).resolve().parents[2]
FIRST_STEPS = ["PG_VERSION", "postmaster.pid"]
"""Files whose appearance tells that initdb is at work, and that the new server is."""


@pytest.fixture(scope="session")
def programs() -> Programs:
    """What the demo's cluster is built with; without it tests are skipped, and fail where CI=true."""
    try:
        return find_server(os.environ)
    except NoServerError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(error.reason)
        pytest.skip(error.reason)


@pytest.fixture(scope="session")
def built(programs: Programs, tmp_path_factory: pytest.TempPathFactory) -> DemoCatalogue:
    """A demo with its pet shop, which no test changes."""
    before = os.umask(0)
    try:
        return build_demo(tmp_path_factory.mktemp("petshop") / "demo")
    finally:
        os.umask(before)


@pytest.fixture
def own(built: DemoCatalogue, tmp_path: Path) -> Path:
    """The folder of a demo that the test may change."""
    shutil.copytree(built.folder, tmp_path / "demo")
    return tmp_path / "demo"


@contextmanager
def serving(programs: Programs, folder: Path) -> Iterator[Server]:
    """The running pet shop of the demo in `folder`."""
    with running_cluster(programs, folder / "petshop") as running:
        yield Server(programs.bindir, running.socket_dir)


def content(programs: Programs, folder: Path) -> str:
    """One digest of all rows of the pet shop in `folder`."""
    with serving(programs, folder) as server:
        return server.content(DATABASE)


def names(folder: Path) -> set[str]:
    """What lies in a demo's folder, without the log of a server that was started since."""
    return {path.name for path in folder.iterdir()} - {"petshop.log"}


WHOLE = {".drillbook-demo", "dados", "ops.toml", "petshop"}


class TestBuild:
    def test_holds_the_recorded_rows(self, programs: Programs, built: DemoCatalogue) -> None:
        """Every row is the one that was recorded, nothing is wrong with the shop, and the counts are right."""
        with serving(programs, built.folder) as server:
            assert server.content(DATABASE) == CONTENT
            with closing(server.connect(DATABASE)) as connection:
                assert broken_checks(connection) == set()
            shop = built.databases[-1]
            assert (shop.source, shop.path.name, shop.name) == ("petshop", "petshop", DATABASE)
            for table, rows in shop.rows.items():
                assert server.ask(DATABASE, f"SELECT count(*) FROM {table}") == [(rows,)]
            assert sum(shop.rows.values()) > 7000
        assert built.left_out == ()

    def test_is_private_and_without_leftovers(self, built: DemoCatalogue) -> None:
        """Under umask 0 every folder is 0700 and every file 0600, and nothing temporary stays."""
        assert names(built.folder) == WHOLE
        for path in (built.folder, *built.folder.rglob("*")):
            expected = 0o700 if path.is_dir() else 0o600
            assert stat.S_IMODE(path.stat().st_mode) == expected, path

    def test_can_be_started_by_hand(self, built: DemoCatalogue) -> None:
        """The cluster's own configuration names the place where it lies now, and no TCP."""
        settings = (built.folder / "petshop" / "postgresql.conf").read_text()
        assert ".tmp-" not in settings
        assert "listen_addresses = ''\n" in settings

    def test_rebuild_gives_the_same_and_keeps_the_rest(self, programs: Programs, own: Path) -> None:
        """A second build brings back what was deleted, and leaves backups alone."""
        with serving(programs, own) as server:
            server.order(DATABASE, "DELETE FROM auditoria")
        (own / "backups").mkdir()
        (own / "backups" / "kept").write_bytes(b"kept")
        build_demo(own)
        assert content(programs, own) == CONTENT
        assert (own / "backups" / "kept").read_bytes() == b"kept"
        assert names(own) == WHOLE | {"backups"}

    def test_variables_of_the_operator_change_nothing(
        self, programs: Programs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """PG* variables that lead elsewhere, or change how SQL is read, are not seen by the build."""
        for name, value in {
            "PGHOST": "203.0.113.1",
            "PGPORT": "1",
            "PGUSER": "nobody",
            "PGDATABASE": "nothing",
            "PGOPTIONS": "-c datestyle=German -c timezone=Asia/Tokyo -c default_transaction_read_only=on",
            "PGCLIENTENCODING": "LATIN1",
        }.items():
            monkeypatch.setenv(name, value)
        build_demo(tmp_path / "demo")
        monkeypatch.undo()
        assert content(programs, tmp_path / "demo") == CONTENT

    def test_a_strange_folder(self, programs: Programs, tmp_path: Path) -> None:
        """A long path with spaces, quotes and letters beyond ASCII is as good as any other."""
        folder = tmp_path / 'it\'s a "demo", né' / ("x" * 90)
        build_demo(folder)
        assert content(programs, folder) == CONTENT
        done = run_drillbook("backup.create", "--source", "petshop", "--verify", cwd=folder)
        assert done.returncode == 0, done.stdout

    @pytest.mark.needs_root
    def test_where_root_has_no_user_namespaces(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """As in many containers: the server runs as somebody else, who may pass through the demo's folder."""
        debian = next(
            (item for item in discover(None, {}) if item.origin == "Debian" and item.has_server), None
        )
        if debian is None:
            pytest.skip("a server that every user can run is needed: Debian's postgresql")
        monkeypatch.setattr(privileges, "_in_namespace", lambda server: None)
        monkeypatch.setattr(catalogue, "find_server", lambda environ: debian)
        with tempfile.TemporaryDirectory(dir="/tmp") as place:
            Path(place).chmod(0o755)
            folder = Path(place) / "demo"
            for _ in range(2):
                assert build_demo(folder).left_out == ()
                assert (folder / "petshop").stat().st_uid != 0
                assert content(debian, folder) == CONTENT


class TestTheWholeWay:
    def test_backed_up_verified_and_drilled(self, own: Path) -> None:
        """All four sources of the demo are proven, every assertion holds, and doctor finds nothing."""
        flags = ("--format", "json")
        created = run_drillbook("backup.create", "--verify", *flags, cwd=own)
        assert created.returncode == 0, created.stdout
        drilled = run_drillbook("backup.drill", *flags, cwd=own)
        assert drilled.returncode == 0, drilled.stdout
        results = json.loads(drilled.stdout)["results"]
        assert [(result["source"]["name"], result["verdict"]) for result in results] == [
            ("prices", "passed"),
            ("audit", "passed"),
            ("journal", "passed"),
            ("petshop", "passed"),
        ]
        held = [finding for finding in results[3]["findings"] if finding["code"] == "assert.passed"]
        asked = tomllib.loads((own / "ops.toml").read_text())["source"]["petshop"]["assert"]
        assert len(held) == len(asked) >= 7
        assert run_drillbook("doctor", cwd=own).returncode == 0

    def test_the_assertions_are_checks_of_the_shop(self, built: DemoCatalogue) -> None:
        """Each query in ops.toml counts the rows of one of the shop's own checks, word for word."""
        asked = tomllib.loads(built.config_path.read_text())["source"]["petshop"]["assert"]
        queries = [item["query"] for item in asked if "query" in item]
        wrapped = {f"select count(*) from (\n{check}\n) wrong\n" for check in petshop_checks().values()}
        assert len(queries) >= 3
        assert set(queries) <= wrapped


class TestRefusals:
    def test_refuses_while_the_server_runs(self, programs: Programs, own: Path) -> None:
        """A server that is in use is not replaced, nothing else is either, and afterwards it can be."""
        (own / "ops.toml").write_text("# changed\n")
        with serving(programs, own), pytest.raises(RefusedError) as caught:
            build_demo(own)
        assert caught.value.code == "refused.target_in_use"
        assert (own / "ops.toml").read_text() == "# changed\n"
        build_demo(own)
        assert "petshop" in (own / "ops.toml").read_text()

    def test_a_server_that_was_killed_does_not_count(self, programs: Programs, own: Path) -> None:
        """The lock file and the socket that a killed server left behind stop nobody."""
        with running_cluster(programs, own / "petshop") as running:
            os.kill(running.pid, signal.SIGKILL)
        assert (own / "petshop" / "postmaster.pid").exists()
        build_demo(own)
        assert content(programs, own) == CONTENT

    @pytest.mark.parametrize("what", ["folder", "file", "dangling link"])
    def test_refuses_what_it_did_not_make(self, tmp_path: Path, what: str) -> None:
        """Something else of the name `petshop` in the demo's folder is kept, even a cluster of somebody else's."""
        build_demo(tmp_path, without=["petshop"])
        place = tmp_path / "petshop"
        if what == "folder":
            place.mkdir()
            (place / "PG_VERSION").write_text("17\n")
        elif what == "file":
            place.write_bytes(b"precious")
        else:
            place.symlink_to("nowhere")
        with pytest.raises(RefusedError) as caught:
            build_demo(tmp_path)
        assert caught.value.code == "refused.demo_folder_in_use"
        assert place.exists() or place.is_symlink()

    def test_refuses_a_second_builder(self, own: Path, programs: Programs) -> None:
        """While one process builds, another is told so, and the first one is not disturbed."""
        with building(own, "postmaster.pid") as process:
            with pytest.raises(RefusedError) as caught:
                build_demo(own)
            assert caught.value.code == "refused.name_taken"
            process.send_signal(signal.SIGCONT)
            assert process.wait(60) == 0
        assert content(programs, own) == CONTENT


@contextmanager
def building(folder: Path, step: str) -> Iterator[subprocess.Popen[bytes]]:
    """A `drillbook demo` that was stopped (SIGSTOP) when the new cluster had the file `step`."""
    command = [str(CONSOLE), "demo", "--out", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: (folder / ".tmp-petshop" / step).exists() or process.poll() is not None)
        process.send_signal(signal.SIGSTOP)
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        process.wait()


def wait_for(happened: Callable[[], bool]) -> None:
    """Return when it happened; fails when that takes too long."""
    deadline = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def processes_of(folder: Path) -> list[str]:
    """The command lines of processes that work in `folder`."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            line = place.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            found += [line] if str(folder) in line else []
    return found


class TestInterruptions:
    @pytest.mark.parametrize("step", FIRST_STEPS)
    def test_killed(self, programs: Programs, own: Path, step: str) -> None:
        """After SIGKILL the former pet shop is whole, no process stays, and the next build cleans up."""
        with building(own, step) as process:
            process.kill()
        assert content(programs, own) == CONTENT
        build_demo(own)
        assert names(own) == WHOLE
        assert content(programs, own) == CONTENT
        if sys.platform == "linux":
            wait_for(lambda: processes_of(own) == [])

    def test_killed_when_it_is_the_first(self, programs: Programs, tmp_path: Path) -> None:
        """Of a first build that was killed there is no half-built pet shop and no ops.toml that names one."""
        folder = tmp_path / "demo"
        with building(folder, "postmaster.pid") as process:
            process.kill()
        assert not (folder / "petshop").exists()
        assert not (folder / "ops.toml").exists()
        build_demo(folder)
        assert names(folder) == WHOLE

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_asked_to_end(self, programs: Programs, own: Path, number: signal.Signals) -> None:
        """After SIGTERM or Ctrl-C nothing temporary is left at once, and the former pet shop is whole."""
        with building(own, "postmaster.pid") as process:
            process.send_signal(number)
            process.send_signal(signal.SIGCONT)
            assert process.wait(60) != 0
        assert names(own) == WHOLE
        assert content(programs, own) == CONTENT

    def test_psql_fails(
        self, programs: Programs, own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """An SQL file that does not run is an error that quotes psql; what was there stays."""
        broken = tmp_path / "broken.sql"
        broken.write_text("SELECT 1/0;\n")
        monkeypatch.setattr(cluster, "petshop_script", lambda: PetshopScript((broken,), {}))
        with pytest.raises(ToolError, match="division by zero") as caught:
            build_demo(own)
        assert caught.value.code == "tool.failed"
        assert names(own) == WHOLE
        assert content(programs, own) == CONTENT


def said(folder: Path) -> tuple[Outcome, str]:
    """What the task `demo` answers."""
    outcome = Outcome("demo", "drillbook")
    examining.run(outcome, Demo(out=str(folder)))
    return outcome, outcome.to_text()


class TestLeftOut:
    def test_without_the_driver(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A bare installation builds the rest, says in one line what is missing and what brings it, and ends with 0."""
        monkeypatch.setitem(sys.modules, "psycopg", None)
        outcome, text = said(tmp_path / "demo")
        assert outcome.exit_code == 0
        (line,) = [line for line in text.splitlines() if "petshop" in line]
        assert line == (
            "  petshop  left out: the PostgreSQL driver is not installed;"
            " for it: pip install 'drillbook[postgres,postgres-drill]'"
        )
        (result,) = json.loads(outcome.to_json())["results"]
        assert [item["source"] for item in result["left_out"]] == ["petshop"]
        assert list(tomllib.loads((tmp_path / "demo" / "ops.toml").read_text())["source"]) == [
            "prices",
            "audit",
            "journal",
        ]
        assert names(tmp_path / "demo") == WHOLE - {"petshop"}

    @pytest.mark.parametrize("change", [{"has_server": False}, {"major": 11}])
    def test_without_a_server(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, programs: Programs, change: dict[str, int]
    ) -> None:
        """Client programs alone, and a server that is too old, are no server."""
        useless = replace(programs, **change)  # type: ignore[arg-type]
        monkeypatch.setattr(cluster, "discover", lambda configured, environ: (useless,))
        outcome, text = said(tmp_path / "demo")
        assert outcome.exit_code == 0
        assert "left out: no PostgreSQL server from version 12 on is installed; for it: pip install" in text

    def test_when_no_server_can_run(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, programs: Programs
    ) -> None:
        """Where initdb does not get through, its words are in the line, and nothing of the cluster is left."""
        bindir = tmp_path / "bin"
        bindir.mkdir()
        for name, script in {"postgres": "exit 0", "initdb": "echo 'no such locale' >&2; exit 1"}.items():
            (bindir / name).write_text(f"#!/bin/sh\n{script}\n")
            (bindir / name).chmod(0o755)
        useless = replace(programs, bindir=bindir)
        monkeypatch.setattr(catalogue, "find_server", lambda environ: useless)
        outcome, text = said(tmp_path / "demo")
        assert outcome.exit_code == 0
        (line,) = [line for line in text.splitlines() if "petshop" in line]
        assert re.search(r"left out: initdb of PostgreSQL .* failed .*: no such locale", line)
        assert names(tmp_path / "demo") == WHOLE - {"petshop"}

    def test_a_folder_of_programs_that_is_wrong(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """PG_BINDIR that names no PostgreSQL is the operator's mistake, and an error."""
        monkeypatch.setenv("PG_BINDIR", str(tmp_path))
        outcome, _ = said(tmp_path / "demo")
        assert outcome.exit_code == 2
        assert json.loads(outcome.to_json())["errors"][0]["code"] == "config.invalid_value"

    def test_when_asked(self, own: Path) -> None:
        """`without` leaves it out in silence; a cluster that is there stays as it is, even while it is in use."""
        before = (own / "petshop" / "PG_VERSION").stat().st_mtime_ns
        done = build_demo(own, without=["petshop"])
        assert (len(done.databases), done.left_out) == (3, ())
        assert "petshop" not in done.config_path.read_text()
        assert (own / "petshop" / "PG_VERSION").stat().st_mtime_ns == before

    def test_only_what_is_optional(self, tmp_path: Path) -> None:
        """Other sources cannot be left out, and nothing is built then."""
        with pytest.raises(OpsError) as caught:
            build_demo(tmp_path / "demo", without=["prices"])
        assert caught.value.code == "usage.bad_value"
        assert not (tmp_path / "demo").exists()


@pytest.mark.parametrize(
    ("majors", "chosen"), [((15, 17, 18), 17), ((15, 18), 18), ((15, 16), 16), ((15,), 15), ((11, 12), 12)]
)
def test_which_server(
    programs: Programs, monkeypatch: pytest.MonkeyPatch, majors: tuple[int, ...], chosen: int
) -> None:
    """Version 17 where it is here, else the newest."""
    found = tuple(replace(programs, major=major) for major in majors)
    monkeypatch.setattr(cluster, "discover", lambda configured, environ: found)
    assert find_server({}).major == chosen


def test_extras_and_groups_agree() -> None:
    """What the extras bring is what the tests run with, version for version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = project["project"]["optional-dependencies"]
    wanted = {item for extra in extras.values() for item in extra if not item.startswith("drillbook[")}
    groups = project["dependency-groups"]
    assert {
        item.partition(";")[0]
        for group in ("age", "eventlog", "ingest", "postgres", "s3")
        for item in groups[group]
    } == wanted
    assert all({"include-group": group} in groups["tests"] for group in ("age", "eventlog", "postgres", "s3"))
