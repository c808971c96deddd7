"""One create, drill (also on the server itself) or restore in a process that can be killed: python -m … ACTION DSN STORE NAME.

Prints `ready` when everything is imported, begins when a line arrives on standard input, prints `done`.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from ops.repository.find import find_backup
from ops.sources.postgres.options import PostgresOptions
from ops.sources.postgres.source import PostgresSource
from ops.stores.local.store import LocalOptions, LocalStore
from tests.sources.postgres.shop import back_up, drill, restore


def main(action: str, address: str, folder: str, name: str) -> None:
    """Wait for the starting signal, then do it."""
    source = PostgresSource("shop", PostgresOptions(dsn=address, min_size=1))  # type: ignore[arg-type]
    store = LocalStore("local", LocalOptions(path=Path(folder) / "store"))
    print("ready", flush=True)
    sys.stdin.readline()
    if action == "create":
        back_up(source, store)
    elif action in {"drill", "drill-there"}:
        if action == "drill-there":
            source = replace(source, options=replace(source.options, scratch=address))
        drill(find_backup(store, name), source, Path(folder))
    else:
        restore(find_backup(store, name), source, Path(folder))
    print("done", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
