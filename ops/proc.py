"""The only door to other processes: programs through sh, and our own code in worker processes.

Programs get argument lists (never a shell string), their output goes to files (never through Python
callbacks), and they end at a time-out together with everything they started.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from ops.errors import ToolError

if TYPE_CHECKING:
    import sh

_TAIL_BYTES = 4000

Job = TypeVar("Job")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Completed:
    """How a program ended: its exit code (None when the time-out ended it) and the end of its output."""

    exit_code: int | None
    output_tail: str


def find_program(name: str) -> str:
    """The full path of the program `name` on PATH; raises ToolError when there is none."""
    path = shutil.which(name)
    if path is None:
        message = f"program {name!r} is not on PATH"
        raise ToolError(message, code="tool.missing", hint="install it, or correct the command's first word")
    return path


def run_program(
    argv: Sequence[str], *, timeout_s: float, environment: Mapping[str, str], folder: Path
) -> Completed:
    """Run `argv` in `folder` with exactly `environment` and no standard input; how it ended.

    At the time-out the program's whole process group is killed. Raises ToolError when it can not be started.
    """
    import sh

    command = sh.Command(find_program(argv[0]))
    with tempfile.TemporaryFile() as output:

        def start() -> sh.RunningCommand:
            return command(
                *argv[1:],
                _in=os.devnull,
                _out=output,
                _err=output,
                _env=dict(environment),
                _cwd=str(folder),
                _bg=True,
                _bg_exc=False,
                _new_session=True,
            )

        try:
            exit_code = _run_until(start, timeout_s)
        except (OSError, sh.ForkException) as error:
            raise ToolError(f"can not start {argv[0]!r}: {error}") from error
        size = output.seek(0, os.SEEK_END)
        output.seek(max(0, size - _TAIL_BYTES))
        return Completed(exit_code, output.read().decode("utf-8", "replace").strip())


def _run_until(start: Callable[[], sh.RunningCommand], timeout_s: float) -> int | None:
    import sh

    running = start()
    try:
        running.wait(timeout=timeout_s)
    except sh.TimeoutException:
        # The program leads a session of its own: this reaches everything it started, too.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
        return None
    except sh.ErrorReturnCode as error:
        return int(error.exit_code)
    return int(running.exit_code)


def worker_count() -> int:
    """How many processes are worth starting here: the cores that this process may use, at most eight."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return min(cores, 8)


def run_in_workers(function: Callable[[Job], Result], jobs: Sequence[Job]) -> list[Result]:
    """`function(job)` for each job, in that order, computed in fresh worker processes.

    Errors that `function` raises are raised here. Raises ToolError when a worker was killed, as the kernel
    does when memory runs out. Function, jobs and results must be picklable.
    """
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(
        min(worker_count(), len(jobs)), mp_context=context, initializer=_ignore_interrupts
    )
    try:
        with pool:
            return list(pool.map(function, jobs))
    except BrokenProcessPool as error:
        message = "a worker process was killed while it measured"
        raise ToolError(message, hint="look at the kernel log for 'out of memory'") from error


def _ignore_interrupts() -> None:
    # Ctrl-C reaches the whole foreground group; the parent alone decides what is undone.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
