"""Programs that serve in the foreground until they are stopped."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ops.errors import ToolError
from ops.proc.run import find_program, open_private, start_failure
from ops.proc.spawn import STOP_PATIENCE_S, birth_hook, kill_family, wait_until


class ServerProcess:
    """A child that runs until it is stopped; whoever started it must stop it."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        """The process id; it also names the child's process group."""
        return self._process.pid

    def exit_code(self) -> int | None:
        """None while it runs; negative for the signal that ended it."""
        return self._process.poll()

    def wait_for(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """True as soon as `condition()` is; False when the child ended before that, or the time is over."""
        wait_until(lambda: condition() or self._ended(), timeout_s)
        return condition() and not self._ended()

    def stop(self, number: signal.Signals, timeout_s: float, *, then: signal.Signals | None = None) -> int:
        """Send the signal, and return the exit code when the child has ended.

        After `timeout_s` it gets `then`, where there is one, and five seconds; then it, its children and
        their process groups are killed. An exception meanwhile goes on only when the child has ended.
        """
        try:
            self._ask(number, timeout_s)
            if then is not None:
                self._ask(then, STOP_PATIENCE_S)
        finally:
            if not self._ended():
                kill_family(self.pid)
            code = self._process.wait()
        return code

    def _ask(self, number: signal.Signals, patience_s: float) -> None:
        if not self._ended():
            self._process.send_signal(number)
            wait_until(self._ended, patience_s)

    def _ended(self) -> bool:
        return self.exit_code() is not None


def start_server(
    argv: Sequence[str],
    *,
    environment: Mapping[str, str],
    folder: Path,
    log: Path,
    death_signal: signal.Signals = signal.SIGTERM,
) -> ServerProcess:
    """`argv` started in `folder` with exactly `environment`, without input, its output in the new file `log`.

    On Linux it gets `death_signal` when we die without stopping it. Raises ToolError when it cannot be
    started.
    """
    program = find_program(argv[0])
    try:
        with (
            contextlib.closing(open_private(log)) as output,
            birth_hook(death_signal, outlives_thread=True) as birth,
        ):
            process = subprocess.Popen(
                [program, *argv[1:]],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=dict(environment),
                cwd=folder,
                start_new_session=True,
                preexec_fn=birth,  # noqa: PLW1509 - see birth_hook; it takes no lock
            )
            birth.ended_by(lambda: kill_family(process.pid))
            return ServerProcess(process)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise ToolError(f"cannot start {argv[0]!r}: {start_failure(error)}") from error
