"""Programs as filters: bytes go in and come out through pipes, and are measured as they pass by.

The pipes are also what makes an abrupt end safe: when we are killed, a program that turns plain text into
cipher text sees its input end, and its last words, which would make half a text look whole, reach nobody.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import selectors
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final, Self

from ops.errors import ToolError
from ops.proc.run import find_program, read_tail, start_failure
from ops.proc.spawn import STOP_PATIENCE_S, birth_hook, end_group, wait_until
from ops.run.progress import Progress, silent

SECRET_HERE: Final = "\0"
"""Stands in an argument for the number of the descriptor that the secret is read from; no argument holds a NUL."""
_BLOCK: Final = 256 << 10
_PIPE_BYTES: Final = 1 << 20
_SILENCE_S: Final = 600.0
_SHOWN_LENGTH: Final = 4


class OverrunError(Exception):
    """The program wrote more than it was allowed to."""


@dataclass(frozen=True, slots=True)
class Filter:
    """A program that turns its standard input into its standard output, and the whole of its environment.

    The program can read `secret` once from a descriptor of its own, a pipe; the secret is in no argument, in
    no variable and in no file.
    """

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    secret: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Passed:
    """What went through a pipe: its size in bytes, and its hex SHA-256."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Filtered:
    """How a filter ended.

    `exit_code`: negative for the signal that ended it. `said`: the end of its standard error, with the secret
    blacked out. `taken`: its input, nothing when that was not measured. `given`: its output.
    """

    exit_code: int
    said: str
    taken: Passed
    given: Passed


def run_filter(  # noqa: PLR0913 - two files, what is measured, how much may come out, and who listens
    filter_: Filter,
    source: int,
    target: int,
    *,
    measured: bool,
    limit: int | None = None,
    progress: Progress = silent,
) -> Filtered:
    """Send the open file `source` through the program into the open file `target`; how it ended.

    With `measured` we read `source` from where it stands, once, and hash what the program gets; without, the
    program reads it itself. The output is hashed as it comes; it advances `progress`. Nothing is fsynced.
    When the wait ends with an exception, the program's whole process group is ended first: SIGTERM, after five
    seconds SIGKILL. Raises ToolError when it cannot be started, when `source` cannot be read, when it ends
    well without having read all, and when nothing comes out of it for ten minutes; OverrunError when more than
    `limit` bytes come out; OSError from writing `target`.
    """
    program = find_program(filter_.argv[0])
    with contextlib.ExitStack() as stack:
        errors = stack.enter_context(tempfile.TemporaryFile())
        feeder = stack.enter_context(_Feeder(_blocks(source))) if measured else None
        secret = None if filter_.secret is None else stack.enter_context(_Feeder([filter_.secret]))
        process = _start(program, filter_, _Ends(feeder.end if feeder else source, secret, errors), stack)
        for one in (feeder, secret):
            if one is not None:
                one.start()
        given = _drain(process, program, target, limit, progress)
        exit_code = _exit_code(process, program)
        taken = feeder.finish(program, exit_code) if feeder else Passed(0, "")
        return Filtered(exit_code, _said(errors, filter_.secret), taken, given)


class _Feeder:
    """A pipe that a thread fills, and measures what goes into it; a context manager."""

    def __init__(self, blocks: Iterable[bytes | memoryview]) -> None:
        reader, writer = os.pipe()
        self.end = os.fdopen(reader, "rb", buffering=0)
        self._pipe = os.fdopen(writer, "wb", buffering=0)
        self._blocks = blocks
        self._digest = hashlib.sha256()
        self._size = 0
        self._whole = False
        self._error: OSError | None = None
        self._thread = threading.Thread(target=self._run, name="feeder", daemon=True)
        _widen(writer)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end.close()
        if self._thread.ident is not None:
            self._thread.join()
        self._pipe.close()

    def start(self) -> None:
        """Leave the reading end to the program alone, and begin."""
        self.end.close()
        self._thread.start()

    def finish(self, program: str, exit_code: int) -> Passed:
        """What went in; raises ToolError when that was not all and the program did not say so."""
        self._thread.join()
        name = Path(program).name
        if self._error is not None:
            raise ToolError(f"the input of {name} cannot be read: {self._error.strerror}") from self._error
        if exit_code == 0 and not self._whole:
            raise ToolError(f"{name} ended before it had read all of its input")
        return Passed(self._size, self._digest.hexdigest())

    def _run(self) -> None:
        try:
            with self._pipe:
                for block in self._blocks:
                    self._digest.update(block)
                    _write_all(self._pipe.fileno(), block)
                    self._size += len(block)
                self._whole = True
        except BrokenPipeError:
            return  # the program wants no more: its exit code says why
        except OSError as error:
            self._error = error


