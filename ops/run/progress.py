"""How long work tells how far it is, without knowing who listens (a terminal, a log, no one)."""

from __future__ import annotations

import time
from typing import Final, Protocol

from ops.run.events import Advanced, Listener

_TOLD_EVERY_S: Final = 0.1


class Progress(Protocol):
    """A listener; every method returns at once. One that raises gives the work up."""

    def step(self, what: str, total: int | None = None) -> None:
        """A new step begins; `total` bytes are expected in it, or None when that is not known."""

    def advance(self, count: int) -> None:
        """`count` more bytes of the present step are done."""


class _Silent:
    def step(self, what: str, total: int | None = None) -> None:
        """Tell no one."""

    def advance(self, count: int) -> None:
        """Tell no one."""


silent: Progress = _Silent()
"""The listener that does nothing."""


class ToldProgress:
    """Turns progress into events: one when a step begins, then ten a second at most, however small its pieces are."""

    def __init__(self, source: str, tell: Listener) -> None:
        self._source, self._tell = source, tell
        self._what, self._done, self._told = "", 0, 0.0
        self._total: int | None = None

    def step(self, what: str, total: int | None = None) -> None:
        """Tell that a step begins."""
        self._what, self._total, self._done = what, total, 0
        self._tell_now(time.monotonic())

    def advance(self, count: int) -> None:
        """Count the bytes, and tell how many there are when it is time to."""
        self._done += count
        now = time.monotonic()
        if now - self._told >= _TOLD_EVERY_S:
            self._tell_now(now)

    def _tell_now(self, now: float) -> None:
        self._told = now
        self._tell(Advanced(source=self._source, what=self._what, done=self._done, total=self._total))
