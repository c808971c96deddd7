"""One file into one object: whole or not at all, never replacing, and resumed where a killed run stopped.

Each request carries the SHA-256 of what it brings, and the server refuses anything else. The object's name is taken
by a condition on the last request (`If-None-Match: *`), so that of two writers one wins, whatever they do before. Where
the server offers neither, MD5 and a look before and after take their place.
"""

from __future__ import annotations

import time
import uuid
from typing import Any

from ops.errors import OpsError
from ops.stores.s3.connection import Connection
from ops.stores.s3.errors import ExpectedAnswerError
from ops.stores.s3.multipart import CONFLICT_PAUSES_S, attributes, send_in_parts
from ops.stores.s3.parts import Content, opened_part
from ops.stores.s3.stored import (
    WRITER_LABEL,
    has_arrived,
    is_there,
    name_taken,
    require_own,
    require_stored,
)
from ops.stores.s3.ways import REFUSED, Ways, as_offered


def send(connection: Connection, name: str, content: Content) -> str:
    """Store `content` as the object `name`; return what was written on it to say who sent it.

    It was looked at when this returns. Raises RefusedError when the name is taken; then, as after every other error,
    there is no object by us.
    """
    writer = uuid.uuid4().hex
    if len(content.parts) == 1:
        _send_at_once(connection, name, content, writer)
        require_stored(connection, name, content, writer=writer)
    else:
        known, tag = send_in_parts(connection, name, content, writer)
        require_stored(connection, name, content, writer=known, tag=tag)
    return writer


def _send_at_once(connection: Connection, name: str, content: Content, writer: str) -> None:
    step = f"send {name}"
    for pause_s in (*CONFLICT_PAUSES_S, None):
        try:
            as_offered(
                connection, step, lambda ways: _put(connection, name, content, writer, ways), conditional=True
            )
            return
        except ExpectedAnswerError as answer:
            if answer.answer == "conflict" and pause_s is not None:
                time.sleep(pause_s)  # another writer of this name is about to win or to fail
                continue
            require_own(connection, name, writer)
            return
        except OpsError as error:
            if not has_arrived(connection, error, name, WRITER_LABEL, writer):
                raise
            return


def _put(connection: Connection, name: str, content: Content, writer: str, ways: Ways) -> dict[str, Any]:
    if not ways.conditions and is_there(connection, name):
        raise name_taken(name, connection.store)
    (part,) = content.parts
    with opened_part(content, part) as body:
        return connection.call(
            "put_object",
            f"send {name}",
            expect=("taken", "conflict", *REFUSED),
            writing=True,
            Key=name,
            Body=body,
            ContentLength=part.size,
            **ways.proof(content, part),
            **ways.condition,
            **attributes(connection.options, content, writer),
        )
