"""Folders in a bucket that has none: whole, or not shown at all.

Before the first file of a folder NAME goes `.folders/NAME/files.json`, which says what it will hold and takes the name;
after the last one `.folders/NAME/whole`. A folder that was begun and is not whole is not listed, and a later run with
the very same files finishes it. Folders that other programs put there have neither, and are listed as they are.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from ops.errors import OpsError, RefusedError, StoreError
from ops.stores.s3.connection import Connection
from ops.stores.s3.delete import remove_objects
from ops.stores.s3.keys import FOLDERS, object_name
from ops.stores.s3.multipart import WORTH_RESUMING
from ops.stores.s3.parts import Content, measured
from ops.stores.s3.stored import SHA256_LABEL, head_of, is_there, label, name_taken, remove_own
from ops.stores.s3.upload import send

_FILES: Final = "files.json"
_WHOLE: Final = "whole"
_NAMED_MOST: Final = 3
"""Names that an error shows before it only counts."""


def put_folder(connection: Connection, key: str, folder: Path) -> None:
    """Store all regular files below `folder` under `key`, whole or not at all.

    Raises RefusedError when something else is there, or the folder is there already.
    """
    paths = {str(path.relative_to(folder)): path for path in _regular_files(folder)}
    prefix = connection.options.folder
    names = {inside: object_name(prefix, f"{key}/{inside}") for inside in paths}
    with ThreadPoolExecutor(connection.options.parallel, "s3-hash") as pool:
        part_size = connection.options.part_size
        measuring = pool.map(lambda path: measured(path, part_size), paths.values())
        contents = dict(zip(names.values(), measuring, strict=True))
    claim = _claim(connection, key, contents)
    sent: dict[str, str] = {}
    try:
        _send_missing(connection, f"{prefix}{key}/", contents, sent)
        require_all(connection, f"{prefix}{key}/", contents)
    except OpsError as error:
        if claim and error.code not in WORTH_RESUMING:
            remove_own(connection, {**sent, marker(prefix, key, _FILES): claim})
        raise
    show_folder(connection, key)


def put_large(connection: Connection, key: str, name: str, content: Content) -> None:
    """Store a file that goes in parts. Its name is taken like a folder's before the first part.

    A condition on the request that completes an upload is not enough: servers have been seen (SeaweedFS 4.48) to let two
    such requests at once both succeed, and the later one replaces the other's object.
    """
    claim = _claim(connection, key, {name: content})
    try:
        send(connection, name, content)
    except OpsError as error:
        if claim and error.code not in WORTH_RESUMING:
            give_up_claim(connection, key, claim)
        raise


def claim_name(connection: Connection, key: str, writer: str) -> str:
    """Take the name of a file whose content nobody knows yet; return what `give_up_claim` wants.

    Raises RefusedError when the name is taken.
    """
    name = marker(connection.options.folder, key, _FILES)
    if is_there(connection, name):
        raise name_taken(key, connection.store)
    return _put_marker(connection, name, json.dumps({"version": 1, "writer": writer}).encode())


def give_up_claim(connection: Connection, key: str, claim: str) -> None:
    """Let somebody else take the name, if that can be done and it is still ours."""
    remove_own(connection, {marker(connection.options.folder, key, _FILES): claim})


def _regular_files(folder: Path) -> Iterator[Path]:
    for place, _, names in os.walk(folder):
        yield from (path for name in names if (path := Path(place, name)).is_file())


def marker(prefix: str, key: str, which: str) -> str:
    """The object's name of one of the two files that are kept about folder `key`."""
    return f"{prefix}{FOLDERS}/{key}/{which}"


def _claim(connection: Connection, key: str, contents: Mapping[str, Content]) -> str:
    """Take the name of a folder; return what `give_up_claim` wants, nothing when a former run of ours had it.

    Raises RefusedError when it is taken by anything else.
    """
    prefix = connection.options.folder
    files = [[name, content.size, content.sha256] for name, content in sorted(contents.items())]
    document = json.dumps({"version": 1, "files": files}).encode()
    name = marker(prefix, key, _FILES)
    known = label(connection, name, SHA256_LABEL)
    if known is None:
        if any(connection.objects(f"{prefix}{key}/")):
            raise name_taken(key, connection.store)
        try:
            return _put_marker(connection, name, document)
        except RefusedError:
            known = label(connection, name, SHA256_LABEL)
    if known != hashlib.sha256(document).hexdigest() or is_there(connection, marker(prefix, key, _WHOLE)):
        raise name_taken(key, connection.store)
    return ""


