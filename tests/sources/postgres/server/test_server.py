from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from ops.errors import OpsError, RefusedError, SpaceError, ToolError
from ops.fsio.process_marks import end_marked_processes
from ops.fsio.scratch import remove_stale_scratch, scratch_folder
from ops.sources.postgres.programs.discover import Programs
from ops.sources.postgres.server import run_as as privileges
from ops.sources.postgres.server import settings as tuning
from ops.sources.postgres.server.cluster import explained_by_log
from ops.sources.postgres.server.server import (
    TUNED,
    RunningServer,
    create_cluster,
    running_cluster,
    scratch_server,
)
from tests.sources.postgres.conftest import FreshDatabases, connect, require_programs

pytestmark = pytest.mark.long

PROJECT = Path(__file__).parents[4]
SERVE = """
import os, sys, signal, time
from pathlib import Path
from ops.fsio.scratch import scratch_folder
from ops.sources.postgres.programs.discover import discover
from ops.sources.postgres.server.server import scratch_server
def end(*_): raise SystemExit(143)
signal.signal(signal.SIGTERM, end)
[programs] = [p for p in discover(None, os.environ) if p.major == int(sys.argv[1])]
with scratch_folder(Path(sys.argv[2])) as folder, scratch_server(programs, folder) as server:
    print(server.pid, server.socket_dir, flush=True)
    time.sleep(120)
"""


