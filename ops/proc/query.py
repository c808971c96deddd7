"""Programs that are asked for a few bytes, which go through a pipe and are in no file."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from ops.errors import ToolError
from ops.proc.run import find_program, start_failure
from ops.proc.spawn import STOP_PATIENCE_S, birth_hook, end_group

MOST_BYTES: Final = 1 << 16
_STEP_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class Answer:
    """How a program ended, and what it printed; `exit_code` is None when it took too long or printed too much."""

    exit_code: int | None
    printed: bytes = field(repr=False)


def ask_program(
    argv: Sequence[str], *, timeout_s: float, environment: Mapping[str, str], folder: Path
) -> Answer:
    """Run `argv` in `folder` with exactly `environment`, without input; what it prints, at most 64 KiB.

    Its standard error goes nowhere. At the time-out, with the first byte too many, and when the wait ends with an
    exception, its process group is ended. Raises ToolError when it cannot be started.
    """
    program = find_program(argv[0])
    with contextlib.ExitStack() as stack:
        try:
            with birth_hook(signal.SIGTERM, outlives_thread=False) as prepare:
                process = subprocess.Popen(
                    [program, *argv[1:]],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    bufsize=0,
                    env=dict(environment),
                    cwd=folder,
                    start_new_session=True,
                    preexec_fn=prepare,  # noqa: PLW1509 - see birth_hook; it takes no lock
                )
                # Before a signal can be heard again: its handler may raise.
                stack.callback(_end, process)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            raise ToolError(f"cannot start {argv[0]!r}: {start_failure(error)}") from error
        assert process.stdout is not None
        return _listen(process, process.stdout, time.monotonic() + timeout_s)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        end_group(process.pid, lambda: process.poll() is not None, signal.SIGTERM, STOP_PATIENCE_S)
    if process.stdout is not None:
        process.stdout.close()


def _listen(process: subprocess.Popen[bytes], output: IO[bytes], deadline: float) -> Answer:
    """Until the program has ended: an agent that it started may hold its output open for ever."""
    printed, is_open = bytearray(), True
    with selectors.DefaultSelector() as selector:
        selector.register(output, selectors.EVENT_READ)
        while len(printed) <= MOST_BYTES and time.monotonic() < deadline:
            ended = process.poll()
            if is_open and selector.select(0 if ended is not None else _STEP_S):
                block = os.read(output.fileno(), MOST_BYTES)
                printed += block
                is_open = bool(block)
            elif ended is not None:
                return Answer(ended, bytes(printed))
            elif not is_open:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_STEP_S)
    return Answer(None, b"")
