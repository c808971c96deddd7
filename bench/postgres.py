"""A PostgreSQL pet shop: create and drill against pg_dump -Fc, createdb, pg_restore -j 4 and counts."""

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.place import drillbook
from bench.report import Section, Target, against, ratios, seconds
from bench.timing import Candidate, Details, Timing, in_turns, program, say
from ops.demo.petshop import DATABASE, petshop_script
from ops.sources.postgres.programs import Programs, discover
from ops.sources.postgres.server import RunningServer, create_cluster, running_cluster
from ops.units import format_size

COMMAND = "nox -s bench -- --only postgres"
MAJOR = 17
BYTES_OF_SCALE = 900_000
CONFIG = """scratch_dir = "scratch"

[source.shop]
kind = "postgres"
dsn = "{dsn}"
digests = {digests}

[store.local]
kind = "local"
path = "store"
"""


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
def shop_of(size: int, cache: Path) -> Iterator[Shop]:
    """A shop of about `size` bytes on a server with initdb's own settings; built once, kept in the cache."""
    scale = max(1, size // BYTES_OF_SCALE)
    programs = _programs()
    folder = cache / f"petshop-{scale}-{programs.version}"
    data = folder / "data"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not (folder / "complete").exists():
        shutil.rmtree(data, ignore_errors=True)
        say(f"building a pet shop of scale {scale}")
        create_cluster(programs, data)
        with running_cluster(programs, data) as server:
            shop = Shop(server, folder)
            program(shop.tool("psql"), *shop.connection("postgres"), "-qc", f"CREATE DATABASE {DATABASE}")
            program(
                shop.tool("psql"),
                *shop.connection(),
                *petshop_script(scale=scale).psql_arguments(),
                patience_s=1800,
            )
            program(
                shop.tool("psql"), *shop.connection(), "-qc", "VACUUM (FREEZE, ANALYZE)", "-c", "CHECKPOINT"
            )
        (folder / "complete").touch()
    with running_cluster(programs, data) as server:
        shop = Shop(server, folder)
        dsn = f"postgresql://{server.user}@/{DATABASE}?host={server.socket_dir}&port={server.port}"
        for name, digests in (("digests", "true"), ("counts", "false")):
            (folder / f"{name}.toml").write_text(CONFIG.format(dsn=dsn, digests=digests), encoding="utf-8")
        yield shop


def _programs() -> Programs:
    for programs in discover(None, os.environ):
        if programs.major == MAJOR and programs.has_server and "zstd" in programs.codecs:
            return programs
    raise SystemExit(f"PostgreSQL {MAJOR} with zstd is needed: pip install 'drillbook[postgres-drill]'")


def measure_postgres(size: int, cache: Path, rounds: int) -> Section:
    """The section about create, drill, and both."""
    with shop_of(size, cache) as shop:
        sizes: dict[str, int] = {}
        candidates = [
            Candidate(
                name=COUNTED, run=lambda: _create(shop, sizes, COUNTED, digests=False), prepare=shop.fresh
            ),
            Candidate(
                name=DIGESTED, run=lambda: _create(shop, sizes, DIGESTED, digests=True), prepare=shop.fresh
            ),
            Candidate(name=PARALLEL, run=lambda: _parallel(shop, sizes), prepare=shop.fresh),
            Candidate(name=CUSTOM, run=lambda: _custom(shop, sizes), prepare=shop.fresh),
            Candidate(
                name=DRILL,
                run=lambda: {"drill": _timed(lambda: shop.ours("backup.drill"))},
                prepare=lambda: _with_backup(shop),
            ),
            Candidate(name=BY_HAND, run=lambda: _by_hand(shop), prepare=lambda: _with_archive(shop)),
        ]
        timings = {timing.name: timing for timing in in_turns(candidates, rounds)}
        facts = program(
            shop.tool("psql"), *shop.connection(), "-Atc",
            "SELECT pg_size_pretty(pg_database_size(current_database())), sum(reltuples)::bigint"
            " FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace",
        ).strip().split("|")  # fmt: skip
    return _section(timings, sizes, facts, shop.server.programs.version)


COUNTED, DIGESTED = "create, exact counts", "create, counts and content digests"
PARALLEL, CUSTOM = "`pg_dump -Fd -j 2 -Z zstd:1`", "`pg_dump -Fc`"
DRILL, BY_HAND = "drill (digests)", "`createdb` + `pg_restore -j 4` + counts"


def _timed(step: Callable[[], object]) -> float:
    started = time.perf_counter()
    step()
    return time.perf_counter() - started


def _weight(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _create(shop: Shop, sizes: dict[str, int], name: str, *, digests: bool) -> Details:
    shop.ours("backup.create", digests=digests)
    sizes[name] = _weight(shop.store)
    return {}


def _parallel(shop: Shop, sizes: dict[str, int]) -> Details:
    into = shop.folder / "rival" / "dump"
    program(shop.tool("pg_dump"), *shop.connection(), "-Fd", "-j", "2", "-Z", "zstd:1", "-f", into)
    sizes[PARALLEL] = _weight(into)
    return {}


def _custom(shop: Shop, sizes: dict[str, int]) -> Details:
    into = shop.folder / "rival" / "shop.dump"
    program(shop.tool("pg_dump"), *shop.connection(), "-Fc", "-f", into)
    sizes[CUSTOM] = into.stat().st_size
    return {}


def _with_backup(shop: Shop) -> Callable[[], None]:
    shop.empty()
    shop.ours("backup.create")
    return shop.empty


def _with_archive(shop: Shop) -> Callable[[], None]:
    shop.empty()
    program(shop.tool("pg_dump"), *shop.connection(), "-Fc", "-f", shop.folder / "rival" / "shop.dump")

    def clean() -> None:
        program(shop.tool("dropdb"), *shop.connection()[:3], "--if-exists", "restored")
        shop.empty()

    return clean


def _by_hand(shop: Shop) -> Details:
    archive = shop.folder / "rival" / "shop.dump"
    program(shop.tool("createdb"), *shop.connection()[:3], "--template=template0", "restored")
    # Not `program`: with several jobs pg_restore makes triggers of partitioned tables before all rows are there,
    # and then sometimes reports errors. A user would have to look; the time is what it took.
    subprocess.run(
        [shop.tool("pg_restore"), *shop.connection("restored"), "-j", "4", archive],
        capture_output=True,
        check=False,
    )
    for table in program(shop.tool("psql"), *shop.connection("restored"), "-Atc", TABLES).split():
        program(shop.tool("psql"), *shop.connection("restored"), "-Atc", f"SELECT count(*) FROM {table}")
    return {}


TABLES = "SELECT oid::regclass FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"


def _section(timings: dict[str, Timing], sizes: dict[str, int], facts: list[str], version: str) -> Section:
    rows = []
    for name in (COUNTED, DIGESTED, PARALLEL, CUSTOM):
        size = format_size(sizes[name])
        rows.append([name, *seconds(timings[name]), size, *ratios(timings[name], [timings[CUSTOM]])])
    rows += [
        [name, *seconds(timings[name]), "-", *ratios(timings[name], [timings[BY_HAND]])]
        for name in (DRILL, BY_HAND)
    ]
    both, rival = _sum(timings[DIGESTED], timings[DRILL]), _sum(timings[CUSTOM], timings[BY_HAND])
    rows.append(["create (digests) + drill", *seconds(both), "-", *ratios(both, [rival])])
    rows.append(["`-Fc` + restore by hand", *seconds(rival), "-", "1.00x", "1.00x"])
    targets: list[Target] = [
        against(
            "create with exact counts against -Fc (5 times its speed)",
            0.2,
            timings[COUNTED],
            [timings[CUSTOM]],
        ),
        against(
            "create with digests against -Fc (3 times its speed)", 0.333, timings[DIGESTED], [timings[CUSTOM]]
        ),
        against("drill against the restore by hand", 0.7, timings[DRILL], [timings[BY_HAND]]),
        against("both together (2.3 times the speed)", 0.435, both, [rival]),
    ]
    columns = ("what", "min", "median", "size", "min / min of the rival", "median / median")
    explanation = EXPLANATION.format(size=facts[0], rows=facts[1], version=version)
    return Section("postgres: create and drill", COMMAND, columns, rows, targets, explanation)


def _sum(first: Timing, second: Timing) -> Timing:
    pairs = zip(first.seconds, second.seconds, strict=True)
    return Timing(first.name, seconds=[one + other for one, other in pairs])


EXPLANATION = (
    "The pet shop of the demo, {size} and {rows} rows with 74 indexes and all foreign keys, PostgreSQL {version}, "
    "server with initdb's own settings and everything in its cache. Ours are whole processes, interpreter and "
    "imports included. Create: `pg_dump -Fd -j 2` with zstd, while the server counts and hashes the rows in the same "
    "snapshot; then every file is hashed and made durable. The limit below it is `pg_dump -Fd -j 2 -Z zstd:1` alone, "
    "which measures nothing. Drill: fetch with digests, a server of its own, restore, every object, row and digest. By "
    "hand: `createdb`, `pg_restore -j 4` of the `-Fc` file into the same ordinary server, and `count(*)` of each table; where "
    "pg_restore reports errors (it may fire triggers of partitioned tables while it loads), its time counts all the same."
)
