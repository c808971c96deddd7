"""The folders of stores, in which nothing else may be put."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from ops.errors import RefusedError
from ops.formats.names import manifest_key
from ops.ports.store import LocalFiles
from ops.repository.repository import Repository
from ops.repository.store_watch import folder_of


def require_outside(target: str, stores: Iterable[Repository]) -> None:
    """Return when `target`, a path or an address, does not lie in the folder of a store, and is no backup; raises RefusedError.

    A file that is put there would be taken for a backup, or replace one.
    """
    place = Path(target)
    if not place.is_absolute():
        return
    if Path(manifest_key(target)).exists():
        message = f"{target} is a backup: its manifest lies beside it"
        raise RefusedError(message, code="refused.target_in_store", hint="name another place")
    parents = {os.path.realpath(parent) for parent in (place, *place.parents)}
    for repository in stores:
        store = repository.store
        if isinstance(store, LocalFiles) and os.path.realpath(folder_of(store)) in parents:
            message = f"{target} lies in store {store.name!r} ({store.location}), where only backups belong"
            raise RefusedError(
                message, code="refused.target_in_store", hint="name a place outside of the store"
            )
