"""A name that is free, and the order in which a backup appears under it: payload, checksum file, manifest last."""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, TypeVar

from ops.errors import NameTakenError, OpsError, RefusedError, StoreError
from ops.formats import manifest as manifest_files
from ops.formats.names import (
    CHECKSUM_SUFFIX,
    MANIFEST_SUFFIX,
    OTHER_CHECKSUM_SUFFIX,
    TOMBSTONE_SUFFIX,
    checksum_key,
    checksum_text,
    is_manifest_key,
    manifest_key,
    own_manifest_key,
    payload_name,
    payload_of_record,
    top_name,
)
from ops.fsio.atomic import translated_write_errors
from ops.model.manifest import Manifest
from ops.ports.store import LocalFiles, Store
from ops.repository.transfer import is_stored, put_new
from ops.repository.writers import announced, is_announced
from ops.run.job import Job

Published = TypeVar("Published")
_BESIDE: Final = (MANIFEST_SUFFIX, CHECKSUM_SUFFIX, OTHER_CHECKSUM_SUFFIX, TOMBSTONE_SUFFIX)
_LONGEST_NAME: Final = 160
"""Bytes. File systems take 255, and the longest name beside a payload is 90 longer: its manifest while it is written."""
_TRIES: Final = 20
_PAUSE_MS: Final = 300


def publish(
    store: Store, staged: Path | None, manifest: Manifest, job: Job, beside: Iterable[tuple[str, bytes]] = ()
) -> None:
    """Payload (None: it is there already), what is `beside` it, checksum, manifest: each durable before the next.

    The manifest is staged first, so that a run killed in between leaves word of what it was publishing.
    """
    name = manifest.payload
    published = [name] if staged is None else []
    try:
        with (
            announced(store, name, job),
            store.stage(manifest_key(name)) as staged_manifest,
            store.stage(checksum_key(name)) as staged_checksum,
        ):
            with translated_write_errors(staged_manifest), staged_manifest.open("wb") as text:
                manifest_files.write(manifest, text)
            with translated_write_errors(staged_checksum):
                staged_checksum.write_text(checksum_text(manifest.files), "utf-8", "surrogateescape")
            if staged is not None:
                store.put(name, staged)
                published.append(name)
            for key, content in beside:
                put_new(store, key, content)
                published.append(key)
            for key, file in ((checksum_key(name), staged_checksum), (manifest_key(name), staged_manifest)):
                store.put(key, file)
                published.append(key)
    except BaseException:
        # Also when the process is told to end: without its manifest it is no backup, only a large file.
        for key in published:
            with contextlib.suppress(OpsError):
                store.delete(key)
        raise


@contextlib.contextmanager
def announced_free(
    store: Store, name: str, another: Callable[[], str] | None, job: Job, added: str = ""
) -> Iterator[str]:
    """Take `name`, or the next one that no other run writes now, while the block runs; yields it.

    `added` stands behind it in the store. `another` finds the next free name (None: the operator chose this one). Raises
    RefusedError when there is none.
    """
    with contextlib.ExitStack() as stack:
        for left in reversed(range(_TRIES)):
            try:
                stack.enter_context(announced(store, f"{name}{added}", job))
                break
            except RefusedError as error:
                name = _next_name(error, another, last=not left)
        yield name


def _next_name(error: RefusedError, another: Callable[[], str] | None, *, last: bool) -> str:
    if not isinstance(error, NameTakenError) or another is None or last:
        raise error
    # Two that chose the same name must not choose the next one together.
    time.sleep(secrets.randbelow(_PAUSE_MS) / 1000)
    return another()


def under_free_name(
    manifest: Manifest, another: Callable[[], str] | None, publish_as: Callable[[Manifest], Published]
) -> Published:
    """Publish a backup with `publish_as` under its name, or under the next free one; what that returns.

    Two machines that begin in the same second choose the same name. `another` finds the next free one (None: the operator
    chose this one). Raises RefusedError when there is none.
    """
    for left in reversed(range(_TRIES)):
        try:
            return publish_as(manifest)
        except RefusedError as error:
            manifest = manifest.renamed(_next_name(error, another, last=not left))
    raise AssertionError(manifest)


def free_name(store: Store, base: str, suffix: str, moment: datetime, added: str = "") -> str:
    """Return the payload name for `moment`, or for the next second in which none of its files exists.

    `added`: what may be put behind it; that name is free as well. Raises StoreError when none is.
    """
    for seconds in range(3600):
        name = payload_name(base, moment + timedelta(seconds=seconds), suffix)
        if not any(_taken(store, full) or is_announced(store, full) for full in {name, f"{name}{added}"}):
            return name
    raise StoreError(f"no free name for {base} in store {store.name!r}", code="store.unwritable")


def _taken(store: Store, name: str) -> set[str]:
    """Which names of the files of such a backup exist."""
    own = own_manifest_key(name)
    keys = {name, checksum_key(name), manifest_key(name), *([own] if own else [])}
    if isinstance(store, LocalFiles):
        # A folder tells of one name at once, and of all that begin with it only when it is read whole.
        return {key for key in keys if os.path.lexists(store.path_of(key))}
    there = {top_name(stored.key) for stored in store.list(name)}
    if own is not None and is_stored(store, own):
        there.add(own)
    return keys & there


def require_free(store: Store, name: str) -> None:
    """Raise RefusedError before the work begins when a file of the backup-to-be exists, or its name is no payload's."""
    if len(os.fsencode(name)) > _LONGEST_NAME:
        message = f"{name} is longer than {_LONGEST_NAME} bytes: files beside it could not be named"
        raise RefusedError(message, code="refused.unsafe_name", hint="choose a shorter name with --out")
    if payload_of_record(name) or name.endswith(_BESIDE) or not is_manifest_key(manifest_key(name)):
        message = f"{name} has the form of a file that lies beside a backup"
        hint = "choose another name with --out, or leave --out away"
        raise RefusedError(message, code="refused.unsafe_name", hint=hint)
    if taken := _taken(store, name):
        message = f"{', '.join(sorted(taken))} exists in {store.location}"
        hint = "names are never reused; choose another with --out, or leave --out away"
        raise RefusedError(message, code="refused.name_taken", hint=hint)
