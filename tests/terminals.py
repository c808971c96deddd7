"""Running a program on a terminal of its own, and reading all that a person would see there."""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
import termios
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

_BLOCK: Final = 1 << 16


def on_a_terminal(
    command: Sequence[str | Path],
    cwd: Path,
    environment: Mapping[str, str],
    columns: int,
    timeout: float = 60,
) -> subprocess.CompletedProcess[str]:
    """Run it with standard output and standard error on a terminal that is so wide, and no one to ask."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    attributes = termios.tcgetattr(theirs)
    attributes[1] &= ~termios.OPOST  # line ends as they were written
    termios.tcsetattr(theirs, termios.TCSANOW, attributes)
    seen: list[bytes] = []
    # From the first moment on: what does not fit in the terminal's buffer would keep the program waiting.
    reader = threading.Thread(target=_read_all, args=(ours, seen))
    reader.start()
    try:
        ended = subprocess.run(
            command,
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
            timeout=timeout,
            check=False,
        )
    finally:
        os.close(theirs)
        reader.join()
        os.close(ours)
    text = b"".join(seen).decode("utf-8", "replace")
    return subprocess.CompletedProcess(ended.args, ended.returncode, text)


def _read_all(descriptor: int, into: list[bytes]) -> None:
    while True:
        try:
            block = os.read(descriptor, _BLOCK)
        except OSError:  # how Linux says that the other side of a terminal is gone
            return
        if not block:
            return
        into.append(block)
