"""How much memory our processes use at their peak."""

import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.place import Place, drillbook, place_for
from bench.report import Section, Target
from bench.timing import say

COMMAND = "nox -s bench -- --only memory"
LIMIT_MIB = 200
SAMPLE_S = 0.02
EXPLANATION = (
    "The first figure is the larger of `ru_maxrss` and VmHWM of the process, the second the largest VmHWM among "
    "its worker processes, sampled from /proc every 20 ms; the last is the highest sum of the resident sets of "
    "all of them at one moment, in which shared pages count once for each process. Files are read and hashed in "
    "blocks, rows in batches, and SQLite's cache is bounded, so the size of the database does not matter. Below "
    "all lie the interpreter and its libraries: some 20 MiB a process."
)


@dataclass(slots=True)
class Peak:
    """Peak resident sizes in KiB."""

    main: int = 0
    worker: int = 0
    together: int = 0


def measure_memory(database: Path) -> Section:
    """The section about peak memory, for create, full verify and drill."""
    tasks: dict[str, list[str]] = {
        "create": ["backup.create"],
        "verify --level full": ["backup.verify", "latest", "--level", "full"],
        "drill": ["backup.drill"],
    }
    with place_for(database) as place:
        peaks = {name: _peak_of_task(place, arguments) for name, arguments in tasks.items()}
    rows = [
        [name, *(_mib(value) for value in (peak.main, peak.worker, peak.together))]
        for name, peak in peaks.items()
    ]
    targets = [
        Target(
            f"{name} (process / largest worker)", LIMIT_MIB, (peak.main / 1024, peak.worker / 1024), " MiB"
        )
        for name, peak in peaks.items()
    ]
    columns = ("what", "peak of the process", "largest worker", "all together")
    return Section("sqlite: peak memory", COMMAND, columns, rows, targets, EXPLANATION)


def _mib(kib: int) -> str:
    return f"{kib / 1024:.0f} MiB"


def _peak_of_task(place: Place, arguments: Sequence[str]) -> Peak:
    say(f"  memory of {' '.join(arguments)}")
    return peak_of([*drillbook(*arguments), "--config", str(place.config), "--format", "json"])


def peak_of(argv: Sequence[str]) -> Peak:
    """The peaks of a program that must succeed, and of its descendants."""
    peak = Peak()
    running = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while True:
        pid, status, usage = os.wait4(running.pid, os.WNOHANG)
        if pid:
            break
        _sample(running.pid, peak)
        time.sleep(SAMPLE_S)
    running.returncode = os.waitstatus_to_exitcode(status)
    if running.returncode:
        raise SystemExit(f"{' '.join(argv)} ended with {running.returncode}")
    # The kernel counts the largest waited-for child in ru_maxrss, too: a worker's peak is no more than shown.
    peak.main = max(peak.main, usage.ru_maxrss)
    return peak


def _sample(root: int, peak: Peak) -> None:
    together, own = 0, _command(root)
    for pid in _family(root):
        if pid != root and _command(pid) == own:
            continue  # forked, but not yet another program: its memory is its parent's
        high, resident = _sizes(pid)
        together += resident
        if pid == root:
            peak.main = max(peak.main, high)
        else:
            peak.worker = max(peak.worker, high)
    peak.together = max(peak.together, together)


def _family(root: int) -> Iterator[int]:
    """The process and all its descendants; without /proc (macOS) the process alone."""
    yield root
    for children in Path(f"/proc/{root}/task").glob("*/children"):
        try:
            pids = children.read_text(encoding="ascii").split()
        except OSError:
            continue
        for pid in pids:
            yield from _family(int(pid))


def _command(pid: int) -> bytes:
    """The command line of a process; empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _sizes(pid: int) -> tuple[int, int]:
    """VmHWM and VmRSS in KiB; zeros when the process is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return 0, 0
    fields = dict(line.split(":", 1) for line in lines if line.startswith(("VmHWM:", "VmRSS:")))
    high, resident = (int(fields.get(name, "0 kB").split()[0]) for name in ("VmHWM", "VmRSS"))
    return high, resident
