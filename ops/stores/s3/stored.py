"""What lies under a name after it was sent: ours, somebody else's, or nothing. Only what is ours is taken away."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from ops.errors import OpsError, RefusedError, StoreError
from ops.stores.s3.connection import Connection
from ops.stores.s3.delete import remove_objects
from ops.stores.s3.errors import ExpectedAnswerError, bad_answer
from ops.stores.s3.parts import Content
from ops.stores.s3.ways import REFUSED

SHA256_LABEL: Final = "sha256"
WRITER_LABEL: Final = "drillbook-writer"
_PAUSES_S: Final = (0.1, 0.3, 1.0)
"""Some servers tell of a new object only a moment after they took it."""
_UNSURE: Final = {"store.bad_answer", "store.throttled", "store.unreachable", "store.unwritable"}
"""After these nobody knows whether the request was done."""

Head = dict[str, Any]


def head_of(connection: Connection, name: str) -> Head | None:
    """Return what the server tells of the object `name` without its content; None when there is none."""
    try:
        return connection.call("head_object", f"look at {name}", expect=("missing",), Key=name)
    except ExpectedAnswerError:
        return None


def is_there(connection: Connection, name: str) -> bool:
    """Return whether there is an object of exactly that name, whatever order the server lists in."""
    return head_of(connection, name) is not None


def label(connection: Connection, name: str, which: str) -> str | None:
    """Return what is written on the object `name`; None when there is no such object or label."""
    return _label(head_of(connection, name), which)


def _label(head: Head | None, which: str) -> str | None:
    labels: dict[str, str] = {} if head is None else head.get("Metadata", {})
    return labels.get(which)


def name_taken(name: str, store: str) -> RefusedError:
    """Return the refusal to put something where something is."""
    message = f"{name} exists in store {store!r}"
    return RefusedError(message, code="refused.name_taken", hint="names are never reused; choose another")


def require_own(connection: Connection, name: str, writer: str) -> None:
    """Return when the object at `name` is what this very call sent: the first answer was lost, the second was no.

    Raises RefusedError when it is somebody else's.
    """
    if label(connection, name, WRITER_LABEL) != writer:
        raise name_taken(name, connection.store)


def has_arrived(connection: Connection, error: OpsError, name: str, which: str, wanted: str) -> bool:
    """Return whether an object labelled `wanted` is there, though the request that stored it ended with `error`.

    An answer can be lost, and a server can say in an answer of success that it failed, after it was done.
    """
    if error.code not in _UNSURE:
        return False
    with contextlib.suppress(OpsError):
        return label(connection, name, which) == wanted
    return False


def require_stored(
    connection: Connection, name: str, content: Content, *, writer: str | None, tag: str = ""
) -> None:
    """Return when the stored object has size, digest and label of `content`.

    `writer` is what was written on ours, `tag` its ETag as the server told it. What a former run had sent is proven
    here: the server's digest over all parts is ours. Ours is removed when it is something else, and StoreError raised:
    `store.not_stored` when there is nothing, `store.checksum_refused` when it is not what was sent. Raises RefusedError
    when it is somebody else's, which stays: a server without conditions lets the later one replace the former's.
    """
    step = f"send {name} in store {connection.store!r}"
    head = _head_when_there(connection, name)
    if head is None:
        message = f"{step}: the server said that it was stored, and it is not there"
        hint = "look at the server and at what stands before it; run store.check, then run it again"
        raise StoreError(message, code="store.not_stored", hint=hint)
    found = _label(head, WRITER_LABEL)
    if writer is not None and found is not None and found != writer:
        raise name_taken(name, connection.store)
    is_ours = found == writer if writer is not None else bool(tag) and head.get("ETag") == tag
    digest, size = _label(head, SHA256_LABEL) or content.sha256, head.get("ContentLength")
    checksum = head.get("ChecksumSHA256", content.checksum)
    if (size, digest) == (content.size, content.sha256) and content.has_checksum(checksum):
        return
    if is_ours:
        with contextlib.suppress(OpsError):
            remove_objects(connection, [name])
    if size is None:
        raise bad_answer(step, "it tells no size of what was stored")
    message = f"{step}: what is stored is not what was sent"
    raise StoreError(message, code="store.checksum_refused", hint="run it again; run store.check")


def _head_when_there(connection: Connection, name: str) -> Head | None:
    mode: dict[str, Any] = {"ChecksumMode": "ENABLED"} if connection.ways.checksums else {}
    for pause_s in (*_PAUSES_S, None):
        try:
            return connection.call(
                "head_object", f"look at {name}", expect=("missing", *REFUSED), Key=name, **mode
            )
        except ExpectedAnswerError as answer:
            if answer.answer != "missing":
                return head_of(connection, name)  # a server that does not know the question for the digest
        if pause_s is not None:
            time.sleep(pause_s)
    return None


def remove_own(connection: Connection, writers: Mapping[str, str]) -> None:
    """Remove those objects on which still the writer is written who sent them; what cannot be removed stays.

    `writers`: name -> writer.
    """

    def is_own(name: str) -> bool:
        with contextlib.suppress(OpsError):
            return label(connection, name, WRITER_LABEL) == writers[name]
        return False

    with ThreadPoolExecutor(connection.options.parallel, "s3-own") as pool:
        own = [name for name, yes in zip(writers, pool.map(is_own, writers), strict=True) if yes]
    with contextlib.suppress(OpsError):
        remove_objects(connection, own)


def require_gone(connection: Connection, names: Sequence[str]) -> None:
    """Return when the objects are gone; raises StoreError (`store.unwritable`) when the server only said so."""
    for name in names:
        for pause_s in (*_PAUSES_S, None):
            if not is_there(connection, name):
                break
            if pause_s is None:
                message = f"remove {name} in store {connection.store!r}: the server said that it was removed, and it is there"
                hint = "look at the server and at what stands before it; run store.check"
                raise StoreError(message, code="store.unwritable", hint=hint)
            time.sleep(pause_s)
