"""Taking objects away, and saying why one stays: it is locked, or we may not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, Final

from ops.errors import StoreError
from ops.stores.s3.connection import Connection
from ops.stores.s3.errors import ExpectedAnswerError
from ops.units import format_time

_AT_ONCE: Final = 1000
"""What S3 takes in one request."""


def remove_objects(connection: Connection, names: Sequence[str]) -> None:
    """Remove the objects; fine when one is gone already.

    Raises StoreError: `store.object_locked` with the time, `store.refused` when it may not be.
    """
    # XML can not carry every character; names with such ones are removed alone, where they stand in the address.
    plain = [name for name in names if name.isprintable()]
    odd = [name for name in names if not name.isprintable()]
    for start in range(0, len(plain), _AT_ONCE):
        some = plain[start : start + _AT_ONCE]
        if len(some) == 1:
            odd += some
        else:
            _remove_together(connection, some)
    for name in odd:
        try:
            connection.call("delete_object", f"remove {name}", expect=("denied",), writing=True, Key=name)
        except ExpectedAnswerError as answer:
            raise _refusal(connection, name) from answer


def _remove_together(connection: Connection, names: list[str]) -> None:
    from botocore.exceptions import ClientError

    wanted = {"Objects": [{"Key": name} for name in names], "Quiet": True}
    step = f"remove {len(names)} objects such as {names[0]}"
    answer = connection.call("delete_objects", step, writing=True, Delete=wanted)
    for refused in answer.get("Errors", ()):
        name = str(refused.get("Key", names[0]))
        try:
            with connection.translating(f"remove {name}", expect=("denied",), writing=True):
                raise ClientError({"Error": refused}, "DeleteObjects")
        except ExpectedAnswerError as error:
            raise _refusal(connection, name) from error


def _refusal(connection: Connection, name: str) -> StoreError:
    """Why `name` can not be removed, as far as it can be seen."""
    until = locked_until(connection, [name])
    if until is not None and until > datetime.now(UTC):
        return object_locked(connection, name, until)
    message = (
        f"remove {name} in store {connection.store!r}: the server refused the keys, or they may not do that"
    )
    hint = "a policy without s3:DeleteObject is a good one for backups; prune with other keys. See docs: s3"
    return StoreError(message, code="store.refused", hint=hint)


def object_locked(connection: Connection, name: str, until: datetime) -> StoreError:
    """The refusal to remove something before its time."""
    message = f"remove {name} in store {connection.store!r}: it is locked until {format_time(until)}"
    return StoreError(
        message, code="store.object_locked", hint="wait until then; nobody can shorten it quietly"
    )


def locked_until(connection: Connection, names: Iterable[str]) -> datetime | None:
    """The latest time until which one of the objects is locked; None when none is, or there is none."""

    def of_one(name: str) -> datetime | None:
        try:
            head: dict[str, Any] = connection.call(
                "head_object", f"look at {name}", expect=("missing", "denied", "not_offered"), Key=name
            )
        except ExpectedAnswerError:
            return None
        until: datetime | None = head.get("ObjectLockRetainUntilDate")
        return until

    with ThreadPoolExecutor(connection.options.parallel, "s3-lock") as pool:
        found = [until.astimezone(UTC) for until in pool.map(of_one, names) if until is not None]
    return max(found, default=None)
