"""How long each task needs until it begins: the interpreter, and all that the task imports."""

import json
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from bench.place import drillbook
from bench.report import Section, Target, seconds
from bench.timing import Candidate, Details, Timing, in_turns, program

COMMAND = "nox -s bench -- --only start"
RUNS = 20
LIMIT_S = 0.25
CONFIG = """
[source.bench]
kind = "sqlite"
path = "data.db"

[source.jobs]
kind = "sqlite"
path = "jobs.db"

[store.local]
kind = "local"
path = "backups"

[store.away]
kind = "local"
path = "away"

[ingest]
source = "jobs"
"""
TABLES = {
    "data.db": "CREATE TABLE prices (ticker, date, open, high, low, close, volume, PRIMARY KEY (ticker, date));",
    "jobs.db": "CREATE TABLE ingest_logs (ticker, job_id, started_at, finished_at, rows_fetched, status);",
}
LATEST = ("latest", "--source", "bench")
TASKS: tuple[tuple[str, ...], ...] = (
    ("backup.create",),
    ("backup.list",),
    ("backup.show", *LATEST),
    ("backup.verify", *LATEST),
    ("backup.drill", "--source", "bench"),
    ("backup.restore", "--from", *LATEST, "--dry-run"),
    ("backup.prune", "--dry-run"),
    ("backup.keep", *LATEST, "--reason", "bench"),
    ("backup.release", *LATEST),
    ("backup.adopt", "--series", "00000000", "--source", "bench"),
    ("store.push",),
    ("store.pull", *LATEST),
    ("store.check",),
    ("store.reencrypt", "--dry-run"),
    ("snapshot.create", "--source", "bench", "--out", "prices.csv", "--replace"),
    ("snapshot.verify",),
    ("snapshot.restore-verify", "--path", "prices.csv"),
    ("snapshot.purge", "--dry-run"),
    ("metrics",),
    ("logs",),
    ("test-conn", "--no-network"),
    ("doctor",),
)
"""The tasks but for `demo`, each with what it needs to do a little."""
LOADED = """
import atexit, json, os, sys
known = lambda: [name for name, module in sys.modules.items() if _own(name, getattr(module, "__spec__", None))]
_own = lambda name, spec: spec is not None and spec.name == name
atexit.register(lambda: json.dump(known(), open(os.environ["BENCH_LOADED"], "w")))
import drillbook
drillbook.main()
"""
"""A task, and in a file the modules that it had loaded at its end, in their order."""
CODES = (0, 1, 2)
"""Also 2: a task that finds nothing to do here has imported all the same."""
EXPLANATION = (
    "Each run is a process of its own. A start is the interpreter, and everything that the task had imported when it ended, "
    "imported in the same order by a program that does nothing else; of Invoke, everything that its command line needs. "
    "The whole task is on a database of one empty table, with one backup or a few, and so is mostly its start. Of "
    "Invoke's share, some 50 ms are `unittest.mock` with `asyncio`, `importlib.metadata` with `email`, and a YAML reader, "
    "which no task of ours uses."
)


def measure_start(rounds: int) -> Section:
    """The section about starting; `rounds` of 20 runs would be too many, so the runs are these twenty."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _prepare(folder)
        starts = [
            Candidate(name="`python -c pass`", run=_run(folder, sys.executable, "-c", "pass")),
            Candidate(name="Invoke alone", run=_run(folder, sys.executable, "-c", "import invoke.program")),
        ]
        for words in TASKS:
            script = f"import {', '.join(_loaded(folder, words))}"
            starts.append(Candidate(name=f"`{words[0]}`", run=_run(folder, sys.executable, "-c", script)))
        tasks = [Candidate(name=words[0], run=_run(folder, *drillbook(*words))) for words in TASKS]
        in_turns(starts, 1, sync=False)
        timings = in_turns([*starts, *tasks], max(rounds, RUNS), sync=False)
    return _section(timings[: len(starts)], timings[len(starts) :])


def _section(starts: Sequence[Timing], tasks: Sequence[Timing]) -> Section:
    alone, ours = starts[: -len(tasks)], starts[-len(tasks) :]
    rows = [[timing.name, *seconds(timing), "-", "-"] for timing in alone]
    rows += [[start.name, *seconds(start), *seconds(task)] for start, task in zip(ours, tasks, strict=True)]
    slowest = (max(timing.best for timing in ours), max(timing.median for timing in ours))
    target = Target("the slowest start (minimum / median)", LIMIT_S, slowest, " s")
    columns = ("what", "start: min", "median", "whole task: min", "median")
    return Section("start of each task", COMMAND, columns, rows, [target], EXPLANATION)


def _prepare(folder: Path) -> None:
    """A configuration, its databases, and one backup."""
    (folder / "ops.toml").write_text(CONFIG, encoding="utf-8")
    for file, statement in TABLES.items():
        with closing(sqlite3.connect(folder / file)) as connection:
            connection.executescript(statement)
    _run(folder, *drillbook("backup.create"))()


def _loaded(folder: Path, words: Sequence[str]) -> list[str]:
    """The modules that a task loads."""
    out = folder / "loaded.json"
    _run(folder, sys.executable, "-c", LOADED, *words, loaded=out)()
    return [str(name) for name in json.loads(out.read_text(encoding="utf-8"))]


def _run(folder: Path, *argv: str, loaded: Path | None = None) -> Callable[[], Details]:
    own = [f"XDG_CACHE_HOME={folder / 'cache'}", f"OPS_STATE_DIR={folder / 'state'}", "LOG_LEVEL=ERROR"]
    own += [f"BENCH_LOADED={loaded}"] if loaded else []

    def run() -> Details:
        program("env", *own, *argv, folder=folder, codes=CODES)
        return {}

    return run
