"""Which store this is: read by every verb, written by the first that writes."""

from __future__ import annotations

import secrets
import time
from typing import Final

from ops import __version__
from ops.errors import BackupError, OpsError, RefusedError, StoreError
from ops.formats.store_identity import FORMAT, StoreIdentity, from_json, to_json
from ops.model.findings import Finding, Severity
from ops.ports.store import OWN_PREFIX, Store
from ops.repository.transfer import put_new

IDENTITY_KEY: Final = f"{OWN_PREFIX}store.json"
_MIN_VERSION: Final = "0.1.0"
_MOST_BYTES: Final = 64 << 10
_TRIES: Final = 50
_PAUSE_S: Final = 0.1


def read_identity(store: Store) -> StoreIdentity | None:
    """Return what the store says of itself; None for one that nothing was written to since programs say it.

    Raises StoreError: `store.newer_format` when a later Drillbook is needed, `store.identity_invalid`, or what the
    store raises.
    """
    try:
        with store.open(IDENTITY_KEY) as file:
            content = file.read(_MOST_BYTES)
    except BackupError as error:
        if error.code != "backup.not_found":
            raise
        return None
    identity = from_json(content, f"{IDENTITY_KEY} in store {store.name!r} ({store.location})")
    if not identity.admits(__version__):
        needs = (
            f"has form {identity.format}, and this Drillbook {__version__} knows form {FORMAT}"
            if identity.format > FORMAT
            else f"needs Drillbook {identity.min_version} or newer; this is {__version__}"
        )
        message = f"store {store.name!r} {needs}"
        raise StoreError(message, code="store.newer_format", hint="update this machine's Drillbook")
    return identity


def ensure_identity(store: Store) -> StoreIdentity:
    """Return the store's identity, given to it now where it has none. Raises as `read_identity` does."""
    for _ in range(_TRIES):
        known = read_identity(store)
        if known is not None:
            return known
        new = StoreIdentity(secrets.token_hex(16), FORMAT, _MIN_VERSION)
        try:
            put_new(store, IDENTITY_KEY, to_json(new))
        except RefusedError as error:
            if error.code != "refused.name_taken":
                raise
            time.sleep(_PAUSE_S)  # another run was quicker: its word holds
            continue
        return new
    message = f"another run does not finish saying which store {store.name!r} is"
    raise StoreError(message, code="store.conflict", hint="see what runs there, then run it again")


def give_identity(store: Store) -> list[Finding]:
    """Do as `ensure_identity` does; where keys may not write it, that is a warning and hinders no backup.

    Raises StoreError when the store is a later Drillbook's, or says nothing sensible of itself.
    """
    try:
        ensure_identity(store)
    except OpsError as error:
        if error.code in {"store.newer_format", "store.identity_invalid"}:
            raise
        message = f"{IDENTITY_KEY} could not be written: {error.message}"
        return [
            Finding(severity=Severity.WARNING, code="store.no_identity", message=message, where=store.name)
        ]
    return []
