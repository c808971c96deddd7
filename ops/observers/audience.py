"""Handing events to observers, so that none of them can fail, delay or stop what it observes."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

from ops.host.journal import Priority, with_priority
from ops.ports.observer import Observer
from ops.run.events import Event

_PATIENCE_S: Final = 1.0
"""So long an event may take before the work goes on without waiting for it."""
_PATIENCE_AT_END_S: Final = 5.0
_MOST_WAITING: Final = 1000
_ERROR: Final = 2

Warn = Callable[[str], None]


def warn(message: str) -> None:
    """Write a warning to standard error. Whoever does not read it keeps no one waiting for more than a second."""
    line = with_priority(f"WARNING: {message}", Priority.WARNING, os.environ)
    thread = threading.Thread(
        target=_write, args=(f"{line}\n".encode("utf-8", "backslashreplace"),), daemon=True
    )
    thread.start()
    thread.join(_PATIENCE_S)


def _write(content: bytes) -> None:
    try:
        # Not sys.stderr, whose lock a write that never ends would hold until the interpreter gives up.
        os.write(_ERROR, content)
    except OSError:
        return


class Audience:
    """All observers of a run; `tell` never raises. Each gets its events in order."""

    def __init__(
        self,
        observers: Mapping[str, Observer],
        warn: Warn = warn,
        patience_s: float = _PATIENCE_S,
        at_end_s: float = _PATIENCE_AT_END_S,
    ) -> None:
        self._at_end_s = at_end_s
        self._seats = [_Seat(name, observer, warn, patience_s) for name, observer in observers.items()]

    def tell(self, event: Event) -> None:
        """Hand the event to all who want it."""
        for seat in self._seats:
            seat.tell(event)

    def close(self) -> None:
        """Wait a little for observers that are behind; what they did not take is told as a warning."""
        for seat in self._seats:
            seat.close(self._at_end_s)


class _Seat:
    """One observer with the events that wait for it.

    A thread hands them over, and is gone as soon as none is left: programs that copy this process (`ops.proc.fork`) need
    it to have no second thread, and between events it has none.
    """

    def __init__(self, name: str, observer: Observer, warn: Warn, patience_s: float) -> None:
        self._name, self._observer, self._warn, self._patience_s = name, observer, warn, patience_s
        self._lock = threading.Lock()
        self._waiting: deque[Event] = deque()
        self._thread: threading.Thread | None = None
        self._failed, self._lost, self._is_slow = 0, 0, False

    def tell(self, event: Event) -> None:
        """Hand over one event, and wait until it was taken, but not for long."""
        if not isinstance(event, self._observer.hears):
            return
        with self._lock:
            if len(self._waiting) >= _MOST_WAITING:
                self._lost += 1
                return
            self._waiting.append(event)
            thread = self._thread = self._thread or self._begin()
        if thread is not None and not self._is_slow:
            thread.join(self._patience_s)
            self._is_slow = thread.is_alive()

    def _begin(self) -> threading.Thread | None:
        thread = threading.Thread(target=self._hand_over, name=f"observer {self._name}", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no thread can be made: too many processes, or the interpreter ends
            self._lost += len(self._waiting)
            self._waiting.clear()
            return None
        return thread

    def _hand_over(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._thread, self._is_slow = None, False
                    return
                event = self._waiting.popleft()
            try:
                self._observer.handle(event)
            except BaseException as error:  # noqa: BLE001 - whatever an observer does is its own affair
                self._complain(error)

    def _complain(self, error: BaseException) -> None:
        self._failed += 1
        if self._failed == 1:
            why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            self._warn(f"observer {self._name}: {why or type(error).__name__}; the run goes on without it")

    def close(self, at_end_s: float) -> None:
        """Wait for what is still to be taken, and say what was not."""
        thread = self._thread
        if thread is not None:
            thread.join(at_end_s)
        with self._lock:
            left = len(self._waiting) + (self._thread is not None) + self._lost
            self._waiting.clear()
        if left:
            self._warn(
                f"observer {self._name} is stuck: {left} events were not taken; the result is not affected"
            )
