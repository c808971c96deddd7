"""Who listens to a running job: a progress bar on a terminal, plain lines elsewhere, the log of steps."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from ops.errors import ConfigError
from ops.run.job import LineSink, discard
from ops.run.progress import Progress, silent
from ops.units import format_duration, format_size

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

_PLAIN_EVERY_S: Final = 10.0
_LEVELS: Final = {"DEBUG": 0, "INFO": 0, "WARNING": 1, "ERROR": 2, "CRITICAL": 2}


class PlainProgress:
    """A line every ten seconds on standard error: short work says nothing."""

    def __init__(self) -> None:
        self._what, self._total, self._done = "", 0, 0
        self._started = self._spoken = time.monotonic()

    def step(self, what: str, total: int | None = None) -> None:
        """A new step begins."""
        self._what, self._total, self._done = what, total or 0, 0
        self._started = self._spoken = time.monotonic()

    def advance(self, count: int) -> None:
        """`count` more bytes are done."""
        self._done += count
        now = time.monotonic()
        if now - self._spoken >= _PLAIN_EVERY_S:
            self._spoken = now
            rate = format_size(self._done / (now - self._started))
            of = f" of {format_size(self._total)}" if self._total else ""
            took = format_duration(now - self._started)
            sys.stderr.write(f"{self._what}: {format_size(self._done)}{of}, {rate}/s, {took}\n")


class TerminalProgress:
    """A bar with bytes and rate on standard error, gone when the task ends."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, SpinnerColumn, TextColumn, TransferSpeedColumn
        from rich.progress import Progress as RichProgress

        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(),
        )
        self._bar: RichProgress = RichProgress(
            *columns, TransferSpeedColumn(), console=Console(stderr=True), transient=True
        )
        self._task: TaskID | None = None

    def step(self, what: str, total: int | None = None) -> None:
        """A new step begins, in place of the last."""
        if self._task is None:
            self._bar.start()
        else:
            self._bar.remove_task(self._task)
        self._task = self._bar.add_task(what, total=total)

    def advance(self, count: int) -> None:
        """`count` more bytes are done."""
        if self._task is not None:
            self._bar.advance(self._task, count)

    def close(self) -> None:
        """Take the bar away."""
        self._bar.stop()


def make_progress(*, quiet: bool) -> Progress:
    """Return the listener that fits standard error, or with `quiet` one that says nothing."""
    if quiet:
        return silent
    return TerminalProgress() if sys.stderr.isatty() else PlainProgress()


def make_sink(environ: Mapping[str, str], *, quiet: bool = False, verbose: bool = False) -> LineSink:
    """Return where the log of steps goes: `LOG_FILE`, else standard error, on a terminal only when `verbose`.

    `LOG_LEVEL` of WARNING or above, or `quiet` without a `LOG_FILE`, leaves only the lines of steps that failed.
    Raises ConfigError when the file can not be written, or the level is none.
    """
    usual = "WARNING" if quiet and not environ.get("LOG_FILE") else "INFO"
    level = environ.get("LOG_LEVEL", "").upper() or usual
    if level not in _LEVELS:
        raise ConfigError(f"LOG_LEVEL={level} is no level", hint=f"one of {', '.join(_LEVELS)}")
    target = environ.get("LOG_FILE", "")
    if not target and sys.stderr.isatty() and not verbose:
        return discard
    descriptor = _open_log(target) if target else sys.stderr.fileno()

    def write(line: str) -> None:
        if _LEVELS[level] == 0 or json.loads(line)["status"] != "ok":
            # One write a line: lines of runs that share the file do not mix.
            try:
                os.write(descriptor, f"{line}\n".encode())
            except OSError as error:
                _complain(error)

    return write


def _complain(error: OSError) -> None:
    """Say that a log line was lost. A full disk under the log must not be the end of a backup elsewhere."""
    with contextlib.suppress(OSError):
        sys.stderr.write(f"WARNING: a log line could not be written: {error.strerror}\n")


def _open_log(target: str) -> int:
    try:
        return os.open(target, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigError(f"LOG_FILE {target} can not be written: {error.strerror}") from error
