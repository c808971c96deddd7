"""One create or restore in a process that can be killed: python operation.py create|restore DATABASE STORE.

Prints `ready` when everything is imported, begins when a line arrives on standard input, prints `done`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from ops.actions.backup import BackupRequest, take_backup
from ops.actions.catalogue import find_backup
from ops.actions.restore import RestoreRequest, restore_backup
from ops.joblog import Job
from ops.sources.sqlite.source import SqliteOptions, SqliteSource
from ops.stores.local import LocalOptions, LocalStore


def main(action: str, database: str, folder: str, name: str) -> None:
    """Wait for the starting signal, then do it."""
    source = SqliteSource("bank", SqliteOptions(path=Path(database)))
    store = LocalStore("local", LocalOptions(path=Path(folder)))
    print("ready", flush=True)
    sys.stdin.readline()
    if action == "create":
        take_backup(source, store, BackupRequest(), Job())
    else:
        request = RestoreRequest(
            scratch=Path(folder).parent, safety_store=store, sources=[source], yes=True, to=database
        )
        restore_backup(find_backup(store, name), source, request, Job())
    print("done", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