@dataclass(frozen=True, slots=True)
class _Ends:
    """What the program gets: its standard input, the pipe of the secret, its standard error."""

    stdin: IO[bytes] | int
    secret: _Feeder | None
    stderr: IO[bytes]


def _start(
    program: str, filter_: Filter, ends: _Ends, stack: contextlib.ExitStack
) -> subprocess.Popen[bytes]:
    """The program, which `stack` ends when it is left while the program still runs."""
    passed = () if ends.secret is None else (ends.secret.end.fileno(),)
    number = str(passed[0]) if passed else ""
    arguments = [argument.replace(SECRET_HERE, number) for argument in filter_.argv[1:]]
    try:
        with birth_hook(signal.SIGTERM, outlives_thread=False) as prepare:
            process = subprocess.Popen(
                [program, *arguments],
                stdin=ends.stdin,
                stdout=subprocess.PIPE,
                stderr=ends.stderr,
                bufsize=0,
                env=dict(filter_.environment),
                cwd=tempfile.gettempdir(),
                pass_fds=passed,
                start_new_session=True,
                preexec_fn=prepare,  # noqa: PLW1509 - see birth_hook; it takes no lock
            )
            # Before a signal can be heard again: its handler may raise.
            stack.callback(_end, process)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise ToolError(f"cannot start {filter_.argv[0]!r}: {start_failure(error)}") from error
    return process


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        end_group(process.pid, lambda: process.poll() is not None, signal.SIGTERM, STOP_PATIENCE_S)
    if process.stdout is not None:
        process.stdout.close()


def _drain(
    process: subprocess.Popen[bytes], program: str, target: int, limit: int | None, progress: Progress
) -> Passed:
    assert process.stdout is not None
    output = process.stdout.fileno()
    _widen(output)
    digest, size, block = hashlib.sha256(), 0, memoryview(bytearray(_BLOCK))
    with selectors.DefaultSelector() as selector:
        selector.register(output, selectors.EVENT_READ)
        while True:
            if not selector.select(_SILENCE_S):
                raise _silent_too_long(program)
            got = os.readv(output, [block])
            if not got:
                return Passed(size, digest.hexdigest())
            size += got
            if limit is not None and size > limit:
                raise OverrunError
            _write_all(target, block[:got])
            digest.update(block[:got])
            progress.advance(got)


def _exit_code(process: subprocess.Popen[bytes], program: str) -> int:
    """How the program ended, which has closed its output and so soon does."""
    if not wait_until(lambda: process.poll() is not None, _SILENCE_S):
        raise _silent_too_long(program)
    return process.wait()


def _silent_too_long(program: str) -> ToolError:
    message = f"{Path(program).name} put nothing out for {_SILENCE_S / 60:.0f} minutes and was ended"
    return ToolError(message, hint="look whether the disk that it reads from still answers")


def _said(errors: IO[bytes], secret: bytes | None) -> str:
    text = read_tail(errors)
    for line in (secret or b"").decode("utf-8", "replace").splitlines():
        if len(line) >= _SHOWN_LENGTH:
            text = text.replace(line, "…")
    return text


def _blocks(descriptor: int) -> Iterator[memoryview]:
    block = memoryview(bytearray(_BLOCK))
    while got := os.readv(descriptor, [block]):
        yield block[:got]


def _write_all(descriptor: int, block: bytes | memoryview) -> None:
    rest = memoryview(block)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _widen(pipe: int) -> None:
    """Give a pipe room, so that both sides work at once; only Linux can, and it may refuse."""
    import fcntl

    with contextlib.suppress(AttributeError, OSError):
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
