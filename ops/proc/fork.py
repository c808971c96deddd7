"""Our own functions in copies of this process: for short work on many small things, where a fresh process is too slow."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

Part = TypeVar("Part")


def start_copies(
    function: Callable[[Part], bytes], parts: Sequence[Part]
) -> Callable[[], list[bytes | None]]:
    """Begin `function(part)` for each part; what is returned waits for the results, in their order.

    None stands for a part that failed, and for all where no copy can be made: other threads of this process may hold
    locks that nobody would release in a copy. `function` must change nothing but its own process.
    """
    if threading.active_count() > 1:
        return lambda: [None] * len(parts)
    started = [_start(function, part) for part in parts]
    return lambda: [_finish(child, reading) for child, reading in started]


def _start(function: Callable[[Part], bytes], part: Part) -> tuple[int, int]:
    reading, writing = os.pipe()
    child = os.fork()
    if child:
        os.close(writing)
        return child, reading
    # Nothing of the parent's may happen here: no handlers, no buffers written twice, no cleaning up.
    code = 1
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        # Ctrl-C reaches the whole group: where we are deaf to it, so are they.
        if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        os.close(reading)
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(function(part))
        code = 0
    finally:
        os._exit(code)


def _finish(child: int, reading: int) -> bytes | None:
    """What the copy wrote; None when it failed."""
    with os.fdopen(reading, "rb") as pipe:
        answer = pipe.read()
    with contextlib.suppress(ChildProcessError):
        _, status = os.waitpid(child, 0)
        return answer if os.waitstatus_to_exitcode(status) == 0 else None
    return None