def wait_for(condition: Callable[[], bool]) -> bool:
    """Whether the condition comes true within half a minute."""
    deadline = time.monotonic() + 30
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def lives(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def children(pid: int) -> list[int]:
    """The process ids of a process's children."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def value(server: RunningServer, sql: str) -> object:
    """The one value that the query gives."""
    with connect(server) as connection:
        row = connection.execute(sql).fetchone()
    assert row is not None
    return row[0]


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that every user may pass through and nobody else may read."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


@pytest.fixture
def programs() -> Programs:
    """The programs of PostgreSQL 15: those that lie where every user can run them."""
    return require_programs(15)


@pytest.fixture
def as_somebody_else(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Root cannot use a user namespace."""
    privileges._as_somebody_else.cache_clear()
    monkeypatch.setattr(privileges, "_in_namespace", lambda server: None)
    yield
    privileges._as_somebody_else.cache_clear()


class TestTheSharedServers:
    @pytest.mark.parametrize("major", [15, 17, 18])
    def test_answers_as_the_version_asked_for(self, major: int, request: pytest.FixtureRequest) -> None:
        """Each installed major version serves, and takes a new database with its own rows."""
        server: RunningServer = request.getfixturevalue(f"pg{major}")
        assert value(server, "SHOW server_version_num")[:2] == str(major)  # type: ignore[index]

    def test_only_through_a_private_socket(self, pg17: RunningServer) -> None:
        """There is no TCP port, and no other user can reach the socket."""
        assert value(pg17, "SHOW listen_addresses") == ""
        assert pg17.socket_dir.stat().st_mode & 0o777 == 0o700
        assert (pg17.socket_dir / f".s.PGSQL.{pg17.port}").stat().st_mode & 0o777 == 0o700

    def test_is_tuned(self, pg17: RunningServer) -> None:
        """Every setting of TUNED is what the server runs with."""
        with connect(pg17) as connection:
            rows = connection.execute(
                "SELECT name, current_setting(name) FROM pg_settings WHERE name = ANY(%s)", [list(TUNED)]
            ).fetchall()
        assert dict(rows) == {**TUNED}

    def test_databases_of_their_own(self, pg17: RunningServer, fresh_database: FreshDatabases) -> None:
        """Two fresh databases do not see each other's tables."""
        one, other = fresh_database(pg17), fresh_database(pg17)
        with one.connect() as connection:
            connection.execute("CREATE TABLE t (i int)")
        with other.connect() as connection, pytest.raises(psycopg.errors.UndefinedTable):
            connection.execute("SELECT * FROM t")


class TestScratchServer:
    def test_two_at_once(self, programs: Programs, pg15: RunningServer, place: Path) -> None:
        """A second server of the same version, in the same process, serves its own data."""
        with scratch_folder(place) as folder, scratch_server(programs, folder) as server:
            assert value(server, "SHOW data_directory") == str(folder / "data")
            assert value(pg15, "SHOW data_directory") == str(pg15.data)

    def test_gone_with_everything(self, programs: Programs, place: Path) -> None:
        """After the block no process and no file of it is left, connections open or not."""
        with scratch_folder(place) as folder, scratch_server(programs, folder) as server:
            connection = connect(server)
            family = [server.pid, *children(server.pid)]
            assert len(family) > 2
        assert not any(map(lives, family))
        assert list(place.iterdir()) == []
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
        connection.close()

    def test_gone_after_an_error(self, programs: Programs, place: Path) -> None:
        """An error inside the block goes on, and the server does not."""
        with contextlib.ExitStack() as stack:
            stack.enter_context(pytest.raises(KeyboardInterrupt))
            folder = stack.enter_context(scratch_folder(place))
            server = stack.enter_context(scratch_server(programs, folder))
            raise KeyboardInterrupt
        assert not lives(server.pid)

    def test_one_that_does_not_obey_is_killed(self, programs: Programs, place: Path) -> None:
        """A server that stands still is killed with its backends, one of them at work."""
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(scratch_folder(place))
            server = stack.enter_context(scratch_server(programs, folder, stop_s=0.2))
            connection = connect(server)
            pid = connection.info.backend_pid
            busy = threading.Thread(target=count_forever, args=(connection,))
            busy.start()
            active = f"SELECT state FROM pg_stat_activity WHERE pid = {pid}"
            assert wait_for(lambda: value(server, active) == "active")
            family = [server.pid, *children(server.pid)]
            os.kill(server.pid, signal.SIGSTOP)
        busy.join()
        connection.close()
        assert pid in family
        assert wait_for(lambda: not any(map(lives, family)))

    def test_settings_encoding_and_locale(self, programs: Programs, place: Path) -> None:
        """What was asked for is what the server has."""
        settings = {**TUNED, "work_mem": "7MB", "search_path": 'it\'s, "odd"'}
        with (
            scratch_folder(place) as folder,
            scratch_server(programs, folder, settings=settings, encoding="LATIN1", locale="C") as server,
        ):
            assert value(server, "SHOW work_mem") == "7MB"
            assert value(server, "SHOW search_path") == 'it\'s, "odd"'
            assert value(server, "SHOW server_encoding") == "LATIN1"

    @pytest.mark.parametrize("name", ["-a, 'b' \"ç\" %s $HOME", "n" * 120])
    def test_odd_places(self, programs: Programs, place: Path, name: str) -> None:
        """Odd and long folder names do not keep it from starting, and leave nothing behind."""
        with scratch_folder(place / name) as folder, scratch_server(programs, folder) as server:
            assert value(server, "SELECT 1") == 1
            sockets = server.socket_dir
            assert sockets != server.data
        assert list((place / name).iterdir()) == []
        assert not sockets.parent.exists()

    def test_a_place_that_initdb_refuses(self, programs: Programs, place: Path) -> None:
        """PostgreSQL takes no path with a newline, and the error says that."""
        with pytest.raises(ToolError, match="newline"), scratch_folder(place / "new\nline") as folder:
            scratch_server(programs, folder).__enter__()
        assert list((place / "new\nline").iterdir()) == []

    def test_a_bad_setting_is_told(self, programs: Programs, place: Path) -> None:
        """A server that does not start fails with what it said, and nothing is left."""
        with (
            pytest.raises(ToolError, match="unrecognized configuration parameter"),
            scratch_folder(place) as folder,
            scratch_server(programs, folder, settings={"no_such_setting": "1"}),
        ):
            pass
        assert list(place.iterdir()) == []

    def test_a_bad_locale_is_told(self, programs: Programs, place: Path) -> None:
        """A cluster that cannot be made fails with what initdb said."""
        with (
            pytest.raises(ToolError, match="invalid locale"),
            scratch_folder(place) as folder,
            scratch_server(programs, folder, locale="xx_YY.UTF-8"),
        ):
            pass

    @pytest.mark.needs_root
    @pytest.mark.parametrize(
        ("size", "error"), [("8m", SpaceError), ("38m", SpaceError), ("60m", psycopg.errors.DiskFull)]
    )
    def test_a_full_disk_is_told(
        self, programs: Programs, place: Path, size: str, error: type[Exception]
    ) -> None:
        """A disk that is full during initdb, at the start or in a query is told, and nothing is left on it."""
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", place], check=True)
        rows = "SELECT count(*) FROM (SELECT generate_series(1, 9000000) ORDER BY 1 DESC) AS t"
        try:
            with contextlib.ExitStack() as stack:
                stack.enter_context(pytest.raises(error))
                folder = stack.enter_context(scratch_folder(place))
                settings = {**TUNED, "work_mem": "1MB"}
                value(stack.enter_context(scratch_server(programs, folder, settings=settings)), rows)
            assert list(place.iterdir()) == []
        finally:
            subprocess.run(["umount", place], check=True)


def count_forever(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    """Keep a backend busy until it is killed."""
    with contextlib.suppress(psycopg.Error):
        connection.execute("DO $$ BEGIN LOOP END LOOP; END $$")


class TestKilledRuns:
    def start(self, place: Path, *, prefix: Sequence[str] = ()) -> tuple[subprocess.Popen[str], int]:
        """A process that runs a scratch server under `place`, and the server's process id."""
        process = subprocess.Popen(
            [*prefix, sys.executable, "-c", SERVE, "15", place],
            stdout=subprocess.PIPE,
            text=True,
            cwd=PROJECT,
        )
        assert process.stdout is not None
        pid, _ = process.stdout.readline().split(" ", 1)
        return process, int(pid)

    def test_terminated(self, programs: Programs, place: Path) -> None:
        """SIGTERM, whose handler raises SystemExit, takes the server and the folder along."""
        process, pid = self.start(place)
        with process:
            process.terminate()
        assert process.returncode == 143
        assert not lives(pid)
        assert list(place.iterdir()) == []

    @pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells a child of our death")
    def test_killed(self, programs: Programs, place: Path) -> None:
        """After SIGKILL the kernel stops the server, and the next clean-up removes the folder."""
        process, pid = self.start(place)
        with process:
            process.kill()
        assert wait_for(lambda: not lives(pid))
        assert len(remove_stale_scratch(place)) == 1
        assert list(place.iterdir()) == []

    @pytest.mark.skipif(not sys.platform.startswith("linux"), reason="marks are kept in Linux's terms")
    @pytest.mark.parametrize("by", ["scratch", "server"])
    def test_killed_and_not_told(self, programs: Programs, place: Path, by: str) -> None:
        """A server that outlived its run is stopped by the next clean-up, by name or in passing."""
        process, pid = self.start(place)
        with process:
            # Standing still, it cannot act on the kernel's word.
            os.kill(pid, signal.SIGSTOP)
            process.kill()
        [folder] = place.iterdir()
        if by == "server":
            end_marked_processes(folder)
            assert not lives(pid)
        remove_stale_scratch(place)
        assert not lives(pid)
        assert list(place.iterdir()) == []

    def test_a_living_run_is_left_alone(self, programs: Programs, place: Path) -> None:
        """Clean-up does not touch the server of a run that goes on."""
        process, pid = self.start(place)
        with process:
            assert remove_stale_scratch(place) == []
            assert lives(pid)
            process.terminate()


@pytest.mark.needs_root
class TestRoot:
    def test_in_a_namespace(self, programs: Programs, place: Path) -> None:
        """Where namespaces work nothing is given away: the data stays root's."""
        if not privileges.run_as(programs).prefix[0].endswith("unshare"):
            pytest.skip("user namespaces are not allowed here")
        with scratch_folder(place) as folder, scratch_server(programs, folder) as server:
            assert server.data.stat().st_uid == 0
            assert folder.stat().st_mode & 0o777 == 0o700

    def test_as_somebody_else(self, programs: Programs, place: Path, as_somebody_else: None) -> None:
        """Where they do not, an unprivileged user gets the data and may only pass through the folder above."""
        with scratch_folder(place) as folder, scratch_server(programs, folder) as server:
            assert server.data.stat().st_uid != 0
            assert server.data.stat().st_mode & 0o777 == 0o700
            assert folder.stat().st_uid == 0
            assert folder.stat().st_mode & 0o777 == 0o710
            assert value(server, "SELECT 1") == 1
            pid = server.pid
            assert Path(f"/proc/{pid}").stat().st_uid == server.data.stat().st_uid
        assert not lives(pid)
        assert list(place.iterdir()) == []

    def test_as_somebody_else_in_a_long_place(
        self, programs: Programs, place: Path, as_somebody_else: None
    ) -> None:
        """The socket moves to a short folder, which that user can reach, too."""
        (place / ("n" * 120)).mkdir(mode=0o711)
        with (
            scratch_folder(place / ("n" * 120)) as folder,
            scratch_server(programs, folder) as server,
        ):
            assert value(server, "SELECT 1") == 1
            assert server.socket_dir != server.data
            assert server.socket_dir.stat().st_mode & 0o777 == 0o700
            sockets = server.socket_dir
        assert not sockets.parent.exists()

    def test_binaries_out_of_reach(self, programs: Programs, place: Path, as_somebody_else: None) -> None:
        """Binaries that the unprivileged user cannot run are named, with what to do."""
        place.chmod(0o700)
        (place / "bin").symlink_to(programs.bindir)
        hidden = replace(programs, bindir=place / "bin")
        with pytest.raises(ToolError, match="cannot run it") as caught, scratch_folder(place) as folder:
            scratch_server(hidden, folder).__enter__()
        assert caught.value.code == "tool.unreachable"
        assert "ordinary user" in caught.value.hint

    def test_data_out_of_reach(self, programs: Programs, place: Path, as_somebody_else: None) -> None:
        """A scratch place that the unprivileged user cannot reach is an error that says so."""
        place.chmod(0o700)
        with (
            pytest.raises(ToolError, match="Permission denied") as caught,
            scratch_folder(place) as folder,
            scratch_server(programs, folder),
        ):
            pass
        assert "pass through" in caught.value.hint

    def test_no_way_at_all(
        self, programs: Programs, as_somebody_else: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Without a namespace and without setpriv, or without a user, it says that root will not do."""
        monkeypatch.setattr("shutil.which", lambda name: None)
        with pytest.raises(ToolError, match="no setpriv"):
            privileges.run_as(programs)
        privileges._as_somebody_else.cache_clear()
        monkeypatch.setattr(privileges, "_UNPRIVILEGED", ("no-such-user",))
        with pytest.raises(ToolError, match="no user postgres or nobody"):
            privileges.run_as(programs)

    def test_a_cluster_of_another_user(self, programs: Programs, place: Path, as_somebody_else: None) -> None:
        """A cluster that belongs to an unprivileged user is run as that user."""
        create_cluster(programs, place / "c")
        assert (place / "c").stat().st_uid != 0
        with running_cluster(programs, place / "c") as server:
            assert value(server, "SELECT 1") == 1


class TestCluster:
    def test_keeps_what_it_is_given(self, programs: Programs, place: Path) -> None:
        """Rows of one run are there in the next; settings are durable, checksums on, TCP off."""
        create_cluster(programs, place / "c")
        with running_cluster(programs, place / "c") as server, connect(server) as connection:
            connection.execute("CREATE TABLE t AS SELECT 42 AS answer")
            pid = server.pid
        assert not lives(pid)
        with running_cluster(programs, place / "c") as server:
            assert value(server, "SELECT answer FROM t") == 42
            for name in ("fsync", "full_page_writes", "synchronous_commit", "data_checksums"):
                assert value(server, f"SHOW {name}") == "on"
            assert value(server, "SHOW listen_addresses") == ""

    def test_one_that_runs_is_used_and_left(self, programs: Programs, place: Path) -> None:
        """Inside another block, or started by hand with its own settings, the same server answers."""
        create_cluster(programs, place / "c")
        with running_cluster(programs, place / "c") as outer:
            with running_cluster(programs, place / "c") as inner:
                assert inner == outer
            assert value(outer, "SELECT 1") == 1

    def test_after_a_crash(self, programs: Programs, place: Path) -> None:
        """A lock file whose server was killed does not count as a running one; committed rows are there."""
        create_cluster(programs, place / "c")
        with running_cluster(programs, place / "c") as server:
            with connect(server) as connection:
                connection.execute("CREATE TABLE t AS SELECT 42 AS answer")
            family = [server.pid, *children(server.pid)]
            for pid in family:
                os.kill(pid, signal.SIGKILL)
            assert wait_for(lambda: not any(map(lives, family)))
        assert (place / "c" / "postmaster.pid").exists()
        with running_cluster(programs, place / "c") as server:
            assert value(server, "SELECT answer FROM t") == 42

    def test_never_over_something(self, programs: Programs, place: Path) -> None:
        """An existing folder is refused and left as it is."""
        (place / "c").mkdir()
        (place / "c" / "precious").touch()
        with pytest.raises(RefusedError):
            create_cluster(programs, place / "c")
        assert (place / "c" / "precious").exists()

    def test_one_that_can_not_be_made_leaves_nothing(
        self, programs: Programs, place: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A failed initdb leaves no folder that looks like a cluster."""
        monkeypatch.setattr("ops.sources.postgres.server.server.DEFAULT_LOCALE", "xx_YY")
        with pytest.raises(ToolError):
            create_cluster(programs, place / "c")
        assert list(place.iterdir()) == []

    def test_odd_places(self, programs: Programs, place: Path) -> None:
        """A cluster under an odd name can be made and run."""
        odd = place / 'it\'s, a "c" \\ \udcff'
        create_cluster(programs, odd)
        with running_cluster(programs, odd) as server:
            assert value(server, "SELECT 1") == 1

    def test_the_wrong_version_is_told(self, place: Path) -> None:
        """A cluster of another major version fails with what the server said."""
        create_cluster(require_programs(15), place / "c")
        with (
            pytest.raises(ToolError, match="incompatible with server"),
            running_cluster(require_programs(17), place / "c"),
        ):
            pass


class TestTuning:
    def test_a_small_control_group(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Memory settings stay within what the control group may have, not what the machine has."""
        limit = tmp_path / "memory.max"
        limit.write_text(f"{256 * 1024 * 1024}\n")
        monkeypatch.setattr(tuning, "_LIMITS", (tmp_path / "none", limit))
        assert tuning.memory_settings()["shared_buffers"] == "32MB"

    def test_no_limit(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A control group without a limit (`max`) does not count."""
        limit = tmp_path / "memory.max"
        limit.write_text("max\n")
        monkeypatch.setattr(tuning, "_LIMITS", (limit,))
        assert int(tuning.memory_settings()["shared_buffers"].removesuffix("MB")) >= 16

    @pytest.mark.parametrize(("cores", "set_to"), [(1, "0"), (2, "0"), (4, None)])
    def test_cores(self, monkeypatch: pytest.MonkeyPatch, cores: int, set_to: str | None) -> None:
        """Where jobs keep all cores busy an index is built by one process; elsewhere the server decides."""
        monkeypatch.setattr(tuning, "worker_count", lambda: cores)
        assert tuning.core_settings().get("max_parallel_maintenance_workers") == set_to


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ('PANIC:  could not write to file "pg_wal/xlogtemp.1": No space left on device', "space.disk_full"),
        ("LOG:  server process was terminated by signal 9: Killed", "tool.failed"),
    ],
)
def test_why_a_server_stopped_stands_in_its_log(tmp_path: Path, said: str, code: str) -> None:
    """That clients lost the server is a full disk where its log says so, and else what it was."""
    log = tmp_path / "server.log"
    log.write_text(f"LOG:  ready\n{said}\n")
    with pytest.raises(OpsError) as caught, explained_by_log(log):
        raise ToolError("the server stopped answering", code="tool.failed")
    assert caught.value.code == code
    assert "stopped answering" in caught.value.message
