"""Whether a copy that is being made is still what was written: a copy that its disk lost says nothing about the source."""

from __future__ import annotations

import os
from pathlib import Path

from ops.errors import StoreError
from ops.fsio.copy import sha256_of
from ops.model.manifest import FileEntry


def require_as_written(copy: Path, written: FileEntry) -> None:
    """Return when the file at `copy` has the bytes that were written to it; raises StoreError (`store.changed`)."""
    try:
        descriptor = os.open(copy, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise _changed(copy, f"it cannot be opened ({error.strerror})") from error
    try:
        found = sha256_of(descriptor)
    except OSError as error:
        raise _changed(copy, f"it cannot be read ({error.strerror})") from error
    finally:
        os.close(descriptor)
    if found != (written.sha256, written.size):
        raise _changed(copy, "it does not hold what was written to it")


def require_size(copy: Path, written: FileEntry) -> None:
    """Return when the file has as many bytes as were written to it; raises StoreError (`store.changed`) otherwise."""
    try:
        is_whole = copy.stat().st_size == written.size
    except OSError:
        is_whole = False
    if not is_whole:
        require_as_written(copy, written)


def _changed(copy: Path, why: str) -> StoreError:
    message = (
        f"the half-written copy {copy} was lost while it was measured: {why}. Nothing was published; the source was read"
        " without an error"
    )
    hint = "see which program cleans up or writes in that folder, and look at its disk (dmesg), then run it again"
    return StoreError(message, code="store.changed", hint=hint)
