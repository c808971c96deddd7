"""One file into one object: whole or not at all, never replacing, and resumed where a killed run stopped.

Each request carries the SHA-256 of what it brings, and the server refuses anything else. The object's name is taken
by a condition on the last request (`If-None-Match: *`), so that of two writers one wins, whatever they do before.
"""

from __future__ import annotations

import contextlib
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from ops.errors import OpsError, RefusedError, StoreError
from ops.stores.s3.connection import Connection
from ops.stores.s3.errors import ExpectedAnswerError
from ops.stores.s3.options import S3Options
from ops.stores.s3.parts import Content, Part, opened_part
from ops.stores.s3.resume import Kept, abort, resumable_upload

SHA256_LABEL: Final = "sha256"
_WRITER_LABEL: Final = "drillbook-writer"
_CONFLICT_PAUSES_S: Final = (0.2, 0.5, 1.0, 2.0)
WORTH_RESUMING: Final = {
    "store.clock_skew",
    "store.credentials_expired",
    "store.throttled",
    "store.unreachable",
    "space.store_full",
}
"""After these what has arrived is kept for the next run."""


def send(connection: Connection, name: str, content: Content) -> None:
    """Store `content` as the object `name`; it was looked at when this returns.

    Raises RefusedError when the name is taken; then, as after every other error, there is no object by us.
    """
    writer = uuid.uuid4().hex
    if len(content.parts) == 1:
        _send_at_once(connection, name, content, writer)
    else:
        _send_in_parts(connection, name, content, writer)
    require_stored(connection, name, content)


def _send_at_once(connection: Connection, name: str, content: Content, writer: str) -> None:
    (part,) = content.parts
    for pause_s in (*_CONFLICT_PAUSES_S, None):
        try:
            with opened_part(content, part) as body:
                connection.call(
                    "put_object",
                    f"send {name}",
                    expect=("taken", "conflict"),
                    writing=True,
                    Key=name,
                    Body=body,
                    ContentLength=part.size,
                    ChecksumSHA256=part.checksum,
                    IfNoneMatch="*",
                    **_attributes(connection.options, content, writer),
                )
            return
        except ExpectedAnswerError as answer:
            if answer.answer == "conflict" and pause_s is not None:
                time.sleep(pause_s)  # another writer of this name is about to win or to fail
                continue
            _require_own(connection, name, writer)
            return


def _attributes(options: S3Options, content: Content | None, writer: str) -> dict[str, Any]:
    """How the object is kept, and what is written on it."""
    about = {} if content is None else {SHA256_LABEL: content.sha256}
    attributes: dict[str, Any] = {"Metadata": {**about, _WRITER_LABEL: writer}}
    if options.sse is not None:
        attributes["ServerSideEncryption"] = options.sse
    if options.sse_kms_key_id is not None:
        attributes["SSEKMSKeyId"] = options.sse_kms_key_id
    if options.storage_class is not None:
        attributes["StorageClass"] = options.storage_class
    if options.object_lock is not None:
        attributes["ObjectLockMode"] = options.object_lock
        attributes["ObjectLockRetainUntilDate"] = _retain_until(options)
    return attributes


def _retain_until(options: S3Options) -> datetime:
    return datetime.now(UTC) + (options.object_lock_for or timedelta())


def _require_own(connection: Connection, name: str, writer: str) -> None:
    """Return when the object at `name` is what this very call sent: the first answer was lost, the second was no.

    Raises RefusedError when it is somebody else's.
    """
    if label(connection, name, _WRITER_LABEL) != writer:
        raise name_taken(name, connection.store)


def label(connection: Connection, name: str, which: str) -> str | None:
    """What is written on the object `name`; None when there is no such object or label."""
    try:
        head = connection.call("head_object", f"look at {name}", expect=("missing",), Key=name)
    except ExpectedAnswerError:
        return None
    labels: dict[str, str] = head.get("Metadata", {})
    return labels.get(which)


def name_taken(name: str, store: str) -> RefusedError:
    """The refusal to put something where something is."""
    message = f"{name} exists in store {store!r}"
    return RefusedError(message, code="refused.name_taken", hint="names are never reused; choose another")


def _send_in_parts(connection: Connection, name: str, content: Content, writer: str) -> None:
    upload, kept = resumable_upload(connection, name, content)
    if upload is None:
        upload = begin_parts(connection, name, content, writer)
    try:
        tags = {**kept, **_send_parts(connection, name, content, upload, kept)}
        complete_parts(connection, name, content, upload, tags, writer=None if kept else writer)
    except OpsError as error:
        if error.code not in WORTH_RESUMING:
            abort(connection, name, upload)
        raise
    if kept and connection.options.object_lock is not None:
        _lock_anew(connection, name)


