"""A PostgreSQL pet shop: create and drill against pg_dump -Fc, createdb, pg_restore -j 4 and counts."""

import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.report import Section, Target, against, ratios, seconds
from bench.shops import Script, Shop, petshop, plain_shop, shop_of
from bench.timing import Candidate, Details, Timing, in_turns, program
from ops.fsio.scratch import scratch_folder
from ops.sources.postgres.server.server import scratch_server
from ops.units import format_size


@dataclass(frozen=True, slots=True)
class Part:
    """One database that is measured: how it is built, and what the page says of it."""

    name: str
    title: str
    script: Script
    about: str


PETSHOP = Part(
    "postgres",
    "postgres: create and drill",
    petshop,
    "The pet shop of the demo: 74 indexes and 97 foreign keys with those of the partitions, domains whose checks are "
    "functions, generated columns, GIN indexes, a materialized view",
)
PLAIN_SHOP = Part(
    "postgres-plain",
    "postgres: create and drill, plain shop",
    plain_shop,
    "Four tables with 7 indexes and 3 foreign keys, three quarters of the rows in one of them",
)


def measure_postgres(part: Part, size: int, cache: Path, rounds: int) -> Section:
    """The section about create, drill, and both."""
    with shop_of(part.script, size, cache) as shop:
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
            Candidate(name=LOAD, run=lambda: _load_alone(shop), prepare=lambda: _with_folder(shop)),
            Candidate(name=BY_HAND, run=lambda: _by_hand(shop), prepare=lambda: _with_archive(shop)),
        ]
        timings = {timing.name: timing for timing in in_turns(candidates, rounds)}
        facts = shop.psql(
            "-Atc",
            "SELECT pg_size_pretty(pg_database_size(current_database())), sum(reltuples)::bigint"
            " FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace",
        ).strip().split("|")  # fmt: skip
        explanation = EXPLANATION.format(
            about=part.about, size=facts[0], rows=facts[1], version=shop.server.programs.version
        )
    return _section(part, timings, sizes, explanation)


COUNTED, DIGESTED = "create, exact counts", "create, counts and content digests"
PARALLEL, CUSTOM = "`pg_dump -Fd -j 2 -Z zstd:1`", "`pg_dump -Fc`"
DRILL, BY_HAND = "drill (digests)", "`createdb` + `pg_restore -j 4` + counts"
LOAD = "such a server and `pg_restore -j 4` into it, alone"


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


def _with_folder(shop: Shop) -> Callable[[], None]:
    shop.empty()
    _parallel(shop, {})
    return shop.empty


def _load_alone(shop: Shop) -> Details:
    """What a drill cannot be quicker than: nothing is fetched, compared or kept."""
    with scratch_folder(shop.folder) as folder, scratch_server(shop.server.programs, folder) as server:
        where = ["-h", str(server.socket_dir), "-p", str(server.port), "-U", server.user]
        program(shop.tool("createdb"), *where, "--template=template0", "restored")
        subprocess.run(
            [shop.tool("pg_restore"), *where, "-d", "restored", "-j", "4", shop.folder / "rival" / "dump"],
            capture_output=True,
            check=False,
        )
    return {}


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
    for table in shop.psql("-Atc", TABLES, database="restored").split():
        shop.psql("-Atc", f"SELECT count(*) FROM {table}", database="restored")
    return {}


TABLES = "SELECT oid::regclass FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"


def _section(part: Part, timings: dict[str, Timing], sizes: dict[str, int], explanation: str) -> Section:
    rows = []
    for name in (COUNTED, DIGESTED, PARALLEL, CUSTOM):
        size = format_size(sizes[name])
        rows.append([name, *seconds(timings[name]), size, *ratios(timings[name], [timings[CUSTOM]])])
    rows += [
        [name, *seconds(timings[name]), "-", *ratios(timings[name], [timings[BY_HAND]])]
        for name in (DRILL, LOAD, BY_HAND)
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
        against("drill against the restore by hand", 0.8, timings[DRILL], [timings[BY_HAND]]),
        against("drill against its load alone", 1.2, timings[DRILL], [timings[LOAD]]),
        against("both together (2.3 times the speed)", 0.435, both, [rival]),
    ]
    columns = ("what", "min", "median", "size", "min / min of the rival", "median / median")
    command = f"nox -s bench -- --only {part.name}"
    return Section(part.title, command, columns, rows, targets, explanation)


def _sum(first: Timing, second: Timing) -> Timing:
    pairs = zip(first.seconds, second.seconds, strict=True)
    return Timing(first.name, seconds=[one + other for one, other in pairs])


EXPLANATION = (
    "{about}; {size} and {rows} rows, PostgreSQL {version}, "
    "server with initdb's own settings and everything in its cache. Ours are whole processes, interpreter and "
    "imports included. Create: `pg_dump -Fd -j 2` with zstd, while the server counts and hashes the rows in the same "
    "snapshot; then every file is hashed and made durable. The limit below it is `pg_dump -Fd -j 2 -Z zstd:1` alone, "
    "which measures nothing. Drill: fetch with digests, a server of its own, restore, every object, row and digest; the limit below it is the same server and `pg_restore` alone, which compares "
    "nothing. By "
    "hand: `createdb`, `pg_restore -j 4` of the `-Fc` file into the same ordinary server, and `count(*)` of each table; where "
    "pg_restore reports errors (it may fire triggers of partitioned tables while it loads), its time counts all the same."
)