def show_folder(connection: Connection, key: str) -> None:
    """Say that the folder is whole: from now on it is listed."""
    _put_marker(connection, marker(connection.options.folder, key, _WHOLE), b"")


def is_claimed(connection: Connection, key: str) -> bool:
    """Return whether this program has taken the name of `key`."""
    return is_there(connection, marker(connection.options.folder, key, _FILES))


def _put_marker(connection: Connection, name: str, content: bytes) -> str:
    with tempfile.TemporaryDirectory(prefix="drillbook-s3-") as place:
        file = Path(place, "marker")
        file.write_bytes(content)
        return send(connection, name, measured(file, connection.options.part_size))


def _send_missing(
    connection: Connection, folder: str, contents: Mapping[str, Content], sent: dict[str, str]
) -> None:
    """Send what is not there yet; each name that was sent by us is added to `sent`, with what is written on it."""
    present = {found["Key"] for found in connection.objects(folder)}

    def send_one(name: str) -> None:
        content = contents[name]
        head = head_of(connection, name) if name in present else None
        if head is None:
            try:
                sent[name] = send(connection, name, content)
                return
            except RefusedError:
                head = head_of(connection, name)  # whoever was quicker may have sent the same
        if head is None or head.get("Metadata", {}).get(SHA256_LABEL) != content.sha256:
            raise name_taken(name, connection.store)

    small = [name for name, content in contents.items() if len(content.parts) == 1]
    with ThreadPoolExecutor(connection.options.parallel, "s3-file") as pool:
        try:
            for _ in pool.map(send_one, small):
                pass
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    for name in contents.keys() - set(small):
        send_one(name)  # its parts go in parallel


def require_all(connection: Connection, folder: str, contents: Mapping[str, Content]) -> None:
    """Return when exactly the files of the folder are there, each with its size.

    What a listing does not show is asked for by its name: a listing may be older than what was put.
    """
    found = {item["Key"]: item["Size"] for item in connection.objects(folder)}
    for name in contents.keys() - found.keys():
        if (head := head_of(connection, name)) is not None:
            found[name] = head.get("ContentLength")
    wanted = {name: content.size for name, content in contents.items()}
    odd = sorted(name for name in found.keys() | wanted.keys() if found.get(name) != wanted.get(name))
    if odd:
        named = ", ".join(odd[:_NAMED_MOST]) + (
            f" and {len(odd) - _NAMED_MOST} more" if len(odd) > _NAMED_MOST else ""
        )
        message = (
            f"send {folder} in store {connection.store!r}: missing, too many or of another size: {named}"
        )
        raise StoreError(
            message, code="store.checksum_refused", hint="another program writes there; run it again"
        )


def listed(connection: Connection, objects: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The `objects` without those of folders that were begun and are not whole.

    Which are whole is asked before `objects` are, and which were begun after it: so a folder that is put at the same
    time is seen whole or not at all.
    """
    prefix = connection.options.folder
    whole = set(_marked(connection, _WHOLE))
    waiting: list[dict[str, Any]] = []
    for found in objects:
        top, slash, _ = found["Key"].removeprefix(prefix).partition("/")
        if slash and top not in whole:
            waiting.append(found)
        else:
            yield found
    begun = set(_marked(connection, _FILES)) if waiting else set()
    yield from (item for item in waiting if item["Key"].removeprefix(prefix).partition("/")[0] not in begun)


def _marked(connection: Connection, which: str) -> Iterator[str]:
    start = f"{connection.options.folder}{FOLDERS}/"
    for found in connection.objects(start):
        key, _, last = found["Key"].removeprefix(start).rpartition("/")
        if last == which:
            yield key


def remove_folder(connection: Connection, key: str, names: list[str]) -> None:
    """Remove the files of folder `key`: from the first step on it is not listed any more."""
    prefix = connection.options.folder
    marked = {found["Key"] for found in connection.objects(f"{prefix}{FOLDERS}/{key}/")}
    whole, claim = marker(prefix, key, _WHOLE), marker(prefix, key, _FILES)
    for some in ([whole] if whole in marked else [], names, [claim] if claim in marked else []):
        remove_objects(connection, some)
