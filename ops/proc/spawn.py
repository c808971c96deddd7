"""How a child process comes into the world and leaves it: signals around the fork, and the end of its group."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Final

STOP_PATIENCE_S: Final = 5.0
_FIRST_STEP_S: Final = 0.001
_LONGEST_STEP_S: Final = 0.05
_PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h
_ENDING_SIGNALS: Final = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT})
_SETTABLE_SIGNALS: Final = frozenset(signal.valid_signals()) - {signal.SIGKILL, signal.SIGSTOP}


Handler = Callable[[int, FrameType | None], object]


class Birth:
    """What the child must call between fork and exec, and how the parent ends it should a signal come meanwhile."""

    def __init__(self, prepare: Callable[[], None]) -> None:
        self._prepare = prepare
        self._end: Callable[[], None] | None = None

    def __call__(self) -> None:
        """In the child."""
        self._prepare()

    def ended_by(self, end: Callable[[], None]) -> None:
        """In the parent, as soon as there is a child: what ends it when a handler raises before anybody else can."""
        self._end = end

    def end(self) -> None:
        """End the child, if there is one."""
        if self._end is not None:
            self._end()


@contextlib.contextmanager
def birth_hook(death_signal: signal.Signals, *, outlives_thread: bool) -> Iterator[Birth]:
    """What the child must call between fork and exec; inside the block none of our signal handlers runs.

    A handler that raised in the parent between the fork and the keeping of the new pid would lose the child;
    one that raised in the child would go on there with the parent's work. So they run when the block ends, and
    should one raise then, the child is ended first (`Birth.ended_by`). The child starts with every signal at its
    default and none blocked, whatever we inherited, and on Linux gets `death_signal` when we die. That signal
    comes when the *thread* that forked ends (prctl(2)): a child that may outlive its thread gets it only from the
    main thread.
    """
    bound = not outlives_thread or threading.current_thread() is threading.main_thread()
    arm = _death_signal_setter(death_signal) if bound else lambda: None
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING_SIGNALS)

    def prepare() -> None:
        # What is ignored stays so through exec: Python ignores SIGPIPE, sh SIGHUP, and a shell what its script runs
        # in the background. In a session of its own the child hears no terminal, only those who mean it.
        for number in _SETTABLE_SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        arm()
        signal.pthread_sigmask(signal.SIG_SETMASK, ())

    birth, late = Birth(prepare), _LateHandlers()
    try:
        try:
            with late:
                yield birth
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        late.run()
    except BaseException:
        birth.end()
        raise


class _LateHandlers:
    """Keeps Python's handlers of ending signals from running in a block, and runs them later.

    A mask is not enough: a signal that any other thread of ours takes has its handler run in the main thread.
    """

    def __init__(self) -> None:
        self._came: list[tuple[int, FrameType | None]] = []
        self._handlers: dict[signal.Signals, Handler] = {}

    def __enter__(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return  # handlers run in the main thread alone
        found = {number: signal.getsignal(number) for number in _ENDING_SIGNALS}
        self._handlers = {number: handler for number, handler in found.items() if callable(handler)}
        try:
            for number in self._handlers:
                signal.signal(number, lambda number, frame: self._came.append((number, frame)))
        except BaseException:
            self._restore()
            raise

    def __exit__(self, *_: object) -> None:
        try:
            self._restore()
        finally:
            # A handler that is back already may have raised in between.
            self._restore()

    def _restore(self) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def run(self) -> None:
        """Run the handlers of what came."""
        while self._came:
            number, frame = self._came.pop(0)
            self._handlers[signal.Signals(number)](number, frame)


def _death_signal_setter(number: signal.Signals) -> Callable[[], None]:
    if not sys.platform.startswith("linux"):
        return lambda: None
    import ctypes

    # Looked up before the fork: the loader's locks are not to be taken in the child.
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def arm() -> None:
        prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(128 + number)

    return arm


def wait_until(over: Callable[[], bool], timeout_s: float | None) -> bool:
    """True as soon as `over()` is, asked at growing intervals of up to 50 ms; False after the time-out."""
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    step_s = _FIRST_STEP_S
    while not over():
        left_s = step_s if deadline is None else deadline - time.monotonic()
        if left_s <= 0:
            return False
        time.sleep(min(step_s, left_s))
        step_s = min(step_s * 2, _LONGEST_STEP_S)
    return True


def end_group(leader: int, over: Callable[[], bool], first: signal.Signals, patience_s: float) -> None:
    """End the process group of `leader`: `first` for all in it, SIGKILL for what is left after `patience_s`.

    Returns when `over()`: the leader has ended and was reaped. The child leads a session of its own, so the
    group holds everything it started that did not leave on purpose.
    """
    _signal_group(leader, first)
    try:
        wait_until(over, patience_s)
    finally:
        # Also when the operator interrupts the waiting once more.
        _signal_group(leader, signal.SIGKILL)
        wait_until(over, None)


def _signal_group(leader: int, number: signal.Signals) -> None:
    # macOS answers EPERM for a group of which only zombies are left.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, number)


def kill_family(leader: int) -> None:
    """Kill our child `leader` and its group, and its own children, also those that left the group.

    PostgreSQL's backends each lead a session. While the parent stands still it cannot reap them, so their
    ids are still theirs. Without /proc only the group is killed.
    """
    with contextlib.suppress(ProcessLookupError):
        os.kill(leader, signal.SIGSTOP)
    for child in _children(leader):
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    _signal_group(leader, signal.SIGKILL)


def _children(parent: int) -> list[int]:
    try:
        tasks = list(Path(f"/proc/{parent}/task").iterdir())
        return [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except OSError:
        return []
