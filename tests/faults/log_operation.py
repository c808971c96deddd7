"""Runs one create or restore of a log again and again, each time killed one step later.

    python -m tests.faults.log_operation create|restore DATA STORE BACKUP

A line with a number begins a run, which dies by SIGKILL before that many things were done to files below the folder
that all of them lie in; what was about to be done is printed, or `done` when the run came to its end.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from ops.actions.backup import take_backup
from ops.actions.begin_backup import BackupRequest
from ops.actions.restore import restore_backup
from ops.actions.restore_request import RestoreRequest
from ops.repository.find import find_backup
from ops.repository.repository import Repository
from ops.run.job import Job
from ops.sources.eventlog.options import EventLogOptions
from ops.sources.eventlog.source import EventLogSource
from ops.stores.local.store import LocalOptions, LocalStore

EXCHANGE = "renameat2"


def act(action: str, data: Path, folder: Path, name: str) -> None:
    """The operation itself."""
    source = EventLogSource("log", EventLogOptions(path=data))
    store = LocalStore("local", LocalOptions(path=folder))
    if action == "create":
        take_backup(source, Repository(store=store), BackupRequest(), Job())
        return
    request = RestoreRequest(
        scratch=folder.parent / "scratch",
        safety=Repository(store=store),
        sources=[source],
        yes=True,
        to=str(data),
    )
    restore_backup(find_backup(store, name), source, request, Job())


def kill_before(step: int, root: str, report: int) -> None:
    """Let this process die before its step of that number, and say what it was."""
    left = step

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal left
        texts = [os.fsdecode(item) for item in arguments if isinstance(item, str | bytes)]
        if not any(text.startswith(root) or text == EXCHANGE for text in texts):
            return
        left -= 1
        if left == 0:
            os.write(report, f"{event} {texts[0].removeprefix(root)}\n".encode())
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)


def main(action: str, data: str, folder: str, name: str) -> None:
    """Run after run, each in a process of its own."""
    print("ready", flush=True)
    for line in sys.stdin:
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            kill_before(int(line), str(Path(folder).parent), writing)
            act(action, Path(data), Path(folder), name)
            os.write(writing, b"done\n")
            os._exit(0)
        os.close(writing)
        # Only when it is dead it holds no lock any more.
        os.waitpid(child, 0)
        with open(reading, encoding="utf-8") as report:
            print(report.read().strip(), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
