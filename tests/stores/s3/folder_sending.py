"""A process that takes a backup of a folder into a bucket, encrypted or plain, and waits for ever after three files."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from ops.actions.begin_backup import BackupRequest
from ops.actions.create_backup import make
from ops.ciphers.age.driver import AgeCipher
from ops.ciphers.age.keys import AgeOptions
from ops.config.reading import store_at
from ops.repository.repository import Repository
from ops.run.job import Job
from tests.contracts.sources import tree_source
from tests.stores.seaweed import store_of

if __name__ == "__main__":
    url, bucket, prefix, keys, live, scratch, recipient = sys.argv[1:]
    store = store_of(url, bucket, Path(keys), prefix=prefix)
    cipher = AgeCipher("escrow", AgeOptions(recipients=(recipient,))) if recipient else None
    handed = iter(range(10))

    def wait() -> None:
        """Say that three files were handed over, and stay."""
        if next(handed) == 3:
            time.sleep(1)  # so long that what was handed over has been sent
            print("waiting", flush=True)
            time.sleep(600)

    source = tree_source(Path(live), wait)
    to = Repository(store=store, encryption=cipher, scratch=Path(scratch), plain_store=store_at)
    make(source, to, BackupRequest(), None, Job())
