"""Programs that are talked to line by line, with small data only."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, Self

from ops.errors import ToolError
from ops.proc.run import find_program, read_tail, start_failure
from ops.proc.spawn import STOP_PATIENCE_S, birth_hook, end_group, kill_family

if TYPE_CHECKING:
    from _typeshed import HasFileno

_MOST_ERRORS: Final = 1 << 20
_CHUNK_BYTES: Final = 65536
_SEND_PATIENCE_S: Final = 60.0
_CLOSE_PATIENCE_S: Final = 2.0


class Coprocess:
    """A started program: text goes to its standard input, its output is read up to a marker.

    A context manager; at its end the program's whole process group is ended.
    """

    def __init__(self, process: subprocess.Popen[bytes], name: str, errors: IO[bytes]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        self._name = name
        self._errors = errors
        self._input = process.stdin
        self._output = process.stdout
        self._received = bytearray()
        self._ended = False
        for pipe in (self._input, self._output):
            os.set_blocking(pipe.fileno(), False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, text: str) -> None:
        """Write `text`; what the program says meanwhile is kept. Raises ToolError when it takes no more."""
        rest = memoryview(text.encode("utf-8", "surrogateescape"))
        deadline = time.monotonic() + _SEND_PATIENCE_S
        while rest:
            ready = self._ready(deadline, writing=True)
            if self._input in ready:
                try:
                    rest = rest[os.write(self._input.fileno(), rest) :]
                except BrokenPipeError:
                    raise self._failure("ended") from None
            if self._output in ready:
                self._receive()

    def read_until(self, marker: str, timeout_s: float) -> str:
        """The output before the next line that is exactly `marker`, which is consumed with it.

        Raises ToolError with the end of standard error when the program ends, or says no such line in time.
        """
        line = marker.encode("utf-8", "surrogateescape") + b"\n"
        deadline = time.monotonic() + timeout_s
        while True:
            found = self._find(line)
            if found is not None:
                text = bytes(self._received[:found])
                del self._received[: found + len(line)]
                return text.decode("utf-8", "surrogateescape")
            if self._ended:
                raise self._failure("ended")
            self._ready(deadline, writing=False)
            self._receive()

    def errors(self) -> str:
        """All that the program has written to standard error so far, at most its last MiB."""
        descriptor = self._errors.fileno()
        size = os.fstat(descriptor).st_size
        # At a place of our own: the program writes where this file's position is.
        content = os.pread(descriptor, _MOST_ERRORS, max(0, size - _MOST_ERRORS))
        return content.decode("utf-8", "replace")

    def close(self) -> None:
        """End the program: its input ends, then, when it does not go by itself, its process group."""
        process = self._process
        self._input.close()
        try:
            process.wait(_CLOSE_PATIENCE_S)
        except subprocess.TimeoutExpired:
            pass
        finally:
            end_group(process.pid, lambda: process.poll() is not None, signal.SIGTERM, STOP_PATIENCE_S)
            self._output.close()
            self._errors.close()

    def _find(self, line: bytes) -> int | None:
        if self._received.startswith(line):
            return 0
        position = self._received.find(b"\n" + line)
        return None if position < 0 else position + 1

    def _ready(self, deadline: float, *, writing: bool) -> set[HasFileno | int]:
        with selectors.DefaultSelector() as selector:
            if not self._ended:
                selector.register(self._output, selectors.EVENT_READ)
            if writing:
                selector.register(self._input, selectors.EVENT_WRITE)
            ready = {key.fileobj for key, _ in selector.select(max(0.0, deadline - time.monotonic()))}
        if not ready:
            raise self._failure("did not answer in time")
        return ready

    def _receive(self) -> None:
        chunk = os.read(self._output.fileno(), _CHUNK_BYTES)
        self._ended = not chunk
        self._received += chunk

    def _failure(self, what: str) -> ToolError:
        said = read_tail(self._errors) or bytes(self._received[-1000:]).decode("utf-8", "replace").strip()
        return ToolError(f"{self._name} {what}{f': {said}' if said else ''}")


def start_coprocess(argv: Sequence[str], *, environment: Mapping[str, str], folder: Path) -> Coprocess:
    """`argv` started in `folder` with exactly `environment`, for a dialogue.

    Raises ToolError when it cannot be started.
    """
    program = find_program(argv[0])
    errors = tempfile.TemporaryFile()  # noqa: SIM115 - the dialogue closes it
    try:
        with birth_hook(signal.SIGTERM, outlives_thread=True) as birth:
            process = subprocess.Popen(
                [program, *argv[1:]],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                bufsize=0,
                env=dict(environment),
                cwd=folder,
                start_new_session=True,
                preexec_fn=birth,  # noqa: PLW1509 - see birth_hook; it takes no lock
            )
            birth.ended_by(lambda: kill_family(process.pid))
            return Coprocess(process, Path(program).name, errors)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        errors.close()
        raise ToolError(f"cannot start {argv[0]!r}: {start_failure(error)}") from error
