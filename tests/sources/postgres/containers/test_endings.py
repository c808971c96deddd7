"""What is left in the container when something ends in the middle: nothing of ours, and the server as it was."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ops.errors import SourceError
from ops.host.secret import Secret
from ops.repository.catalog import read_catalogue
from ops.sources.postgres.connect.container_exec import open_engine
from tests.conftest import CONSOLE
from tests.containers import ContainerHost, ServerContainer, wait_for
from tests.sources.postgres.conftest import require_programs
from tests.sources.postgres.containers.conftest import CLIENTS, ContainerDatabase
from tests.sources.postgres.shop import store_in

pytestmark = [pytest.mark.containers, pytest.mark.long]

HELD = """
import os, sys
from ops.sources.postgres.connect.open import open_route
from ops.sources.postgres.options import PostgresOptions
container, dsn, *command = sys.argv[1:]
options = PostgresOptions(container=container, dsn=dsn, container_exec=tuple(command))
with open_route(options, ()) as route, route.session() as session:
    session.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    session.rows("SELECT pg_export_snapshot() AS id")
    session.rows("SELECT pg_sleep(600)")
"""


@contextmanager
def creating(database: ContainerDatabase, client: str, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`backup.create` as a process of its own, in the middle of dumping."""
    options = database.options(client, compress="gzip:9")
    config = folder / "ops.toml"
    config.write_text(
        f"[source.shop]\nkind = 'postgres'\ncontainer = {json.dumps(options.container)}\n"
        f"container_exec = {json.dumps(options.container_exec)}\ndsn = {json.dumps(options.dsn)}\n"
        f"compress = 'gzip:9'\n[store.local]\nkind = 'local'\npath = {json.dumps(str(folder / 'store'))}\n"
    )
    command = [str(CONSOLE), "backup.create", "--config", str(config)]
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
    try:
        dumping = wait_for(
            lambda: (
                any("COPY public.ballast" in query for _, _, query in database.server.sessions())
                or process.poll() is not None
            )
        )
        assert dumping
        assert process.poll() is None, (folder / "said").read_text()
        yield process
    finally:
        process.kill()
        process.wait()


def started_at(server: ServerContainer) -> object:
    """When the server began to serve; later after a crash of one of its processes."""
    return server.ask("SELECT pg_postmaster_start_time(), stats_reset FROM pg_stat_bgwriter")


def require_nothing_left(server: ServerContainer, before: object) -> None:
    """No process and no session of ours is left, and the server has not noticed anything."""
    assert wait_for(lambda: not server.processes()), server.processes()
    assert wait_for(lambda: not server.sessions()), server.sessions()
    assert started_at(server) == before
    for words in ("server process", "terminating any other", "crash of another", "reinitializing"):
        assert words not in server.log()


@pytest.mark.parametrize(
    ("client", "number"),
    [
        ("podman", signal.SIGKILL),
        ("docker", signal.SIGKILL),
        pytest.param("compose", signal.SIGKILL, marks=pytest.mark.faults_long),
        ("podman", signal.SIGTERM),
        ("docker", signal.SIGINT),
    ],
)
def test_killed_while_dumping(
    ballast: ContainerDatabase, tmp_path: Path, client: str, number: signal.Signals
) -> None:
    """A create that is killed or interrupted leaves no pg_dump, no session and no snapshot in the container."""
    before = started_at(ballast.server)
    with creating(ballast, client, tmp_path) as process:
        process.send_signal(number)
        process.wait(60)
        require_nothing_left(ballast.server, before)
    assert read_catalogue(store_in(tmp_path)).backups == ()


@pytest.mark.parametrize("client", CLIENTS)
def test_killed_while_asking(database: ContainerDatabase, client: str) -> None:
    """A question that runs for hours ends when we are killed, and with it the transaction that it ran in."""
    before = started_at(database.server)
    options = database.options(client)
    command = [sys.executable, "-c", HELD, options.container, options.dsn, *options.container_exec]
    process = subprocess.Popen(command, cwd=Path(__file__).parents[4])
    try:
        assert wait_for(lambda: any("pg_sleep" in query for _, _, query in database.server.sessions()))
    finally:
        process.kill()
        process.wait()
    require_nothing_left(database.server, before)


def test_the_engines_client_killed(ballast: ContainerDatabase, tmp_path: Path) -> None:
    """When only the engine's client dies, the dump fails, and pg_dump does not go on in the container."""
    before = started_at(ballast.server)
    with creating(ballast, "podman", tmp_path) as process:
        for pid in descendants(process.pid):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if words[0] == b"podman" and b"pg_dump" in words:
                os.kill(pid, signal.SIGKILL)
        assert process.wait(60) == 2
        assert "pg_dump failed" in (tmp_path / "said").read_text()
        require_nothing_left(ballast.server, before)
    assert read_catalogue(store_in(tmp_path)).backups == ()


def descendants(pid: int) -> list[int]:
    """The processes that a process started, and theirs."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in map(int, (task / "children").read_text().split()):
            found += [child, *descendants(child)]
    return found


def test_the_container_stopped(engine_host: ContainerHost, tmp_path: Path) -> None:
    """A container that is stopped in the middle of a create is named; no backup is there; started again, it works."""
    with engine_host.server("petshop-other", require_programs(15).bindir) as server:
        database = ContainerDatabase(server, "postgres")
        database.run(
            "CREATE TABLE ballast AS SELECT repeat(md5(i::text), 9) AS filler FROM generate_series(1, 300000) i"
        )
        with creating(database, "podman", tmp_path) as process:
            engine_host.podman("kill", "--signal", "KILL", server.name)
            assert process.wait(60) == 2
        said = (tmp_path / "said").read_text()
        assert "container 'petshop-other' stopped answering" in said
        assert "docker ps -a" in said
        assert "Traceback" not in said
        assert read_catalogue(store_in(tmp_path)).backups == ()
        with pytest.raises(SourceError, match="container state improper") as caught:
            database.source().probe()
        assert caught.value.code == "source.unreachable"
        engine_host.podman("start", server.name)
        assert wait_for(server.is_ready)
        assert database.source().probe().text


def test_the_watch_reaches_nobody_else(database: ContainerDatabase) -> None:
    """The watching shell ends what carries a mark of its own, and takes no other word, the empty one included."""
    options = database.options()
    before = started_at(database.server)
    with open_engine(options.container, options.container_exec, Secret("password")) as engine:
        for word in ("", "-", "postgres", "*", "drillbook-", "/data"):
            assert engine.watch.end(word)
        argv, _ = engine.call("psql", "-U", "postgres", "-c", "SELECT pg_sleep(600)")
        with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as other:
            assert wait_for(lambda: any("pg_sleep" in query for _, _, query in database.server.sessions()))
            for _ in range(3):
                assert engine.watch.end(engine.watch.new_mark())
            assert other.poll() is None
            database.server.ask(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query ~ '^SELECT pg_sleep'"
            )
    require_nothing_left(database.server, before)
