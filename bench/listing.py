"""How long the list of tasks takes to appear."""

import tempfile
from pathlib import Path

from bench.place import drillbook, installed
from bench.report import Section, against, ratios, seconds
from bench.timing import Candidate, Details, in_turns, program

COMMAND = "nox -s bench -- --only list"
RUNS = 20
REPOSITORY = Path(__file__).parents[1]
EMPTY_TASKS = "from invoke import task\n\n\n@task\ndef nothing(c):\n    pass\n"
EXPLANATION = (
    "Each run is a process of its own. The limit is the interpreter's start and the import of Invoke; what we add "
    "is the declaration of the tasks. Everything heavy is imported by the task that needs it."
)


def measure_list(rounds: int) -> Section:
    """The section about `--list`; `rounds` of 20 runs would be too many, so the runs are these twenty."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "tasks.py").write_text(EMPTY_TASKS, encoding="utf-8")
        invoke = str(installed("invoke"))
        candidates = [
            Candidate(name="`invoke --list`, one empty task", run=lambda: _list([invoke], Path(folder))),
            Candidate(name="`invoke --list`, Drillbook", run=lambda: _list([invoke], REPOSITORY)),
            Candidate(name="`drillbook --list`", run=lambda: _list(drillbook(), REPOSITORY)),
        ]
        in_turns(candidates, 1, sync=False)
        timings = in_turns(candidates, max(rounds, RUNS), sync=False)
    empty, ours, console = timings
    rows = [[timing.name, *seconds(timing), *ratios(timing, [empty])] for timing in timings]
    columns = ("what", "min", "median", "min / empty", "median / empty")
    targets = [against(ours.name, 1.5, ours, [empty]), against(console.name, 1.5, console, [empty])]
    return Section("invoke --list", COMMAND, columns, rows, targets, EXPLANATION)


def _list(argv: list[str], folder: Path) -> Details:
    program(*argv, "--list", folder=folder)
    return {}
