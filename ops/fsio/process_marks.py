"""Marks of processes that belong to a folder, so that a later run can end what a dead one left running.

A process id alone proves nothing: ids are used again. A mark also keeps when the process started, in the
kernel's own count, and in which boot and process-id namespace that was; only the very same process is ended.
Where there is no /proc to ask (macOS), marks are not written, and nothing is ended.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
from pathlib import Path
from typing import Final

_MARKS: Final = ".processes"
_PROC: Final = Path("/proc")
_START_TIME: Final = 19  # proc(5), stat: field 22, counted from the state behind the name
_PATIENCE_MS: Final = 10_000


def mark_process(folder: Path, pid: int, last_word: signal.Signals) -> None:
    """Note in `folder` that the process `pid` belongs to it, and by which signal it ends without harm."""
    identity = process_identity(pid)
    if identity is not None:
        with (folder / _MARKS).open("a", encoding="ascii") as marks:
            marks.write(f"{pid} {int(last_word)} {identity}\n")


def end_marked_processes(folder: Path) -> list[int]:
    """End what is marked in `folder` and still the same process; the process ids, all gone now.

    Each gets its own signal, and SIGKILL after ten seconds.
    """
    try:
        lines = (folder / _MARKS).read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return []
    ended = []
    for line in lines:
        with contextlib.suppress(ValueError, OSError):
            pid, number, identity = line.split(" ", 2)
            if _end(int(pid), signal.Signals(int(number)), identity):
                ended.append(int(pid))
    return ended


def _end(pid: int, last_word: signal.Signals, identity: str) -> bool:
    if process_identity(pid) != identity:
        return False
    # The descriptor stands for one process: if the identity is right now, it stays right.
    process = os.pidfd_open(pid)
    try:
        if process_identity(pid) != identity:
            return False
        signal.pidfd_send_signal(process, last_word)
        # One that was stopped would not hear it.
        signal.pidfd_send_signal(process, signal.SIGCONT)
        if not _gone(process, _PATIENCE_MS):
            signal.pidfd_send_signal(process, signal.SIGKILL)
            _gone(process, _PATIENCE_MS)
        return True
    finally:
        os.close(process)


def _gone(process: int, timeout_ms: int) -> bool:
    poll = select.poll()
    poll.register(process, select.POLLIN)
    return bool(poll.poll(timeout_ms))


def process_identity(pid: int) -> str | None:
    """Return what tells this process from every other one that had or will have its id; None when it is not there."""
    started, where = process_start(pid), process_room()
    return None if started is None or where is None else f"{started} {where}"


def process_start(pid: int) -> int | None:
    """Return when the process started, in the kernel's count; None when it is not there, or has ended."""
    try:
        stat = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The name stands in brackets and may hold anything, brackets and spaces included.
    state, *fields = stat.rpartition(")")[2].split()
    return None if state in "ZX" else int(fields[_START_TIME - 1])


def process_room() -> str | None:
    """Return within what a process id means one process: the boot and the process-id namespace; None where none is told."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        namespace = os.readlink(_PROC / "self/ns/pid")
    except OSError:
        return None
    return f"{boot} {namespace}"
