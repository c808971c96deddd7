"""Programs that run, and end: through sh, with their output in files."""

from __future__ import annotations

import codecs
import contextlib
import functools
import os
import shutil
import signal
import stat
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from ops.errors import ToolError
from ops.proc.spawn import STOP_PATIENCE_S, birth_hook, end_group, wait_until

if TYPE_CHECKING:
    import sh

TAIL_BYTES: Final = 4000
_PRIVATE_FILE: Final = 0o600


@dataclass(frozen=True, slots=True)
class Completed:
    """How a program ended.

    `exit_code`: negative for the signal that ended it, None when the time-out did. `output_tail`: the end of
    its standard error where that went to a file of its own, else of all output that went to no file.
    """

    exit_code: int | None
    output_tail: str


@dataclass(frozen=True, slots=True)
class _Descriptors:
    stdin: IO[bytes]
    stdout: IO[bytes]
    stderr: IO[bytes]


def find_program(name: str) -> str:
    """The full path of the program `name` on PATH, or `name` itself when it is the path of one.

    Raises ToolError when there is none.
    """
    path = shutil.which(name)
    if path is None:
        where = "is not there or not executable" if os.sep in name else "is not on PATH"
        message = f"program {name!r} {where}"
        raise ToolError(message, code="tool.missing", hint="install it, or correct the command's first word")
    return path


def run_program(  # noqa: PLR0913 - a program has three descriptors, a folder, an environment and a limit
    argv: Sequence[str],
    *,
    timeout_s: float | None,
    environment: Mapping[str, str],
    folder: Path,
    stdin: Path | None = None,
    stdout: Path | None = None,
    stderr: Path | None = None,
) -> Completed:
    """Run `argv` in `folder` with exactly `environment`; how it ended.

    The three paths are opened as the program's own descriptors: `stdin` for reading (without it, there is no
    input), the other two as empty files of mode 0600. Output without a path is kept only for `output_tail`.
    At the time-out (None: no limit), and when the wait ends with an exception, the program's whole process
    group is ended: SIGTERM, after five seconds SIGKILL. Raises ToolError when it cannot be started.
    """
    import sh

    program = find_program(argv[0])
    try:
        with tempfile.TemporaryFile() as rest, _opened(rest, stdin, stdout, stderr) as files:
            child = _Child()
            try:
                _start(child, [program, *argv[1:]], environment, folder, files)
                exit_code = _wait(child, timeout_s)
            except BaseException:
                # One block for birth and wait: there is no moment at which a handler's exception could lose the child.
                child.end()
                raise
            return Completed(exit_code, read_tail(rest if stderr is None else files.stderr))
    except (OSError, ValueError, sh.CommandNotFound, sh.ForkException) as error:
        raise ToolError(f"cannot start {argv[0]!r}: {start_failure(error)}") from error


@contextlib.contextmanager
def _opened(
    rest: IO[bytes], stdin: Path | None, stdout: Path | None, stderr: Path | None
) -> Iterator[_Descriptors]:
    with contextlib.ExitStack() as stack:
        given = stack.enter_context(open(stdin or os.devnull, "rb"))  # noqa: PTH123 - os.devnull is no Path
        out = stack.enter_context(open_private(stdout)) if stdout else rest
        err = stack.enter_context(open_private(stderr)) if stderr else rest
        yield _Descriptors(given, out, err)


def open_private(path: Path) -> IO[bytes]:
    """`path` as an empty file of mode 0600, open for writing and reading; a device is opened as it is."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, _PRIVATE_FILE)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.fchmod(descriptor, _PRIVATE_FILE)
    return os.fdopen(descriptor, "r+b", buffering=0)


class _Child:
    """A program that was started, once it was."""

    process: sh.OProc | None = None

    def over(self) -> bool:
        """Whether it has ended, asked of the kernel: sh's own lock may be lost to an exception from a handler."""
        process = self.process
        if process is None:
            return True
        if not hasattr(os, "waitid"):
            return not process.is_alive()[0]
        try:
            return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        except ChildProcessError:
            return True

    def end(self) -> None:
        """End its process group, and return when it has ended; fine when it had before."""
        if self.process is not None:
            end_group(self.process.pid, self.over, signal.SIGTERM, STOP_PATIENCE_S)


def _start(
    child: _Child, argv: Sequence[str], environment: Mapping[str, str], folder: Path, files: _Descriptors
) -> None:
    import sh

    command = sh.Command(argv[0])
    with birth_hook(signal.SIGTERM, outlives_thread=False) as birth:
        child.process = command(
            *argv[1:],
            _in=files.stdin,
            _out=files.stdout,
            _err=files.stderr,
            _env=dict(environment),
            _cwd=str(folder),
            _encoding=_argument_codec(),
            _bg=True,
            _bg_exc=False,
            _new_session=True,
            _preexec_fn=birth,
        ).process
        birth.ended_by(child.end)


@functools.cache
def _argument_codec() -> str:
    """The name of a codec that turns arguments into bytes as Python does for file names, whatever they hold.

    sh encodes arguments strictly, so a file name that is no valid text could not be passed.
    """
    name = "drillbook_arguments"

    def encode(text: str, _errors: str = "strict") -> tuple[bytes, int]:
        return os.fsencode(text), len(text)

    codec = codecs.CodecInfo(encode, codecs.utf_8_decode, name=name)
    codecs.register(lambda asked: codec if asked == name else None)
    return name


def _wait(child: _Child, timeout_s: float | None) -> int | None:
    """Its exit code; None when it had to be ended after the time-out."""
    if not wait_until(child.over, timeout_s):
        child.end()
        return None
    return None if child.process is None else int(child.process.wait())


def start_failure(error: Exception) -> str:
    """The reason in one line; sh hands over the child's whole traceback."""
    return str(error).strip().rsplit("\n", 1)[-1]


def read_tail(file: IO[bytes]) -> str:
    """The end of what was written to `file`, at most 4000 bytes, as text."""
    if not file.seekable():
        return ""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - TAIL_BYTES))
    return file.read().decode("utf-8", "replace").strip()
