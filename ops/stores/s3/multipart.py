"""A file in parts: begun, sent, and turned into an object by the last request, which takes the name."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from ops.errors import OpsError, StoreError
from ops.stores.s3.connection import Connection
from ops.stores.s3.errors import ExpectedAnswerError, bad_answer
from ops.stores.s3.options import S3Options
from ops.stores.s3.parts import Content, Part, opened_part
from ops.stores.s3.resume import Kept, abort, resumable_upload
from ops.stores.s3.stored import SHA256_LABEL, WRITER_LABEL, has_arrived, is_there, label, name_taken
from ops.stores.s3.ways import REFUSED, Ways, as_offered

CONFLICT_PAUSES_S: Final = (0.2, 0.5, 1.0, 2.0)
WORTH_RESUMING: Final = {
    "store.clock_skew",
    "store.credentials_expired",
    "store.throttled",
    "store.unreachable",
    "space.store_full",
}
"""After these what has arrived is kept for the next run."""


def attributes(options: S3Options, content: Content | None, writer: str) -> dict[str, Any]:
    """Return how the object is to be kept, and what is written on it."""
    about = {} if content is None else {SHA256_LABEL: content.sha256}
    kept: dict[str, Any] = {"Metadata": {**about, WRITER_LABEL: writer}}
    if options.sse is not None:
        kept["ServerSideEncryption"] = options.sse
    if options.sse_kms_key_id is not None:
        kept["SSEKMSKeyId"] = options.sse_kms_key_id
    if options.storage_class is not None:
        kept["StorageClass"] = options.storage_class
    if options.object_lock is not None:
        kept["ObjectLockMode"] = options.object_lock
        kept["ObjectLockRetainUntilDate"] = _retain_until(options)
    return kept


def _retain_until(options: S3Options) -> datetime:
    return datetime.now(UTC) + (options.object_lock_for or timedelta())


def send_in_parts(connection: Connection, name: str, content: Content, writer: str) -> tuple[str | None, str]:
    """Store a file of several parts, of which those are not sent again that a former run has sent.

    Return what is written on the object (None: what a run that is gone wrote) and its tag, as far as the server told it.
    """
    upload, kept = resumable_upload(connection, name, content)
    if upload is None:
        upload = begin_parts(connection, name, content, writer)
    known = None if kept else writer
    try:
        tags = {**kept, **_send_parts(connection, name, content, upload, kept)}
        tag = complete_parts(connection, name, content, upload, tags, writer=known)
    except OpsError as error:
        if error.code not in WORTH_RESUMING:
            abort(connection, name, upload)
        raise
    if kept and connection.options.object_lock is not None:
        _lock_anew(connection, name)
    return known, tag


def begin_parts(connection: Connection, name: str, content: Content | None, writer: str) -> str:
    """Begin an upload in parts; return its id. Without `content` nothing is written on it about what it will hold."""
    step = f"begin to send {name}"

    def attempt(ways: Ways) -> dict[str, Any]:
        return connection.call(
            "create_multipart_upload",
            step,
            expect=REFUSED,
            writing=True,
            Key=name,
            **({"ChecksumAlgorithm": "SHA256"} if ways.checksums else {}),
            **attributes(connection.options, content, writer),
        )

    begun = as_offered(connection, step, attempt)
    if "UploadId" not in begun:
        raise bad_answer(f"{step} in store {connection.store!r}", "it tells no number of the upload")
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
    """Send one part; return its number and ETag."""
    step = f"send part {part.number} of {len(content.parts)} of {name}"

    def attempt(ways: Ways) -> dict[str, Any]:
        with opened_part(content, part) as body:
            return connection.call(
                "upload_part",
                step,
                expect=REFUSED,
                writing=True,
                Key=name,
                UploadId=upload,
                PartNumber=part.number,
                Body=body,
                ContentLength=part.size,
                **ways.proof(content, part),
            )

    sent = as_offered(connection, step, attempt)
    if not sent.get("ETag"):
        raise bad_answer(f"{step} in store {connection.store!r}", "it tells no ETag of the part")
    return part.number, str(sent["ETag"])


def complete_parts(  # noqa: PLR0913 - an upload is all of that
    connection: Connection, name: str, content: Content, upload: str, tags: Kept, *, writer: str | None
) -> str:
    """Turn the parts into the object; return its tag, empty when the server told none.

    `writer` is what was written on it; None: by a run that is gone. Raises RefusedError when the name is taken.
    """
    which, wanted = (SHA256_LABEL, content.sha256) if writer is None else (WRITER_LABEL, writer)
    for pause_s in (*CONFLICT_PAUSES_S, None):
        try:
            done = as_offered(
                connection,
                f"finish sending {name}",
                lambda ways: _complete(connection, name, content, upload, tags, ways),
                conditional=True,
            )
            return str(done.get("ETag", ""))
        except ExpectedAnswerError as answer:
            if answer.answer == "conflict" and pause_s is not None:
                time.sleep(pause_s)
                continue
            _require_completed(connection, name, which, wanted, answer)
            return ""
        except OpsError as error:
            if not has_arrived(connection, error, name, which, wanted):
                raise
            return ""
    raise AssertionError(name)


def _complete(  # noqa: PLR0913, PLR0917 - an upload is all of that
    connection: Connection, name: str, content: Content, upload: str, tags: Kept, ways: Ways
) -> dict[str, Any]:
    if not ways.conditions and is_there(connection, name):
        raise name_taken(name, connection.store)
    parts = [
        {
            "PartNumber": part.number,
            "ETag": tags[part.number],
            **({"ChecksumSHA256": part.checksum} if ways.checksums else {}),
        }
        for part in content.parts
    ]
    return connection.call(
        "complete_multipart_upload",
        f"finish sending {name}",
        expect=("taken", "conflict", "no_upload", *REFUSED),
        writing=True,
        Key=name,
        UploadId=upload,
        MultipartUpload={"Parts": parts},
        **ways.condition,
    )


def _require_completed(
    connection: Connection, name: str, which: str, wanted: str, answer: ExpectedAnswerError
) -> None:
    """Return when the answer to a request that had succeeded was lost, and this was the answer to its repetition."""
    found = label(connection, name, which)
    if found == wanted and (which == WRITER_LABEL or answer.answer == "no_upload"):
        return
    if found is not None or is_there(connection, name):
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
