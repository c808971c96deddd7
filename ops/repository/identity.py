"""Which store this is: read by every verb, written by the first that writes."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable
from typing import Final

from ops import __version__
from ops.errors import (
    NameTakenError,
    NewerStoreError,
    NotFoundError,
    OpsError,
    StoreError,
    StoreIdentityError,
    StoreMissingError,
)
from ops.formats.store_identity import FORMAT, StoreIdentity, from_json, to_json
from ops.host.mounts import mount_of
from ops.model.findings import Finding, Severity
from ops.ports.store import OWN_PREFIX, LocalFiles, Store
from ops.repository.store_watch import SHOWN_DIGITS, current_watch, folder_of
from ops.repository.transfer import put_new

IDENTITY_KEY: Final = f"{OWN_PREFIX}store.json"
_MIN_VERSION: Final = "0.1.0"
_MOST_BYTES: Final = 64 << 10
_TRIES: Final = 50
_PAUSE_S: Final = 0.1


def read_identity(store: Store) -> StoreIdentity | None:
    """Return what the store says of itself; None for one that nothing was written to since programs say it.

    Raises StoreError: `store.newer_format` when a later Drillbook is needed, `store.identity_invalid`, `store.missing`
    where the one that this machine knew there is gone with its disk or bucket, or what the store raises.
    """
    identity, watch = _read(store), current_watch()
    if watch is not None:
        watch.compare(store, identity.id if identity else None)
    return identity


def _read(store: Store) -> StoreIdentity | None:
    try:
        identity = _read_once(store)
    except StoreIdentityError:
        # What came may have been damaged on its way: it is asked for once more, over connections of its own.
        identity = _read_once(store.reconnect())
    if identity is None:
        return None
    if not identity.admits(__version__):
        needs = (
            f"has form {identity.format}, and this Drillbook {__version__} knows form {FORMAT}"
            if identity.format > FORMAT
            else f"needs Drillbook {identity.min_version} or newer; this is {__version__}"
        )
        message = f"store {store.name!r} {needs}"
        raise StoreError(message, code="store.newer_format", hint="update this machine's Drillbook")
    return identity


def _read_once(store: Store) -> StoreIdentity | None:
    try:
        with store.open(IDENTITY_KEY) as file:
            content = file.read(_MOST_BYTES)
    except NotFoundError:
        return None
    return from_json(content, f"{IDENTITY_KEY} in store {store.name!r} ({store.location})")


def ensure_identity(store: Store) -> StoreIdentity:
    """Return the store's identity, given to it now where it has none. Raises as `read_identity` does."""
    return _ensured(store)[0]


def _ensured(store: Store) -> tuple[StoreIdentity, list[Finding]]:
    """The identity, and what there is to say where it was given now."""
    read_identity(store)
    return _given(store)


def _given(store: Store) -> tuple[StoreIdentity, list[Finding]]:
    """The same, whatever this machine knew there."""
    for _ in range(_TRIES):
        known = _read(store)
        if known is not None:
            return known, []
        new = StoreIdentity(secrets.token_hex(16), FORMAT, _MIN_VERSION)
        try:
            put_new(store, IDENTITY_KEY, to_json(new))
        except NameTakenError:
            time.sleep(_PAUSE_S)  # another run was quicker: its word holds
            continue
        watch = current_watch()
        return new, [] if watch is None else watch.made_anew(store, new.id)
    message = f"another run does not finish saying which store {store.name!r} is"
    raise StoreError(message, code="store.conflict", hint="see what runs there, then run it again")


def give_identity(store: Store) -> list[Finding]:
    """Do as `ensure_identity` does; where keys may not write it, that is a warning and hinders no backup.

    Raises StoreError when the store is a later Drillbook's, says nothing sensible of itself, or is not the one that was
    there.
    """
    try:
        return _ensured(store)[1]
    except (NewerStoreError, StoreIdentityError, StoreMissingError):
        raise
    except OpsError as error:
        message = f"{IDENTITY_KEY} could not be written: {error.message}"
        return [
            Finding(severity=Severity.WARNING, code="store.no_identity", message=message, where=store.name)
        ]


def require_another(store: Store, others: Iterable[Store]) -> None:
    """Return when none of the `others` is the same store under another name; one that cannot be asked is taken for another.

    Raises StoreError (`store.same`): what is deleted in one of them is gone in both.
    """
    known = read_identity(store)
    for other in others if known is not None else ():
        if _identity_or_none(other) != known:
            continue
        message = (
            f"stores {store.name!r} ({store.location}) and {other.name!r} ({other.location}) are one place, or one was copied"
            f" from the other with its {IDENTITY_KEY}: a backup there is no second copy"
        )
        hint = (
            "give one of them a place of its own in the configuration; where it was copied by hand, remove that file from the"
            " copy"
        )
        raise StoreError(message, code="store.same", hint=hint)


def _identity_or_none(store: Store) -> StoreIdentity | None:
    try:
        return read_identity(store)
    except OpsError:
        return None


def require_listed(store: Store, identity: StoreIdentity | None) -> None:
    """Return when a listing without any backup can be believed: it shows at least the word that the store is one.

    Raises StoreError (`store.bad_listing`) otherwise.
    """
    if identity is None or any(stored.key == IDENTITY_KEY for stored in store.list(IDENTITY_KEY)):
        return
    message = f"store {store.name!r} ({store.location}) lists nothing, not even its own {IDENTITY_KEY}, which is there"
    hint = "nothing can be said about what is there; look at the server or what stands before it, and run it again"
    raise StoreError(message, code="store.bad_listing", hint=hint)


def create_store(store: Store) -> list[Finding]:
    """Begin a new store where none is, whatever this machine knew there; return what was done.

    A store that is there stays as it is. Raises what `read_identity` raises but `store.missing`, and StateError where the
    state folder cannot be used.
    """
    known, watch = _read(store), current_watch()
    moved = known is None and watch is not None and watch.forget(store)
    identity = known or _given(store)[0]
    done = "is there already, and stays as it is" if known else "begins here"
    place = mount_of(folder_of(store)) if isinstance(store, LocalFiles) else None
    on = f" on {place}" if place else ""
    message = f"store {store.name!r} {done} ({store.location}{on}; id {identity.id[:SHOWN_DIGITS]})"
    if not moved:
        return [Finding(severity=Severity.OK, code="store.created", message=message, where=store.name)]
    message += (
        "; the store that was there lay on a disk of its own. Where that disk is only not mounted, remove this folder's"
        f" {OWN_PREFIX}, mount it, and run this again"
    )
    return [Finding(severity=Severity.WARNING, code="store.created", message=message, where=store.name)]
