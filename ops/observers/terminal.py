"""How far a run is, on standard error: a bar on a terminal, a plain line every ten seconds elsewhere."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from ops.host.journal import Priority, with_priority
from ops.ports.observer import Observer, Setting
from ops.run.events import Advanced, Chosen, Event, Finished, Started
from ops.units import format_duration, format_size

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

_PLAIN_EVERY_S: Final = 10.0
_ERROR: Final = 2

Write = Callable[[str], None]


class PlainProgress:
    """A line every ten seconds: short work says nothing."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self._started = self._spoken = time.monotonic()
        self._what = ""

    @property
    def hears(self) -> tuple[type[Event], ...]:
        """How far a step is, and that the run is over."""
        return (Advanced,)

    def handle(self, event: Event) -> None:
        """Say how far it is when nothing was said for ten seconds."""
        if not isinstance(event, Advanced):
            return
        now = time.monotonic()
        if not event.done or event.what != self._what:
            self._what, self._started, self._spoken = event.what, now, now
        if now - self._spoken < _PLAIN_EVERY_S:
            return
        self._spoken = now
        rate = format_size(event.done / (now - self._started))
        of = f" of {format_size(event.total)}" if event.total else ""
        took = format_duration(now - self._started)
        about = f"{event.source}: " if event.source else ""
        self._write(f"{about}{event.what}: {format_size(event.done)}{of}, {rate}/s, {took}")


class TerminalProgress:
    """A bar with source, step, bytes, rate and time left, gone when the task ends."""

    def __init__(self) -> None:
        self._bar: RichProgress | None = None
        self._task: TaskID | None = None
        self._what, self._number, self._of = ("", ""), 0, 0

    @property
    def hears(self) -> tuple[type[Event], ...]:
        """How far a step is, and which source of how many it is about."""
        return (Started, Chosen, Advanced, Finished)

    def handle(self, event: Event) -> None:
        """Draw it, or take it away."""
        if isinstance(event, Chosen):
            self._of = len(event.sources)
        elif isinstance(event, Started) and event.source:
            self._number += 1
        elif isinstance(event, Advanced):
            self._draw(event)
        elif isinstance(event, Finished) and not event.source and self._bar is not None:
            self._bar.stop()

    def _draw(self, event: Advanced) -> None:
        if self._bar is None:
            self._bar = _make_bar()
            self._bar.start()
        if self._task is None or self._what != (event.source, event.what) or not event.done:
            if self._task is not None:
                self._bar.remove_task(self._task)
            self._what = (event.source, event.what)
            self._task = self._bar.add_task(self._about(event), total=event.total)
        self._bar.update(self._task, completed=event.done)

    def _about(self, event: Advanced) -> str:
        which = f" ({self._number} of {self._of})" if 0 < self._number <= self._of and self._of > 1 else ""
        return f"{event.source}{which}: {event.what}" if event.source else event.what


def _make_bar() -> RichProgress:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    # A file of its own: a terminal that is held (Ctrl-S) must not hold the lock of standard error as well.
    console = Console(file=open(os.dup(_ERROR), "w", encoding="utf-8", errors="replace"))  # noqa: SIM115, PTH123 - open to the end
    text = TextColumn("{task.description}", markup=False)
    rest = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn(compact=True))
    return Progress(SpinnerColumn(), text, *rest, console=console, transient=True)


def terminal(setting: Setting) -> Observer | None:
    """Return the listener that fits standard error; None with `--quiet`."""
    if setting.quiet:
        return None
    if sys.stderr.isatty() and setting.environ.get("TERM", "dumb") != "dumb":
        return TerminalProgress()

    def write(line: str) -> None:
        os.write(
            _ERROR,
            f"{with_priority(line, Priority.INFO, setting.environ)}\n".encode("utf-8", "backslashreplace"),
        )

    return PlainProgress(write)
