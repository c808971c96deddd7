"""Keys of the port, and the names of objects in a bucket."""

from __future__ import annotations

from typing import Final

from ops.errors import RefusedError
from ops.fsio.atomic import STAGED_PREFIX
from ops.ports.store import OWN_PREFIX

FOLDERS: Final = ".folders"
"""Under this name a bucket keeps, for each folder that was put, what it holds and that it is whole."""
_LONGEST: Final = 1024
"""Bytes of UTF-8, the prefix included; S3's own limit."""


def object_name(folder: str, key: str) -> str:
    """The object's name for `key`; `folder` is empty or ends with a slash.

    Raises RefusedError for a key that would lead out, is kept for our own use, or cannot be a name in S3.
    """
    if not is_key(key):
        message = f"{key!r} is no name for a file in a store"
        raise RefusedError(message, code="refused.unsafe_name")
    name = folder + key
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        message = f"{key!r} cannot be a name in S3: it is no UTF-8 text"
        raise RefusedError(message, code="refused.unsafe_name") from None
    if size > _LONGEST:
        message = f"{key!r} cannot be a name in S3: with its prefix it is longer than {_LONGEST} bytes"
        raise RefusedError(message, code="refused.unsafe_name")
    return name


def top_object_name(folder: str, key: str) -> str:
    """The same for a key that must be a name in the store itself or below our own prefix, not in a folder of it."""
    name = object_name(folder, key)
    if "/" in key and not key.startswith(OWN_PREFIX):
        message = f"{key!r} is no name for a payload"
        raise RefusedError(message, code="refused.unsafe_name")
    return name


def is_key(key: str) -> bool:
    """Whether `key` is one that can be put; other programs may have put other things into the bucket."""
    parts = key.split("/")
    kept = key.startswith(STAGED_PREFIX) or parts[0] == FOLDERS
    return not kept and "\0" not in key and all(part not in {"", ".", ".."} for part in parts)
