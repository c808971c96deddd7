"""Standard input, output and error: there when we were started without them, and harmless when a reader went away."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
from typing import IO, Final

_OUTPUT: Final = 1
_ERROR: Final = 2


def open_missing_streams() -> None:
    """Open the standard descriptors that were closed when we were started; fine to call again.

    A file that is opened later would get such a number, and what is meant for the terminal would go into it. Standard
    output becomes one that cannot be written, so that a lost answer is told; standard error becomes a silent one.
    """
    for descriptor, flags in ((0, os.O_RDONLY), (_OUTPUT, os.O_RDONLY), (_ERROR, os.O_WRONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest free number is the one that is missing.
            os.open(os.devnull, flags)
    if sys.stdin is None:
        sys.stdin = _text(0, "r")
    if sys.stdout is None:
        sys.stdout = _text(_OUTPUT, "w")
    if sys.stderr is None:
        sys.stderr = _text(_ERROR, "w")
    atexit.unregister(_drop_errors)
    atexit.register(_drop_errors)


def _text(descriptor: int, mode: str) -> IO[str]:
    return open(descriptor, mode, encoding="utf-8", errors="backslashreplace", closefd=False)


def silence_output() -> None:
    """Send what is still buffered for standard output nowhere: it would fail once more when the interpreter ends."""
    _silence(_OUTPUT)


def _silence(descriptor: int) -> None:
    with contextlib.suppress(OSError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, descriptor)
        os.close(nowhere)


def _drop_errors() -> None:
    """Drop what standard error does not take: the interpreter of Debian 12 would end with 120 for it, whatever the task did."""
    try:
        sys.stderr.flush()
    except (OSError, ValueError):
        _silence(_ERROR)


def flush_output() -> bool:
    """Return whether all that was printed reached standard output; what did not is dropped."""
    try:
        sys.stdout.flush()
    except OSError:
        silence_output()
        return False
    return True
