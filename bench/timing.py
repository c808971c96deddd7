"""Running candidates in turns and keeping what each round took.

The candidates of one part take turns (A B C A B C ...): a slow minute of the machine then hits all of them.
"""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

PATIENCE_S = 600.0
"""A program that needs longer than this is ended, and the table says so."""

Details = Mapping[str, float]
"""Seconds of named parts of a run, where it has any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One thing to time. `prepare` and `clean` run outside the clock; `run` tells the times of its parts."""

    name: str
    run: Callable[[], Details]
    prepare: Callable[[], Callable[[], None]] = lambda: lambda: None
    proves: str = ""


@dataclass(slots=True)
class Timing:
    """What the rounds of one candidate took, in seconds."""

    name: str
    proves: str = ""
    seconds: list[float] = field(default_factory=list)
    details: list[Details] = field(default_factory=list)
    gave_up: bool = False

    @property
    def best(self) -> float:
        return min(self.seconds)

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    def detail(self, name: str) -> "Timing":
        """The times of one part of each run, as if it had been timed alone."""
        return Timing(name, self.proves, [details[name] for details in self.details if name in details])


def in_turns(candidates: Sequence[Candidate], rounds: int, *, sync: bool = True) -> list[Timing]:
    """The timings of `candidates`, each run `rounds` times, in turns."""
    timings = [Timing(candidate.name, candidate.proves) for candidate in candidates]
    for number in range(rounds):
        for candidate, timing in zip(candidates, timings, strict=True):
            if not timing.gave_up:
                _run_once(candidate, timing, sync=sync)
                say(f"  {number + 1}/{rounds}  {candidate.name}: {_last(timing)}")
    return timings


def _last(timing: Timing) -> str:
    return "gave up" if timing.gave_up else f"{timing.seconds[-1]:.2f} s"


def _run_once(candidate: Candidate, timing: Timing, *, sync: bool) -> None:
    clean = candidate.prepare()
    if sync:
        os.sync()
    try:
        started = time.perf_counter()
        details = candidate.run()
        timing.seconds.append(time.perf_counter() - started)
        timing.details.append(details)
    except subprocess.TimeoutExpired:
        timing.gave_up = True
    finally:
        clean()


def program(
    *argv: str | Path,
    folder: Path | None = None,
    feed: str | None = None,
    patience_s: float = PATIENCE_S,
    codes: Sequence[int] = (0,),
) -> str:
    """The standard output of a program that must end with one of `codes`; raises TimeoutExpired when it takes too long."""
    done = subprocess.run(
        [str(word) for word in argv],
        cwd=folder,
        input=feed,
        capture_output=True,
        text=True,
        timeout=patience_s,
        check=False,
    )
    if done.returncode not in codes:
        raise SystemExit(
            f"{' '.join(map(str, argv))} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        )
    return done.stdout


def say(line: str) -> None:
    """A line about progress; the result alone goes to standard output."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def ratio(timing: Timing, limit: Sequence[Timing]) -> tuple[float, float]:
    """How many times as long as the slowest of `limit`: from the minima, from the medians."""
    return (
        timing.best / max(each.best for each in limit),
        timing.median / max(each.median for each in limit),
    )
