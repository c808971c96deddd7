"""Our own function over a long row of jobs in worker processes: results in order, few at a time, memory flat."""

from __future__ import annotations

import contextlib
import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from itertools import chain
from typing import Final, Generic, TypeVar

from ops.errors import ToolError
from ops.proc.workers import begin_worker, worker_count

Job = TypeVar("Job")
Result = TypeVar("Result")
_JOBS_A_WORKER: Final = 2
_JOBS_A_BATCH: Final = 256
_BYTES_A_BATCH: Final = 512 * 1024
_BYTES_UNDER_WAY: Final = 64 * 1024 * 1024


@contextlib.contextmanager
def results_in_order(
    function: Callable[[Job], Result], jobs: Iterable[Job], *, weight: Callable[[Job], int]
) -> Iterator[Iterator[Result]]:
    """`function(job)` of each job, in that order, computed in fresh worker processes that have begun already.

    A job is taken from `jobs` when there is room for it: at most two a worker are under way, and together no more
    than 64 MiB by `weight` (bytes), unless it is one alone. What is not begun when the block ends is not done.
    Errors that `function` and `jobs` raise are raised by the iterator. Raises ToolError when a worker was killed, as
    the kernel does when memory runs out. Function, jobs and results must be picklable.
    """
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(worker_count(), mp_context=context, initializer=begin_worker)
    try:
        yield iter(_Row(pool, function, jobs, weight))
    except BrokenProcessPool as error:
        message = "a worker process was killed while it checked or packed"
        raise ToolError(message, hint="look at the kernel log for 'out of memory'") from error
    finally:
        pool.shutdown(cancel_futures=True)


@contextlib.contextmanager
def results_of_many(
    function: Callable[[Job], Result],
    jobs: Iterable[Job],
    *,
    weight: Callable[[Job], int],
    alone: bool = False,
) -> Iterator[Iterator[Result]]:
    """Do the same for jobs that may be tiny: a worker gets several at a time, so that handing over costs less than the work.

    Some more jobs are taken ahead, up to half a mebibyte by `weight`; an error is raised in front of the results of its batch.
    `alone`: all of it is done here, sooner than workers would have begun.
    """
    if alone:
        yield map(function, jobs)
        return
    batches = _batches(jobs, weight)
    with results_in_order(
        partial(_each, function), batches, weight=lambda one: sum(map(weight, one))
    ) as found:
        yield chain.from_iterable(found)


def _each(function: Callable[[Job], Result], jobs: Sequence[Job]) -> list[Result]:
    return [function(job) for job in jobs]


def _batches(jobs: Iterable[Job], weight: Callable[[Job], int]) -> Iterator[list[Job]]:
    batch: list[Job] = []
    size = 0
    for job in jobs:
        if batch and (size + weight(job) > _BYTES_A_BATCH or len(batch) == _JOBS_A_BATCH):
            yield batch
            batch, size = [], 0
        batch.append(job)
        size += weight(job)
    if batch:
        yield batch


class _Row(Generic[Job, Result]):
    """Jobs that wait, jobs that are under way."""

    def __init__(
        self,
        pool: ProcessPoolExecutor,
        function: Callable[[Job], Result],
        jobs: Iterable[Job],
        weight: Callable[[Job], int],
    ) -> None:
        self._pool, self._function, self._weight = pool, function, weight
        self._jobs = iter(jobs)
        self._waiting = next(self._jobs, None)
        self._under_way: deque[tuple[Future[Result], int]] = deque()
        self._bytes = 0
        self._fill()

    def __iter__(self) -> Iterator[Result]:
        while self._under_way:
            future, weight = self._under_way.popleft()
            result = future.result()
            self._bytes -= weight
            self._fill()
            yield result

    def _fill(self) -> None:
        most = _JOBS_A_WORKER * worker_count()
        while self._waiting is not None and len(self._under_way) < most:
            weight = self._weight(self._waiting)
            if self._under_way and self._bytes + weight > _BYTES_UNDER_WAY:
                return
            self._under_way.append((self._pool.submit(self._function, self._waiting), weight))
            self._bytes += weight
            self._waiting = next(self._jobs, None)
