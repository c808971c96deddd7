"""How time and memory grow with the length of an event log: each step has ten times the events of the one before."""

import os
import shutil
import tempfile
import time
from pathlib import Path

from bench.eventlog import CONFIG, PER_SEGMENT, make_log
from bench.memory import LIMIT_MIB, Peak, peak_of
from bench.place import drillbook
from bench.report import Section, Target
from bench.timing import say
from ops.units import format_size

COMMAND = "nox -s bench -- --only eventlog-growth"
LARGEST_VARIABLE = "BENCH_LARGEST_LOG"
"""The environment variable that says after how many events to stop; without it after the last of `COUNTS`."""
COUNTS = (10_000, 100_000, 1_000_000, 10_000_000)
TASKS = ("backup.create", "backup.verify", "backup.drill")
PARTS = ("backup.create", "backup.verify (quick)", "backup.drill")
EXPLANATION = (
    f"Segments of {PER_SEGMENT:,} events, as the program writes them. Time is the smallest of the rounds, whole processes "
    "with their imports, and divided by the number of events; `sync` runs before each. Memory is that of the process and "
    "of its largest worker, as in the part about memory. It holds a few segments at a time and a record of each, so that "
    "only the number of segments counts, and little."
)


def measure_growth(cache: Path, rounds: int) -> Section:
    """The section about growing logs."""
    largest = int(os.environ.get(LARGEST_VARIABLE, COUNTS[-1]))
    rows, targets = [], []
    for count in COUNTS:
        if count > largest:
            break
        with tempfile.TemporaryDirectory(prefix="growth-", dir=cache) as name:
            folder = Path(name)
            (folder / "ops.toml").write_text(CONFIG)
            (folder / "scratch").mkdir()
            make_log(folder / "data", count)
            size = sum(path.stat().st_size for path in (folder / "data/event-log").iterdir())
            for part, task in zip(PARTS, TASKS, strict=True):
                seconds, peak = _best_of(folder, task, rounds)
                rows.append(_row(count, size, part, seconds, peak))
                peaks = (peak.main / 1024, peak.worker / 1024)
                targets.append(Target(f"{part}, {count:,} events", LIMIT_MIB, peaks, " MiB"))
    columns = ("events", "JSON", "what", "time", "time / event", "peak of the process", "largest worker")
    return Section("eventlog: growth", COMMAND, columns, rows, targets, EXPLANATION)


def _best_of(folder: Path, task: str, rounds: int) -> tuple[float, Peak]:
    """The shortest time of the rounds, and the largest peaks; a create begins without a former backup."""
    best, peak = float("inf"), Peak()
    argv = [*drillbook(task), "--config", str(folder / "ops.toml"), "--format", "json"]
    for number in range(rounds):
        if task == TASKS[0]:
            shutil.rmtree(folder / "store", ignore_errors=True)
        os.sync()
        started = time.perf_counter()
        found = peak_of(argv)
        best = min(best, time.perf_counter() - started)
        peak.main, peak.worker = max(peak.main, found.main), max(peak.worker, found.worker)
        say(f"  {number + 1}/{rounds}  {task}: {best:.2f} s")
    return best, peak


def _row(count: int, size: int, part: str, seconds: float, peak: Peak) -> list[str]:
    memory = [f"{kib / 1024:.0f} MiB" for kib in (peak.main, peak.worker)]
    return [
        f"{count:,}", format_size(size), part, f"{seconds:.2f} s", f"{seconds / count * 1e6:.2f} µs", *memory,
    ]  # fmt: skip
