"""How long a hundred thousand backups take to list, ten thousand to prune, and what fifty thousand cost the next one."""

import compileall
import contextlib
import os
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import ops
from bench.histories import BETWEEN, fill_store
from bench.place import drillbook
from bench.report import Section, Target, seconds
from bench.timing import Candidate, Details, Timing, in_turns, program, say
from ops.units import format_duration

COMMAND = "nox -s bench -- --only listing"
LISTED = 100_000
KNOWN = 50_000
PRUNED = 10_000
KEPT = 10
LIST_S = 1.0
DOCTOR_S = 3.0
SETTLED_S = 3
TABLES = 5
TABLE = "CREATE TABLE table_{number} (x); INSERT INTO table_{number} VALUES (1);"
NEXT = (("backup.create",), ("backup.show", "latest"), ("doctor",))
CONFIG = """
[source.bench]
kind = "sqlite"
path = "data.db"
policy = "few"

[policy.few]
keep_last = {kept}

[store.local]
kind = "local"
path = "{store}"
"""
LOOK = (
    "import os; sum(1 for entry in os.scandir({folder!r}) if entry.name.endswith('.json') and entry.stat())"
)


def measure_listing(cache: Path, rounds: int) -> Section:
    """The section about long listings; stores and what is remembered of them lie below `cache` while it runs."""
    # Invoke writes no bytecode of what it starts: without this the compiler would be measured in each run.
    compileall.compile_dir(str(Path(ops.__file__).parent), quiet=1)
    with tempfile.TemporaryDirectory(prefix="run-", dir=cache) as folder:
        place = Path(folder)
        with contextlib.closing(sqlite3.connect(place / "data.db")) as connection:
            connection.executescript("".join(TABLE.format(number=number) for number in range(TABLES)))
        for name, count in (("empty", 0), ("many", LISTED), ("known", KNOWN), ("some", PRUNED)):
            (place / f"{name}.toml").write_text(CONFIG.format(kept=KEPT, store=name), encoding="utf-8")
            say(f"building a store of {count} backups")
            fill_store(place / name, count, _real(place))
        time.sleep(SETTLED_S)
        _run(
            place,
            *drillbook("backup.list", "--quiet", "--config", str(place / "known.toml")),
            cache="known-cache",
        )()
        timings = in_turns(_candidates(place), rounds, sync=False)
    rows = [[timing.name, *seconds(timing)] for timing in timings]
    warm = next(timing for timing in timings if "remembered, text" in timing.name)
    doctor = next(timing for timing in timings if "doctor" in timing.name and "beside" in timing.name)
    targets = [
        Target("100,000 backups listed (minimum / median)", LIST_S, (warm.best, warm.median), " s"),
        Target("`doctor` with 50,000 (minimum / median)", DOCTOR_S, (doctor.best, doctor.median), " s"),
    ]
    heads = ("what", "min", "median")
    return Section("backup.list and backup.prune", COMMAND, heads, rows, targets, _about(timings))


def _real(place: Path) -> Path:
    """The manifest of a backup that a task made, for others to be like it."""
    (place / "real.toml").write_text(CONFIG.format(kept=KEPT, store="real"), encoding="utf-8")
    _run(place, *drillbook("backup.create", "--quiet", "--config", str(place / "real.toml")))()
    return next((place / "real").glob("*.manifest.json"))


def _candidates(place: Path) -> list[Candidate]:
    many = str(place / "many")
    listing = ("backup.list", "--config", str(place / "many.toml"))
    return [
        Candidate(name="`python -c pass`", run=_run(place, sys.executable, "-c", "pass")),
        Candidate(
            name="`backup.list`, empty store",
            run=_run(place, *drillbook("backup.list", "--config", str(place / "empty.toml"))),
        ),
        Candidate(name="`ls -U`, 400,000 names", run=_run(place, "ls", "-U", many)),
        Candidate(
            name="a look at each small file (`os.scandir`, `stat`), nothing read",
            run=_run(place, sys.executable, "-c", LOOK.format(folder=many)),
        ),
        Candidate(
            name="`backup.list`, nothing remembered",
            run=_run(place, *drillbook(*listing)),
            prepare=_forget(place),
        ),
        Candidate(name="`backup.list`, remembered, text", run=_run(place, *drillbook(*listing))),
        Candidate(
            name="`backup.list`, remembered, JSON", run=_run(place, *drillbook(*listing, "--format", "json"))
        ),
        Candidate(
            name=f"`backup.prune`, {PRUNED:,} backups to {KEPT}",
            run=_run(
                place, *drillbook("backup.prune", "--yes", "--many", "--config", str(place / "prune.toml"))
            ),
            prepare=_stored_again(place),
        ),
        *(_of_known(place, task, name) for task in NEXT for name in ("empty", "known")),
    ]


def _of_known(place: Path, task: Sequence[str], name: str) -> Candidate:
    """A task on a store with no backups of before, or with many that were listed once."""
    beside = f"{KNOWN:,} backups beside" if name == "known" else "empty store"
    words = drillbook(*task, "--config", str(place / f"{name}.toml"))
    return Candidate(
        name=f"`{' '.join(task)}`, {beside}", run=_run(place, *words, cache="known-cache", codes=(0, 1))
    )


def _run(
    place: Path, *argv: str, cache: str = "cache", codes: tuple[int, ...] = (0,)
) -> Callable[[], Details]:
    own = (f"XDG_CACHE_HOME={place / cache}", f"OPS_STATE_DIR={place / 'state'}", "LOG_LEVEL=ERROR")

    def run() -> Details:
        program("env", *own, *argv, codes=codes)
        return {}

    return run


def _forget(place: Path) -> Callable[[], Callable[[], None]]:
    def prepare() -> Callable[[], None]:
        shutil.rmtree(place / "cache", ignore_errors=True)
        return lambda: None

    return prepare


def _stored_again(place: Path) -> Callable[[], Callable[[], None]]:
    """A copy of the store for each run, since pruning takes it away."""
    (place / "prune.toml").write_text(CONFIG.format(kept=KEPT, store="pruned"), encoding="utf-8")

    def prepare() -> Callable[[], None]:
        shutil.copytree(place / "some", place / "pruned")
        (place / "pruned").chmod(0o700)
        os.sync()
        return lambda: shutil.rmtree(place / "pruned")

    return prepare


def _about(timings: list[Timing]) -> str:
    took = {timing.name: timing.median for timing in timings}
    each = next(took[name] for name in took if "prune" in name) / PRUNED
    return (
        f"Stores of small backups, one each {format_duration(BETWEEN.total_seconds())}: payload, checksum file, manifest and the evidence of one "
        "verify each, on a local disk, all in the page cache. Each run is a process of its own, interpreter and imports "
        "included. The limit of a listing is the start of Python with its imports and the look at the change time of each "
        "small file, without which nobody knows that it is the same; our look is shared by as many processes as there are cores. "
        f"Pruning reads every manifest and deletes durably, in the order that a kill cannot hurt: {each * 1000:.1f} ms a backup."
    )
