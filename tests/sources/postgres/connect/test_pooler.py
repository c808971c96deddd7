"""A pooler between us and the server: found out before anything is set, and refused where it has no sessions to give."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from ops.errors import SourceError
from ops.model.findings import Verdict
from ops.sources.postgres.server.server import RunningServer
from tests.sources.postgres.conftest import FreshDatabases
from tests.sources.postgres.shop import back_up, drill, psql, source_of, store_in

CONFIG = """
[databases]
* = host={host} port={server_port} user={user}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
default_pool_size = {size}
{ignored}
logfile = {folder}/log
pidfile = {folder}/pid
"""
BOUNCER = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
pytestmark = [
    pytest.mark.skipif(not Path(BOUNCER).exists(), reason="pgbouncer is not installed here"),
    pytest.mark.long,
]


@contextlib.contextmanager
def pooling(
    server: RunningServer, folder: Path, mode: str, *, size: int = 5, ignored: bool = True
) -> Iterator[int]:
    """A pooler before the server, at a port of this machine."""
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    words = "ignore_startup_parameters = options, extra_float_digits" if ignored else ""
    (folder / "pgbouncer.ini").write_text(
        CONFIG.format(host=server.socket_dir, server_port=server.port, user=server.user, port=port, mode=mode,
                      size=size, ignored=words, folder=folder)
    )  # fmt: skip
    # It does not run as root; in a name space of its own it is somebody else.
    inside = ["unshare", "--user", "--map-user=1000", "--map-group=1000"]
    command = [*inside, BOUNCER, str(folder / "pgbouncer.ini")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 30
        while True:
            with (
                contextlib.suppress(OSError),
                contextlib.closing(socket.create_connection(("127.0.0.1", port))),
            ):
                break
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait()


def address(port: int, database: str) -> str:
    """The database through the pooler."""
    return f"postgresql://somebody@127.0.0.1:{port}/{database}"


@pytest.mark.parametrize(("size", "ignored"), [(5, True), (5, False), (1, True)])
def test_by_transaction(
    pg17: RunningServer, fresh_database: FreshDatabases, tmp_path: Path, size: int, ignored: bool
) -> None:
    """It is refused with what to name instead, by doctor as well, and the application's sessions are as they were."""
    database = fresh_database(pg17)
    psql(pg17, database.name, "-c", "CREATE TABLE t (i int)")
    with pooling(pg17, tmp_path, "transaction", size=size, ignored=ignored) as port:
        source = source_of(pg17, database.name, dsn=address(port, database.name))
        for attempt in (lambda: back_up(source, store_in(tmp_path / "store")), source.probe):
            with pytest.raises(SourceError) as caught:
                attempt()
            assert caught.value.code == "source.pooled"
            assert "the server's own host and port" in caught.value.hint
        with contextlib.closing(
            psycopg.connect(address(port, database.name), autocommit=True)
        ) as application:
            assert application.execute("SHOW search_path").fetchone() == ('"$user", public',)
            application.execute("SELECT * FROM t")


def test_by_session(pg17: RunningServer, fresh_database: FreshDatabases, tmp_path: Path) -> None:
    """A pooler that gives whole sessions is no hindrance: what is dumped through it is proven."""
    database = fresh_database(pg17)
    psql(pg17, database.name, "-c", "CREATE TABLE t (i int); INSERT INTO t VALUES (1)")
    with pooling(pg17, tmp_path, "session", size=20) as port:
        source = source_of(pg17, database.name, dsn=address(port, database.name), globals=False)
        backup = back_up(source, store_in(tmp_path / "store"))
    assert drill(backup, source_of(pg17, database.name), tmp_path).verdict is Verdict.PASSED
