"""One object as a stream that outlives dropped connections, and never mixes two contents."""

from __future__ import annotations

import io
import time
from typing import Any, Final

from ops.errors import StoreError, StoreUnreachableError
from ops.stores.s3.connection import Connection
from ops.stores.s3.errors import ExpectedAnswerError, bad_answer
from ops.stores.s3.protection import not_found, require_unlisted

_BLOCK: Final = 1 << 20
_LONGEST_PAUSE_S: Final = 5.0
_FIRST_PAUSE_S: Final = 0.1


class ObjectStream(io.RawIOBase):
    """The bytes of one object from its start; a read returns as many as were asked for, unless the object ends.

    A connection that breaks is made anew where it broke, on the condition that the object is still the same, which
    only its tag tells. Raises StoreError (`store.changed`) when it is not, or is gone, and what `Connection.call` raises.
    """

    def __init__(self, connection: Connection, name: str, key: str) -> None:
        super().__init__()
        self._connection, self._name, self._key = connection, name, key
        self._position = 0
        try:
            answer = connection.call("get_object", f"open {name}", expect=("missing",), Key=name)
        except ExpectedAnswerError as error:
            require_unlisted(connection, key, name)
            raise not_found(connection, key, name, under_marker=error.under_marker) from None
        self._body: Any = answer["Body"]
        self._tag: str = answer.get("ETag", "")
        self.size: int = self._told_size(answer)

    def _told_size(self, answer: dict[str, Any]) -> int:
        """What an answer without a size leaves open the server may tell when it is asked for nothing else."""
        size = answer.get("ContentLength")
        if size is None:
            head = self._connection.call("head_object", f"look at {self._name}", Key=self._name)
            size = head.get("ContentLength")
        if size is None:
            step = f"open {self._name} in store {self._connection.store!r}"
            raise bad_answer(step, "an object without a size")
        return int(size)

    def readable(self) -> bool:
        """Yes."""
        return True

    def close(self) -> None:
        """Give the connection back."""
        if not self.closed:
            self._body.close()
        super().close()

    def readall(self) -> bytes:
        """All that is left."""
        return self.read(-1)

    def read(self, size: int | None = -1, /) -> bytes:
        """The next `size` bytes, fewer only at the end; all that is left when it is negative or None."""
        rest = self.size - self._position
        wanted = rest if size is None or size < 0 else min(size, rest)
        blocks = []
        failures = 0
        while wanted > 0:
            block = self._read_some(wanted, failures)
            if block:
                blocks.append(block)
                wanted -= len(block)
                self._position += len(block)
                failures = 0
            else:
                failures += 1
        return b"".join(blocks)

    def readinto(self, buffer: Any, /) -> int:  # noqa: ANN401 - any writable buffer
        """Fill `buffer`, less only at the end."""
        with memoryview(buffer).cast("B") as view:
            block = self.read(len(view))
            view[: len(block)] = block
        return len(block)

    def _read_some(self, size: int, failures: int) -> bytes:
        """Up to `size` bytes; none when the connection broke and was made anew. Raises after too many failures."""
        step = f"read {self._name}"
        try:
            with self._connection.translating(step):
                block: bytes = self._body.read(size)
        except StoreUnreachableError:
            if failures >= self._connection.options.retries:
                raise
            block = b""
        if block:
            return block
        time.sleep(min(_FIRST_PAUSE_S * 2**failures, _LONGEST_PAUSE_S))
        self._open_again()
        return b""

    def _open_again(self) -> None:
        self._body.close()
        if not self._tag:
            message = f"read {self._name} in store {self._connection.store!r}: the connection broke, and without an ETag"
            message += " nobody knows whether the rest is of the same object"
            raise StoreError(message, code="store.unreachable", hint="run it again")
        try:
            answer = self._connection.call(
                "get_object",
                f"read {self._name}",
                expect=("taken", "missing"),
                Key=self._name,
                IfMatch=self._tag,
                Range=f"bytes={self._position}-",
            )
        except ExpectedAnswerError:
            raise self._changed() from None
        self._body = answer["Body"]
        told = answer.get("ContentRange")
        if told is None and (answer.get("ETag"), answer.get("ContentLength")) == (self._tag, self.size):
            self._skip()  # a server that does not know Range begins anew
        elif told != f"bytes {self._position}-{self.size - 1}/{self.size}":
            raise self._changed()

    def _skip(self) -> None:
        rest = self._position
        with self._connection.translating(f"read {self._name}"):
            while rest and (block := self._body.read(min(rest, _BLOCK))):
                rest -= len(block)

    def _changed(self) -> StoreError:
        message = f"{self._key} was replaced or removed in store {self._connection.store!r} while it was read"
        hint = "find out who writes to the bucket; verify the backup before you trust it"
        return StoreError(message, code="store.changed", hint=hint)
