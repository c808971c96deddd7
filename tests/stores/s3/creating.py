"""Makes one backup in a bucket, as a process of its own that can be killed: URL BUCKET PREFIX KEYS DATABASE SCRATCH [RECIPIENT].

Prints `ready` when everything is imported, begins when a line arrives on standard input, prints the backup's name.
"""

from __future__ import annotations

import sys
from pathlib import Path

from ops.actions.begin_backup import BackupRequest
from ops.actions.create_backup import make
from ops.ciphers.age.driver import AgeCipher
from ops.ciphers.age.keys import AgeOptions
from ops.config.reading import store_at
from ops.repository.repository import Repository
from ops.run.job import Job
from ops.sources.sqlite.options import SqliteOptions
from ops.sources.sqlite.source import SqliteSource
from ops.stores.s3.options import S3Options
from ops.stores.s3.store import S3Store
from ops.units import Size


def main(
    url: str, bucket: str, prefix: str, keys: str, database: str, scratch: str, recipient: str = ""
) -> None:
    """Wait for the starting signal, then do it."""
    options = S3Options(
        bucket=bucket,
        prefix=prefix,
        endpoint_url=url,
        access_key_file=Path(keys, "access-full"),
        secret_key_file=Path(keys, "secret-full"),
        part_size=Size(5 << 20),
        staging_dir=Path(scratch),
    )
    store = S3Store("offsite", options)
    cipher = AgeCipher("escrow", AgeOptions(recipients=(recipient,))) if recipient else None
    to = Repository(store=store, encryption=cipher, scratch=Path(scratch), plain_store=store_at)
    source = SqliteSource("app", SqliteOptions(path=Path(database)))
    print("ready", flush=True)
    sys.stdin.readline()
    made = make(source, to, BackupRequest(), None, Job())
    print(made.taken.backup.name, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
