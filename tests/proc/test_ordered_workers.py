"""Long rows of jobs in worker processes: in order, few at a time, and no error is lost."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import pytest

from ops.errors import SourceError, ToolError
from ops.proc import worker_count
from ops.proc.ordered_workers import results_in_order, results_of_many

pytestmark = [pytest.mark.alone, pytest.mark.long]

MIB = 1 << 20


def doubled(number: int) -> int:
    """Twice the number; the later jobs are done sooner."""
    time.sleep(0.01 * (3 - number % 4))
    return 2 * number


def fail(number: int) -> int:
    """An error with all that it says."""
    raise SourceError(f"job {number}", code="source.changed", hint="again")


def end_here(number: int) -> int:
    """What the kernel does when memory runs out."""
    os.kill(os.getpid(), signal.SIGKILL)
    return number


def counted(count: int, taken: list[int]) -> Iterator[int]:
    """Jobs that tell when they are taken."""
    for number in range(count):
        taken.append(number)
        yield number


def test_in_order_and_few_at_a_time() -> None:
    """Results come in the order of their jobs, and no more jobs are taken than are worked on soon."""
    taken: list[int] = []
    with results_in_order(doubled, counted(30, taken), weight=lambda _: 1) as results:
        assert len(taken) == 2 * worker_count() + 1
        for number, result in enumerate(results):
            assert result == 2 * number
            assert len(taken) <= number + 2 + 2 * worker_count()
    assert taken == [*range(30)]


def test_large_jobs_come_alone() -> None:
    """Jobs that are large together wait for each other, also those larger than is allowed for all; no job is no work."""
    taken: list[int] = []
    with results_in_order(doubled, counted(5, taken), weight=lambda _: 100 * MIB) as results:
        assert len(taken) == 2
        assert [*results] == [0, 2, 4, 6, 8]
    with results_in_order(doubled, [], weight=lambda _: 1) as nothing:
        assert [*nothing] == []


def test_errors_arrive_whole() -> None:
    """What a job raises is raised with code and hint; a worker that was killed is an error that says where to look."""
    with (
        pytest.raises(SourceError, match="job 1") as caught,
        results_in_order(fail, [1], weight=abs) as results,
    ):
        next(results)
    assert (caught.value.code, caught.value.hint) == ("source.changed", "again")
    with (
        pytest.raises(ToolError, match="killed") as killed,
        results_in_order(end_here, [1], weight=abs) as results,
    ):
        next(results)
    assert "out of memory" in killed.value.hint


def test_many_tiny_jobs() -> None:
    """They are handed over together, in order, and not much further ahead than is worked on; a large one goes alone."""
    taken: list[int] = []
    with results_of_many(
        doubled, counted(10_000, taken), weight=lambda job: MIB if job == 700 else 1
    ) as results:
        assert len(taken) <= 256 * (2 * worker_count() + 2)
        assert [*results] == [2 * number for number in range(10_000)]
    with results_of_many(doubled, [], weight=lambda _: 1) as nothing:
        assert [*nothing] == []


def test_an_error_among_many() -> None:
    """It arrives whole."""
    with (
        pytest.raises(SourceError, match="job 1") as caught,
        results_of_many(fail, [1, 1], weight=abs) as results,
    ):
        next(results)
    assert (caught.value.code, caught.value.hint) == ("source.changed", "again")
