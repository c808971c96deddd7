"""Uploads that nobody will finish: no listing shows them, and their parts take room for ever."""

from __future__ import annotations

from datetime import datetime

from ops.errors import StoreError
from ops.stores.s3.connection import Connection
from ops.stores.s3.errors import ExpectedAnswerError
from ops.stores.s3.folder import is_claimed
from ops.stores.s3.resume import unfinished_uploads


def abort_stale(connection: Connection, before: datetime) -> list[str]:
    """Give up our uploads that were begun before that moment; their keys, sorted.

    Ours are those whose names were taken in the bucket first: other programs may send to the same place. Raises
    StoreError when they may not be listed or given up.
    """
    prefix = connection.options.folder
    try:
        uploads = unfinished_uploads(connection, prefix)
    except ExpectedAnswerError as answer:
        if answer.answer != "denied":
            return []
        message = f"list unfinished uploads in store {connection.store!r}: the keys may not do that"
        hint = "give them s3:ListBucketMultipartUploads; see docs: s3"
        raise StoreError(message, code="store.refused", hint=hint) from answer
    given_up = []
    for upload in uploads:
        if not {"Key", "Initiated", "UploadId"} <= upload.keys():
            continue  # of what is not told whole nobody knows whether it is stale
        key = upload["Key"].removeprefix(prefix)
        if upload["Initiated"] < before and is_claimed(connection, key.partition("/")[0]):
            _abort(connection, upload["Key"], str(upload["UploadId"]))
            given_up.append(key)
    return sorted(given_up)


def abort_uploads(connection: Connection, key: str) -> list[str]:
    """Give up all uploads of the file `key` and of files of that folder; their keys. Raises StoreError."""
    prefix = connection.options.folder
    try:
        uploads = unfinished_uploads(connection, f"{prefix}{key}")
    except ExpectedAnswerError:
        return []
    own = [
        item
        for item in uploads
        if item["Key"] == f"{prefix}{key}" or item["Key"].startswith(f"{prefix}{key}/")
    ]
    for upload in own:
        _abort(connection, upload["Key"], str(upload["UploadId"]))
    return sorted(item["Key"].removeprefix(prefix) for item in own)


def _abort(connection: Connection, name: str, upload: str) -> None:
    try:
        connection.call(
            "abort_multipart_upload",
            f"give up sending {name}",
            expect=("no_upload", "missing"),
            writing=True,
            Key=name,
            UploadId=upload,
        )
    except ExpectedAnswerError:
        return  # somebody was quicker
