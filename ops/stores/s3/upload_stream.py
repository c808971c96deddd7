"""A file sent in parts while it is still being written: what is sealed and what is sent overlap.

Its size and digest are not known beforehand. Nothing of it can be resumed, because what was sealed is never the same again.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import uuid
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from ops.errors import OpsError
from ops.fsio.growing_file import GrowingFile
from ops.stores.s3.connection import Connection
from ops.stores.s3.folder import claim_name, give_up_claim
from ops.stores.s3.multipart import begin_parts, complete_parts, send_part
from ops.stores.s3.options import MOST_PARTS
from ops.stores.s3.parts import Content, Part, digest_of_piece, measured
from ops.stores.s3.resume import Kept, abort
from ops.stores.s3.stored import require_stored
from ops.stores.s3.upload import send


def send_growing(connection: Connection, key: str, name: str, file: GrowingFile) -> Content:
    """Store what is in the file when its writer is done as the object `name`; what that was.

    Raises RefusedError when the name is taken; then, as after every other error, there is no object by us.
    """
    length = max(connection.options.part_size, -(-file.expected // MOST_PARTS))
    size, _ = file.size_beyond(length)
    if size <= length:
        content = measured(file.path, length)
        send(connection, name, content)
        return content
    writer = uuid.uuid4().hex
    claim = claim_name(connection, key, writer)
    try:
        upload = begin_parts(connection, name, None, writer)
        try:
            content, tags = _send_parts(connection, name, file, upload, length)
            complete_parts(connection, name, content, upload, tags, writer=writer)
        except BaseException:
            with contextlib.suppress(OpsError):
                abort(connection, name, upload)
            raise
        require_stored(connection, name, content, writer=writer)
    except BaseException:
        give_up_claim(connection, key, claim)
        raise
    return content


def _send_parts(
    connection: Connection, name: str, file: GrowingFile, upload: str, length: int
) -> tuple[Content, Kept]:
    """Send each part as soon as it is there; all parts, and the ETag of each."""
    whole, parts, tags = hashlib.sha256(), list[Part](), Kept()
    waiting: deque[Future[tuple[int, str]]] = deque()
    with ThreadPoolExecutor(connection.options.parallel, "s3-part") as pool:
        try:
            for offset, size in _pieces(file, length):
                digest = digest_of_piece(file.path, offset, size, whole)
                part = Part(len(parts) + 1, offset, size, base64.b64encode(digest).decode())
                parts.append(part)
                content = Content(file.path, offset + size, "", tuple(parts))
                waiting.append(pool.submit(send_part, connection, name, content, upload, part))
                # No further ahead than that: an upload that fails must not wait for the whole file to be read.
                while waiting and (len(waiting) > connection.options.parallel or waiting[0].done()):
                    tags.update([waiting.popleft().result()])
            tags.update([future.result() for future in waiting])
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return Content(file.path, parts[-1].offset + parts[-1].size, whole.hexdigest(), tuple(parts)), tags


def _pieces(file: GrowingFile, length: int) -> Iterator[tuple[int, int]]:
    """Offset and size of one part after the other; the last is what is left when the writer is done."""
    offset = 0
    while True:
        size, is_all = file.size_beyond(offset + length)
        while size > offset + length:
            yield offset, length
            offset += length
        if is_all:
            yield offset, size - offset
            return
