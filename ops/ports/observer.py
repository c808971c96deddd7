"""What an observer promises: it takes events of a run, and changes nothing of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from ops.host.state_dir import StateDir
from ops.run.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What an observer may ask about the run when it is made."""

    environ: Mapping[str, str]
    state: StateDir
    quiet: bool = False
    verbose: bool = False


class Observer(Protocol):
    """Takes events, one at a time and in order.

    It runs in a thread beside the work. It may raise, and it may take its time: that is told as a warning on standard
    error, and is never a verdict and never another exit code (`ops.observers.audience`).
    """

    @property
    def hears(self) -> tuple[type[Event], ...]:
        """The kinds of event that it wants: of the others it is not told, and they cost nothing."""

    def handle(self, event: Event) -> None:
        """Take one event. What it opens, it opens here, not when it is made."""
