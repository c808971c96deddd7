"""What a server may lack of S3, and how the same is done without it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, TypeVar

from ops.errors import StoreError
from ops.stores.s3.errors import ExpectedAnswerError
from ops.stores.s3.parts import Content, Part, opened_part

if TYPE_CHECKING:
    from ops.stores.s3.connection import Connection

REFUSED: Final = ("not_offered", "invalid")
"""Answers to a request that holds something which the server does not know."""
_BLOCK: Final = 1 << 20
_ABOUT_CONDITION: Final = ("if-none-match", "ifnonematch", "conditional")
_ABOUT_CHECKSUM: Final = ("checksum", "x-amz-sdk")

Done = TypeVar("Done")


@dataclass(frozen=True, slots=True)
class Ways:
    """What is asked of a server: all of it, until it has refused something.

    `conditions`: it takes a name only if that is free (`If-None-Match`). `checksums`: it compares what arrives with
    its SHA-256; else with its MD5. `together`: it removes many objects by one request.
    """

    conditions: bool = True
    checksums: bool = True
    together: bool = True

    @property
    def condition(self) -> dict[str, str]:
        """Return what makes a request fail when the name is taken."""
        return {"IfNoneMatch": "*"} if self.conditions else {}

    def proof(self, content: Content, part: Part) -> dict[str, str]:
        """Return the digest of `part` that the server is to compare with. Raises StoreError when it cannot be read."""
        if self.checksums:
            return {"ChecksumSHA256": part.checksum}
        digest = hashlib.md5(usedforsecurity=False)
        with opened_part(content, part) as file:
            while block := file.read(_BLOCK):
                digest.update(block)
        return {"ContentMD5": base64.b64encode(digest.digest()).decode()}


def as_offered(
    connection: Connection, step: str, attempt: Callable[[Ways], Done], *, conditional: bool = False
) -> Done:
    """Return what `attempt` does in the best way that the server takes; that way is remembered for this connection.

    `conditional`: the request holds a condition. Raises StoreError when each way was refused, and says so.
    """
    full = connection.ways
    try:
        return attempt(full)
    except ExpectedAnswerError as answer:
        if answer.answer not in REFUSED:
            raise
        first = answer
    for ways in _weaker(full, conditional=conditional):
        if not _worth_trying(first, full, ways):
            continue
        try:
            done = attempt(ways)
        except ExpectedAnswerError as answer:
            if answer.answer not in REFUSED:
                raise
        else:
            connection.ways = ways
            return done
    raise _refused(connection, step, first, conditional=conditional) from first.__cause__


def _weaker(ways: Ways, *, conditional: bool) -> Iterator[Ways]:
    """Yield what is left of `ways` without one thing, then without two; the condition is given up last."""
    for conditions in (True, False) if conditional and ways.conditions else (ways.conditions,):
        for checksums in (True, False) if ways.checksums else (False,):
            weaker = replace(ways, conditions=conditions, checksums=checksums)
            if weaker != ways:
                yield weaker


def _worth_trying(answer: ExpectedAnswerError, full: Ways, ways: Ways) -> bool:
    """Whether the server may take `ways` after it refused all of it with `answer`."""
    without_condition = full.conditions and not ways.conditions
    without_checksum = full.checksums and not ways.checksums
    if any(word in answer.about for word in _ABOUT_CONDITION):
        return without_condition
    if any(word in answer.about for word in _ABOUT_CHECKSUM):
        return without_checksum
    # A request can be invalid for a hundred reasons: only what was named, or is not offered, costs the condition.
    return not without_condition or answer.answer == "not_offered"


def _refused(
    connection: Connection, step: str, answer: ExpectedAnswerError, *, conditional: bool
) -> StoreError:
    without = "Content-MD5 in place of SHA-256" + (" and without If-None-Match" if conditional else "")
    message = f"{step} in store {connection.store!r}: the server refuses the request ({answer.code}), also with {without}"
    hint = "it lacks something that is needed here, or refuses another option of the store; see docs: s3"
    return StoreError(message, code="store.unwritable", hint=hint)
