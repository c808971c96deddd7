"""What a server does beside storing: each thing tried out, because a server may take a header and not heed it."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import uuid
from dataclasses import dataclass
from typing import Final

from ops.errors import ChecksumRefusedError, OpsError
from ops.stores.s3.connection import Connection
from ops.stores.s3.delete import remove_objects
from ops.stores.s3.errors import ExpectedAnswerError
from ops.stores.s3.stored import WRITER_LABEL, label, name_taken
from ops.stores.s3.ways import REFUSED

_CONTENT: Final = b"drillbook"
_OTHER: Final = b"something else"


@dataclass(frozen=True, slots=True)
class Offers:
    """What a server was seen to do.

    `conditions`: it refuses to replace an object when it is told to (`If-None-Match`). `checksums`: it refuses bytes that
    do not have the SHA-256 that comes with them. `together`: it removes several objects by one request.
    """

    conditions: bool
    checksums: bool
    together: bool


def try_offers(connection: Connection, name: str) -> Offers:
    """Try each out with objects called `name` and a little longer; nothing stays where the keys may remove it.

    Raises StoreError when the server cannot be asked, and RefusedError when the name is taken.
    """
    if label(connection, name, WRITER_LABEL) is not None:
        raise name_taken(name, connection.store)
    writer = uuid.uuid4().hex
    names = [f"{name}-1", f"{name}-2"]
    try:
        for each in (name, *names):
            _put(connection, each, writer)
        return Offers(
            conditions=_refuses(connection, name, writer, IfNoneMatch="*"),
            checksums=_refuses(connection, name, writer, ChecksumSHA256=_sha256(_OTHER)),
            together=_removes_together(connection, names),
        )
    finally:
        # Nobody else uses these names, and not every server keeps the label of an object that is put a second time.
        with contextlib.suppress(OpsError):
            remove_objects(connection, [name, *names])


def _sha256(content: bytes) -> str:
    return base64.b64encode(hashlib.sha256(content).digest()).decode()


def _put(connection: Connection, name: str, writer: str, *expect: str, **more: str) -> None:
    about = {WRITER_LABEL: writer}
    connection.call(
        "put_object",
        f"send {name}",
        expect=expect,
        writing=True,
        Key=name,
        Body=_CONTENT,
        Metadata=about,
        **more,
    )


def _refuses(connection: Connection, name: str, writer: str, **wrong: str) -> bool:
    """Whether a put that must fail fails; a server that does not know the header refuses it, and offers nothing."""
    try:
        _put(connection, name, writer, "taken", "conflict", *REFUSED, **wrong)
    except ExpectedAnswerError as answer:
        return answer.answer in {"taken", "conflict"}
    except ChecksumRefusedError:
        return True
    return False


def _removes_together(connection: Connection, names: list[str]) -> bool:
    remove_objects(connection, names)
    with contextlib.suppress(OpsError):
        if any(label(connection, name, WRITER_LABEL) is not None for name in names):
            return False
    return connection.ways.together
