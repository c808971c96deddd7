"""Real containers for the tests: podman with runc, and Docker's client and podman-compose on top of it.

Images have no files of their own: empty folders, and the machine's /usr mounted read-only. Storage, sockets and
settings lie in one folder under /tmp; nothing of it is left afterwards, and no other container is ever touched.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest

IMAGE: Final = "localhost/empty:1"
SERVER_USER: Final = 7007
KEEPER_PASSWORD: Final = 'it\'s \\ a: "pass" $word é'
_COMPOSE: Final = Path(sys.executable).with_name("podman-compose")
# Limits above the machine's own need a right that a container of tests may lack; crun fails on mixed cgroups.
_ENGINE: Final = """
[containers]
default_ulimits = ["nofile=1024:4096", "nproc=4096:8192"]
netns = "host"
log_driver = "k8s-file"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
tmp_dir = "{folder}/tmp"
[network]
network_backend = "netavark"
"""
_STORAGE: Final = """
[storage]
driver = "overlay"
graphroot = "{folder}/graph"
runroot = "{folder}/run"
"""
_SERVE: Final = """
set -e
if [ ! -e /data/PG_VERSION ]; then
  initdb -D /data -U postgres -A trust -E UTF8 --locale=C.UTF-8 -N >/dev/null
  echo 'local all keeper scram-sha-256' >/data/hba.new
  cat /data/pg_hba.conf >>/data/hba.new
  mv /data/hba.new /data/pg_hba.conf
fi
exec postgres -D /data -c listen_addresses= -c fsync=off
"""


def wait_for(condition: Callable[[], bool], patience_s: float = 60) -> bool:
    """Whether the condition comes true in time."""
    deadline = time.monotonic() + patience_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


ENGINE_ENDED_FIRST = ("connection reset by peer", "stopped answering")
"""What is said where an engine lost the last words of a program: a busy machine's podman does that now and then."""


