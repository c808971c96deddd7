"""One create or restore in a process that can be killed: python operation.py create|seal|restore DATABASE STORE NAME.

`seal` creates in a store that seals, for the recipient NAME.

Prints `ready` when everything is imported, begins when a line arrives on standard input, prints `done`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from ops.actions.backup import take_backup
from ops.actions.begin_backup import BackupRequest
from ops.actions.create_backup import make
from ops.actions.restore import restore_backup
from ops.actions.restore_request import RestoreRequest
from ops.actions.verify import VerifyRequest
from ops.ciphers.age.driver import AgeCipher
from ops.ciphers.age.keys import AgeOptions
from ops.config.reading import store_at
from ops.model.evidence import Level
from ops.repository.find import find_backup
from ops.repository.repository import Repository
from ops.run.job import Job
from ops.sources.sqlite.options import SqliteOptions
from ops.sources.sqlite.source import SqliteSource
from ops.stores.local.store import LocalOptions, LocalStore


def main(action: str, database: str, folder: str, name: str) -> None:
    """Wait for the starting signal, then do it."""
    source = SqliteSource("bank", SqliteOptions(path=Path(database)))
    store = LocalStore("local", LocalOptions(path=Path(folder)))
    print("ready", flush=True)
    sys.stdin.readline()
    if action == "create":
        take_backup(source, Repository(store=store), BackupRequest(), Job())
    elif action == "seal":
        cipher = AgeCipher("escrow", AgeOptions(recipients=(name,)))
        to = Repository(
            store=store,
            encryption=cipher,
            scratch=Path(folder).parent / "scratch",
            plain_store=store_at,
        )
        make(source, to, BackupRequest(), VerifyRequest(Level.FULL, to.scratch), Job())
    else:
        request = RestoreRequest(
            scratch=Path(folder).parent,
            safety=Repository(store=store),
            sources=[source],
            yes=True,
            to=database,
        )
        restore_backup(find_backup(store, name), source, request, Job())
    print("done", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
