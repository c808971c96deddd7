"""The two PostgreSQL databases of the benchmark, each on an ordinary server of its own; built once, kept in the cache."""

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.place import drillbook
from bench.timing import program, say
from ops.demo.petshop import petshop_script
from ops.sources.postgres.programs.discover import Programs, discover
from ops.sources.postgres.server.server import RunningServer, create_cluster, running_cluster

MAJOR = 17
DATABASE = "shop"
PETSHOP_BYTES = 900_000
"""What each step of the pet shop's scale adds."""
PLAIN_BYTES = 108
"""What each row of the plain shop takes, indexes included."""
CONFIG = """scratch_dir = "scratch"

[source.shop]
kind = "postgres"
dsn = "{dsn}"
digests = {digests}

[store.local]
kind = "local"
path = "store"
"""

Script = Callable[[int], tuple[str, tuple[str, ...]]]
"""From a size in bytes: a name for the cache, and psql's arguments that build such a database."""


def petshop(size: int) -> tuple[str, tuple[str, ...]]:
    """The pet shop of the demo, with all that a database can hold."""
    scale = max(1, size // PETSHOP_BYTES)
    return f"petshop-{scale}", petshop_script(scale=scale).psql_arguments()


def plain_shop(size: int) -> tuple[str, tuple[str, ...]]:
    """Four tables, seven indexes, three foreign keys."""
    rows = max(1000, size // PLAIN_BYTES)
    script = Path(__file__).with_name("plain_shop.sql")
    return f"plain-{rows}", (
        "-X",
        "-q",
        "-v",
        "ON_ERROR_STOP=1",
        "-v",
        f"rows={rows}",
        "-1",
        "-f",
        str(script),
    )


@dataclass(frozen=True, slots=True)
class Shop:
    """The running server with the shop, and the folder in which one part works."""

    server: RunningServer
    folder: Path

    @property
    def store(self) -> Path:
        return self.folder / "store"

    def connection(self, database: str = DATABASE) -> list[str]:
        return [
            f"--host={self.server.socket_dir}",
            f"--port={self.server.port}",
            f"--username={self.server.user}",
            f"--dbname={database}",
        ]

    def tool(self, name: str) -> str:
        return self.server.programs.path(name)

    def psql(self, *arguments: str, database: str = DATABASE, patience_s: float = 1800) -> str:
        return program(self.tool("psql"), *self.connection(database), *arguments, patience_s=patience_s)

    def ours(self, *arguments: str, digests: bool = True) -> str:
        config = self.folder / ("digests.toml" if digests else "counts.toml")
        return program(*drillbook(*arguments), "--config", config, "--format", "json")

    def empty(self) -> None:
        for name in ("store", "scratch", "rival"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        (self.folder / "rival").mkdir(mode=0o700)

    def fresh(self) -> Callable[[], None]:
        self.empty()
        return self.empty


@contextlib.contextmanager
def shop_of(script: Script, size: int, cache: Path) -> Iterator[Shop]:
    """A shop of about `size` bytes on a server with initdb's own settings."""
    name, arguments = script(size)
    programs = _programs()
    folder = cache / f"{name}-{programs.version}"
    data = folder / "data"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not (folder / "complete").exists():
        say(f"building {name}")
        _build(folder, programs, arguments)
        (folder / "complete").touch()
    with running_cluster(programs, data) as server:
        shop = Shop(server, folder)
        dsn = f"postgresql://{server.user}@/{DATABASE}?host={server.socket_dir}&port={server.port}"
        for config, digests in (("digests", "true"), ("counts", "false")):
            (folder / f"{config}.toml").write_text(CONFIG.format(dsn=dsn, digests=digests), encoding="utf-8")
        yield shop


def _build(folder: Path, programs: Programs, arguments: tuple[str, ...]) -> None:
    data = folder / "data"
    shutil.rmtree(data, ignore_errors=True)
    create_cluster(programs, data)
    with running_cluster(programs, data) as server:
        shop = Shop(server, folder)
        shop.psql("-qc", f"CREATE DATABASE {DATABASE}", database="postgres")
        shop.psql(*arguments)
        shop.psql("-qc", "VACUUM (FREEZE, ANALYZE)", "-c", "CHECKPOINT")


def _programs() -> Programs:
    for programs in discover(None, os.environ):
        if programs.major == MAJOR and programs.has_server and "zstd" in programs.codecs:
            return programs
    raise SystemExit(f"PostgreSQL {MAJOR} with zstd is needed: pip install 'drillbook[postgres-drill]'")