@dataclass(frozen=True, slots=True)
class ServerContainer:
    """A running container in which PostgreSQL is process 1; its socket is reachable from outside, for the tests."""

    host: ContainerHost
    name: str
    sockets: Path

    def connect(self, database: str = "postgres") -> psycopg.Connection[tuple[Any, ...]]:
        """A connection from outside, as superuser, that commits each statement; close it."""
        return psycopg.connect(host=str(self.sockets), user="postgres", dbname=database, autocommit=True)

    def ask(self, sql: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """All rows of a query."""
        with contextlib.closing(self.connect(database)) as connection:
            return connection.execute(sql.encode()).fetchall()

    def order(self, sql: str, database: str = "postgres") -> None:
        """Execute statements that answer nothing."""
        with contextlib.closing(self.connect(database)) as connection:
            connection.execute(sql.encode())

    def processes(self) -> list[str]:
        """The command lines in the container that are not the server's own, nor this question's."""
        script = 'for p in /proc/[0-9]*; do tr "\\0" " " 2>/dev/null <$p/cmdline; echo; done; : this question'
        lines = map(str.strip, self.host.podman("exec", self.name, "sh", "-c", script).splitlines())
        return [line for line in lines if line and not re.match("postgres|.*this question", line)]

    def sessions(self) -> list[tuple[Any, ...]]:
        """What is connected, beside this question."""
        return self.ask(
            "SELECT application_name, state, query FROM pg_stat_activity"
            " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )

    def log(self) -> str:
        """What the server wrote."""
        return self.host.podman("logs", self.name)

    def is_ready(self) -> bool:
        """Whether it takes connections."""
        with contextlib.suppress(psycopg.OperationalError):
            return bool(self.ask("SELECT 1"))
        return False


@dataclass(frozen=True, slots=True)
class ContainerHost:
    """An engine of our own: its folder, and what of the environment leads its clients there."""

    folder: Path
    variables: tuple[str, ...]

    @property
    def clients(self) -> dict[str, tuple[str, ...]]:
        """The ways to run something in the container `petshop-db`, by their names: `container_exec`."""
        compose = (str(_COMPOSE), "-f", str(self.folder / "compose.yml"), "exec", "-T")
        return {
            "podman": ("env", *self.variables, "podman", "exec", "-i"),
            "docker": ("env", f"DOCKER_HOST=unix://{self.folder}/engine.sock", "docker", "exec", "-i"),
            "compose": ("env", *self.variables, *compose),
        }

    def podman(self, *arguments: str) -> str:
        """What podman says, errors too; the test fails when it fails."""
        done = subprocess.run(
            ["env", *self.variables, "podman", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            check=False,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, f"podman {arguments}: {done.stdout}"
        return done.stdout

    def run(self, name: str, *arguments: str, script: str) -> None:
        """Start a container that runs a shell script as process 1, with the machine's programs."""
        common = ("--detach", "--name", name, "--volume", "/usr:/usr:ro", "--stop-signal", "SIGINT")
        self.podman("run", *common, *arguments, IMAGE, "/bin/sh", "-c", script)

    @contextlib.contextmanager
    def server(self, name: str, bindir: Path) -> Iterator[ServerContainer]:
        """A container with a PostgreSQL server, gone afterwards."""
        place = Path(tempfile.mkdtemp(prefix="pg-", dir=self.folder))
        place.chmod(0o711)
        mounts = []
        for folder, inside in ((place / "data", "/data"), (place / "sockets", "/run/postgresql")):
            folder.mkdir()
            os.chown(folder, SERVER_USER, SERVER_USER)
            mounts += ["--volume", f"{folder}:{inside}"]
        path = f"PATH={bindir}:/usr/bin:/bin"
        self.run(name, "--user", "postgres", "--env", path, *mounts, script=_SERVE)
        server = ServerContainer(self, name, place / "sockets")
        try:
            assert wait_for(server.is_ready), server.log()
            yield server
        finally:
            self.podman("rm", "--force", "--time", "0", name)


def require_containers() -> None:
    """Return where containers can be run; else the test is skipped, and fails for root where CI=true."""
    missing = [name for name in ("podman", "runc", "docker") if shutil.which(name) is None]
    missing += [] if _COMPOSE.exists() else ["podman-compose"]
    if not missing and os.geteuid() == 0:
        return
    reason = f"containers need root and podman, runc, docker, podman-compose; missing: {', '.join(missing) or 'root'}"
    if os.environ.get("CI") == "true" and os.geteuid() == 0:
        pytest.fail(reason)
    pytest.skip(reason)


@contextlib.contextmanager
def container_host() -> Iterator[ContainerHost]:
    """An engine without containers, with the empty image and a socket for Docker's client."""
    require_containers()
    folder = Path(tempfile.mkdtemp(prefix="drillbook-c-", dir="/tmp"))
    folder.chmod(0o711)
    (folder / "containers.conf").write_text(_ENGINE.format(folder=folder))
    (folder / "storage.conf").write_text(_STORAGE.format(folder=folder))
    service = {"image": IMAGE, "container_name": "petshop-db"}
    (folder / "compose.yml").write_text(json.dumps({"services": {"db": service}}))
    settings = ("CONTAINERS_CONF=containers.conf", "CONTAINERS_STORAGE_CONF=storage.conf")
    host = ContainerHost(folder, tuple(setting.replace("=", f"={folder}/") for setting in settings))
    try:
        _make_image(folder / "image.tar")
        host.podman("import", "--quiet", str(folder / "image.tar"), IMAGE)
        with _serving(host):
            yield host
    finally:
        _remove(host)


@contextlib.contextmanager
def _serving(host: ContainerHost) -> Iterator[None]:
    socket = host.folder / "engine.sock"
    command = ["env", *host.variables, "podman", "system", "service", "--time=0", f"unix://{socket}"]
    with (host.folder / "service.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        assert wait_for(socket.exists), (host.folder / "service.log").read_text()
        yield
    finally:
        process.terminate()
        process.wait(30)


def _make_image(path: Path) -> None:
    """Empty folders, links as on a machine with one /usr, and the names of two users."""
    with tempfile.TemporaryDirectory() as folder, tarfile.open(path, "w") as image:
        root = Path(folder)
        for name in ("usr", "proc", "sys", "dev", "tmp", "run", "var", "etc", "root", "data"):
            (root / name).mkdir()
        (root / "tmp").chmod(0o1777)
        for name in ("bin", "sbin", "lib", "lib64"):
            (root / name).symlink_to(f"usr/{name}")
        (root / "var" / "run").symlink_to("/run")
        users = f"root:x:0:0::/root:/bin/sh\npostgres:x:{SERVER_USER}:{SERVER_USER}::/data:/bin/sh\n"
        (root / "etc" / "passwd").write_text(users)
        (root / "etc" / "group").write_text(f"root:x:0:\npostgres:x:{SERVER_USER}:\n")
        image.add(root, ".")


def _remove(host: ContainerHost) -> None:
    host.podman("rm", "--force", "--time", "0", "--all")
    # After an exec for Docker's client the monitor stays for five minutes, and would make its folder anew.
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if f"{host.folder}/graph".encode() in (process / "cmdline").read_bytes().split(b"\0"):
                os.kill(int(process.name), signal.SIGKILL)
    for line in reversed(Path("/proc/self/mounts").read_text().splitlines()):
        if Path(mount := line.split()[1]).is_relative_to(host.folder):
            subprocess.run(["umount", mount], check=True)
    shutil.rmtree(host.folder)