def begin_parts(connection: Connection, name: str, content: Content | None, writer: str) -> str:
    """Begin an upload in parts; its id. Without `content` nothing is written on it about what it will hold."""
    begun = connection.call(
        "create_multipart_upload",
        f"begin to send {name}",
        writing=True,
        Key=name,
        ChecksumAlgorithm="SHA256",
        **_attributes(connection.options, content, writer),
    )
    return str(begun["UploadId"])


def _send_parts(connection: Connection, name: str, content: Content, upload: str, kept: Kept) -> Kept:
    missing = [part for part in content.parts if part.number not in kept]
    with ThreadPoolExecutor(connection.options.parallel, "s3-part") as pool:
        try:
            return dict(pool.map(lambda part: send_part(connection, name, content, upload, part), missing))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def send_part(
    connection: Connection, name: str, content: Content, upload: str, part: Part
) -> tuple[int, str]:
    """Send one part; its number and ETag."""
    with opened_part(content, part) as body:
        sent = connection.call(
            "upload_part",
            f"send part {part.number} of {len(content.parts)} of {name}",
            writing=True,
            Key=name,
            UploadId=upload,
            PartNumber=part.number,
            Body=body,
            ContentLength=part.size,
            ChecksumSHA256=part.checksum,
        )
    return part.number, str(sent["ETag"])


def complete_parts(  # noqa: PLR0913 - an upload is all of that
    connection: Connection, name: str, content: Content, upload: str, tags: Kept, *, writer: str | None
) -> None:
    """Turn the parts into the object. `writer` is what was written on it; None: by a run that is gone."""
    parts = [
        {"PartNumber": part.number, "ETag": tags[part.number], "ChecksumSHA256": part.checksum}
        for part in content.parts
    ]
    for pause_s in (*_CONFLICT_PAUSES_S, None):
        try:
            connection.call(
                "complete_multipart_upload",
                f"finish sending {name}",
                expect=("taken", "conflict", "no_upload"),
                writing=True,
                Key=name,
                UploadId=upload,
                IfNoneMatch="*",
                MultipartUpload={"Parts": parts},
            )
            return
        except ExpectedAnswerError as answer:
            if answer.answer == "conflict" and pause_s is not None:
                time.sleep(pause_s)
                continue
            _require_completed(connection, name, content, writer, answer)
            return


def _require_completed(
    connection: Connection, name: str, content: Content, writer: str | None, answer: ExpectedAnswerError
) -> None:
    """Return when the answer to a request that had succeeded was lost, and this was the answer to its repetition."""
    if writer is not None:
        found, wanted = label(connection, name, _WRITER_LABEL), writer
    else:
        found, wanted = label(connection, name, SHA256_LABEL), content.sha256
    if found == wanted and (writer is not None or answer.answer == "no_upload"):
        return
    if found is not None:
        raise name_taken(name, connection.store)
    message = f"finish sending {name} in store {connection.store!r}: somebody aborted the upload meanwhile"
    raise StoreError(message, code="store.unwritable", hint="run it again")


def _lock_anew(connection: Connection, name: str) -> None:
    """Count the retention from now: a resumed upload has that of the run that began it."""
    connection.call(
        "put_object_retention",
        f"lock {name}",
        writing=True,
        Key=name,
        Retention={
            "Mode": connection.options.object_lock,
            "RetainUntilDate": _retain_until(connection.options),
        },
    )


def require_stored(connection: Connection, name: str, content: Content) -> None:
    """Return when the stored object has size, digest and label of `content`; one that has not is removed.

    What a former run had sent is proven here: the server's digest over all parts is ours.
    """
    head = connection.call("head_object", f"look at {name}", Key=name, ChecksumMode="ENABLED")
    digest = head.get("Metadata", {}).get(SHA256_LABEL, content.sha256)
    if (head["ContentLength"], digest, head.get("ChecksumSHA256", content.checksum)) == (
        content.size,
        content.sha256,
        content.checksum,
    ):
        return
    with contextlib.suppress(OpsError):
        connection.call("delete_object", f"remove {name}", writing=True, Key=name)
    message = f"send {name} in store {connection.store!r}: what is stored is not what was sent"
    raise StoreError(message, code="store.checksum_refused", hint="run it again")
