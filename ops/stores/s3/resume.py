"""Uploads in parts that were begun and neither finished nor given up: what a killed run leaves."""

from __future__ import annotations

import contextlib
import hashlib
from typing import Any, Final

from ops.errors import OpsError, StoreError
from ops.stores.s3.connection import Connection
from ops.stores.s3.errors import ExpectedAnswerError
from ops.stores.s3.parts import Content, Part, opened_part

_BLOCK: Final = 1 << 20
Kept = dict[int, str]
"""Number of a part that the server has already -> its ETag."""


class _NoListingError(StoreError):
    """A listing that says that it goes on, and not how, or begins anew for ever."""

    def __init__(self, connection: Connection, what: str) -> None:
        message = (
            f"list {what} in store {connection.store!r}: the server says that there are more, and not where"
        )
        super().__init__(message, code="store.bad_listing", hint="look at the server; see docs: s3")


def resumable_upload(connection: Connection, name: str, content: Content) -> tuple[str | None, Kept]:
    """Return the upload that a former run of this very content left, and its parts; None when there is none.

    Where looking is not allowed, or what is told makes no sense, everything is sent anew.
    """
    best: tuple[str | None, Kept] = (None, {})
    with contextlib.suppress(ExpectedAnswerError, _NoListingError):
        for upload in unfinished_uploads(connection, name):
            if upload.get("Key") == name and "UploadId" in upload:
                kept = _matching(_stored_parts(connection, name, str(upload["UploadId"])), content)
                if len(kept) > len(best[1]):
                    best = (str(upload["UploadId"]), kept)
    return best


def unfinished_uploads(connection: Connection, prefix: str) -> list[dict[str, Any]]:
    """Return name, id and time of the uploads below `prefix` that were begun and neither finished nor aborted.

    Raises ExpectedAnswerError (`denied`, `not_offered`) where that may not be asked, and StoreError
    (`store.bad_listing`) for a listing without an end.
    """
    found: list[dict[str, Any]] = []
    parameters: dict[str, Any] = {"Prefix": prefix}
    while True:
        page = connection.call(
            "list_multipart_uploads",
            "list unfinished uploads",
            # Some say that there is no upload where they offer no such list (rclone 1.75).
            expect=("denied", "not_offered", "missing", "no_upload"),
            **parameters,
        )
        found += page.get("Uploads", ())
        if not page.get("IsTruncated"):
            return found
        following = {"KeyMarker": page.get("NextKeyMarker"), "UploadIdMarker": page.get("NextUploadIdMarker")}
        if None in following.values() or following.items() <= parameters.items():
            raise _NoListingError(connection, "unfinished uploads")
        parameters |= following


def _stored_parts(connection: Connection, name: str, upload: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    parameters: dict[str, Any] = {}
    while True:
        page = connection.call(
            "list_parts",
            f"list the parts of {name}",
            expect=("denied", "not_offered", "missing", "no_upload"),
            Key=name,
            UploadId=upload,
            **parameters,
        )
        found += page.get("Parts", ())
        if not page.get("IsTruncated"):
            return found
        following = page.get("NextPartNumberMarker")
        if following is None or following == parameters.get("PartNumberMarker"):
            raise _NoListingError(connection, f"the parts of {name}")
        parameters["PartNumberMarker"] = following


def _matching(stored: list[dict[str, Any]], content: Content) -> Kept:
    """The stored parts, when every one of them is that of `content`; else the upload is of something else."""
    wanted = {part.number: part for part in content.parts}
    kept: Kept = {}
    for found in stored:
        part = wanted.get(found.get("PartNumber", 0))
        if part is None or found.get("Size") != part.size or not _is_same(found, content, part):
            return {}
        kept[part.number] = str(found["ETag"])
    return kept


def _is_same(found: dict[str, Any], content: Content, part: Part) -> bool:
    """Whether a stored part has the bytes of `part`.

    Some servers do not list SHA-256; there the tag of a part is its MD5, as S3 has it, and the digest of the whole
    object is compared when all parts are there.
    """
    if "ChecksumSHA256" in found and "ETag" in found:
        return bool(found["ChecksumSHA256"] == part.checksum)
    digest = hashlib.md5(usedforsecurity=False)
    with opened_part(content, part) as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return str(found.get("ETag")).strip('"') == digest.hexdigest()


def abort(connection: Connection, name: str, upload: str) -> None:
    """Give up an upload, if that is allowed; the error that led here is the one to tell."""
    with contextlib.suppress(OpsError, ExpectedAnswerError):
        connection.call(
            "abort_multipart_upload",
            f"give up sending {name}",
            expect=("no_upload", "missing"),
            writing=True,
            Key=name,
            UploadId=upload,
        )
