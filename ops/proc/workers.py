"""Our own functions in worker processes, for work that holds the interpreter lock."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from ops.errors import ToolError

_MOST_TOGETHER: Final = 256
_SHARES: Final = 8
"""Messages for each worker at least, so that none waits long for the slowest."""
Job = TypeVar("Job")
Result = TypeVar("Result")


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
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool

    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(worker_count(), len(jobs)), mp_context=context, initializer=begin_worker)
    try:
        with pool:
            # Many small jobs are handed over together: each message costs as much as a small job.
            together = max(1, min(_MOST_TOGETHER, len(jobs) // (_SHARES * worker_count())))
            return list(pool.map(function, jobs, chunksize=together))
    except BrokenProcessPool as error:
        message = "a worker process was killed while it measured"
        raise ToolError(message, hint="look at the kernel log for 'out of memory'") from error


def begin_worker() -> None:
    """What every worker does first: leave Ctrl-C to its parent, and never outlive it."""
    # Ctrl-C reaches the whole foreground group; the parent alone decides what is undone.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A pool of which a worker was killed ends the others with SIGTERM, and waits for them. What else we inherited
    # deaf (a hang-up, under nohup) stays so: workers are in their parent's group, and live as long as it does.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    # Workers hold both ends of the queue that they wait at, so that a parent that was killed never ends it.
    from multiprocessing import parent_process

    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
