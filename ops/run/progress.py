"""How long work tells how far it is, without knowing who listens (a terminal, a log, nobody)."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """A listener; every method returns at once. One that raises gives the work up."""

    def step(self, what: str, total: int | None = None) -> None:
        """A new step begins; `total` bytes are expected in it, or None when that is not known."""

    def advance(self, count: int) -> None:
        """`count` more bytes of the present step are done."""


class _Silent:
    def step(self, what: str, total: int | None = None) -> None:
        """Nobody listens."""

    def advance(self, count: int) -> None:
        """Nobody listens."""


silent: Progress = _Silent()
"""The listener that does nothing."""
