"""Taking objects away, and saying why one stays: it is locked, or we may not."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Final

from ops.errors import OpsError, StoreError
from ops.stores.s3.connection import Connection
from ops.stores.s3.errors import ExpectedAnswerError
from ops.stores.s3.protection import object_locked, object_protection
from ops.stores.s3.ways import REFUSED

_AT_ONCE: Final = 1000
"""What S3 takes in one request."""


def remove_objects(connection: Connection, names: Sequence[str]) -> None:
    """Remove the objects; fine when one is gone already.

    Raises StoreError: `store.object_locked` with the time, `store.refused` when it may not be.
    """
    # XML cannot carry every character; names with such ones are removed alone, where they stand in the address.
    plain = [name for name in names if name.isprintable()]
    odd = [name for name in names if not name.isprintable()]
    for start in range(0, len(plain), _AT_ONCE):
        some = plain[start : start + _AT_ONCE]
        if len(some) == 1 or not _remove_together(connection, some):
            odd += some
    with ThreadPoolExecutor(connection.options.parallel, "s3-remove") as pool:
        for _ in pool.map(lambda name: _remove(connection, name), odd):
            pass


def _remove(connection: Connection, name: str) -> None:
    with _telling_why(connection, name):
        connection.call("delete_object", f"remove {name}", expect=("denied",), writing=True, Key=name)


@contextlib.contextmanager
def _telling_why(connection: Connection, name: str) -> Iterator[None]:
    """Turn a refusal to remove `name` into what can be seen of its reason."""
    try:
        yield
    except ExpectedAnswerError as error:
        raise _refusal(connection, name) from error
    except OpsError as error:
        # Not every server says "denied" of what is locked.
        if error.code in {"store.unwritable", "store.unreachable"} and (held := _held(connection, name)):
            raise held from error
        raise


def _remove_together(connection: Connection, names: list[str]) -> bool:
    """Remove the objects by one request; False where the server takes only one at a time."""
    from botocore.exceptions import ClientError

    if not connection.ways.together:
        return False
    wanted = {"Objects": [{"Key": name} for name in names], "Quiet": True}
    step = f"remove {len(names)} objects such as {names[0]}"
    try:
        answer = connection.call("delete_objects", step, expect=REFUSED, writing=True, Delete=wanted)
    except ExpectedAnswerError:
        # Older servers want Content-MD5 for it, which botocore no longer sends, and some do not know it at all.
        connection.ways = replace(connection.ways, together=False)
        return False
    for refused in answer.get("Errors", ()):
        name = str(refused.get("Key", names[0]))
        with (
            _telling_why(connection, name),
            connection.translating(f"remove {name}", expect=("denied",), writing=True),
        ):
            raise ClientError({"Error": refused}, "DeleteObjects")
    return True


def _refusal(connection: Connection, name: str) -> StoreError:
    """Return why `name` cannot be removed, as far as it can be seen."""
    if held := _held(connection, name):
        return held
    message = (
        f"remove {name} in store {connection.store!r}: the server refused the keys, or they may not do that"
    )
    hint = "a policy without s3:DeleteObject is a good one for backups; prune with other keys. See docs: s3"
    return StoreError(message, code="store.refused", hint=hint)


def _held(connection: Connection, name: str) -> StoreError | None:
    with contextlib.suppress(OpsError):
        protection = object_protection(connection, [name]).get(name)
        if protection is not None and protection.holds:
            return object_locked(connection, name, protection)
    return None
