"""The raw copy of a database file: what is copied, and the copying itself, with the log's pages on top."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ops.errors import SourceError
from ops.fsio.copy import ShortSourceError, copy_with_sha256
from ops.fsio.durable import fsync_descriptor
from ops.run.progress import Progress
from ops.sources.sqlite.wal import Overlay


@dataclass(frozen=True, slots=True)
class RawPlan:
    """The state to copy: `size` bytes of the file, with the pages that `overlay` finds in the open `log` put over them.

    `moment`: every commit that ended before it is in that state.
    """

    moment: datetime
    size: int
    overlay: Overlay | None = None
    log: int = -1

    @property
    def method(self) -> str:
        """How a manifest calls it."""
        return "raw" if self.overlay is None else "raw+wal"


def copy_planned(  # noqa: PLR0913, PLR0917 - what is copied from where to where, and who is told when
    plan: RawPlan,
    source: int,
    into: Path,
    release: Callable[[], None],
    progress: Progress,
    meanwhile: Callable[[], None] | None = None,
) -> str:
    """Copy by the plan into the file `into`; the SHA-256 of the result.

    `release`: called when the source is needed no more. `meanwhile`: called when all of the copy can be read, while the disk
    writes it and it is hashed. Raises SourceError when the source became shorter.
    """
    progress.step("copying", plan.size)
    target = os.open(into, os.O_RDWR | os.O_CLOEXEC)

    def let_go() -> None:
        release()
        # The disk writes while the other thread still hashes: both end at nearly the same time.
        with ThreadPoolExecutor(1, "fsync") as pool:
            durable = pool.submit(fsync_descriptor, target)
            if meanwhile is not None:
                meanwhile()
        durable.result()

    try:
        return copy_with_sha256(
            source,
            target,
            plan.size,
            amend=None if plan.overlay is None else _amend_from_log(plan.overlay, plan.log, target),
            copied=let_go,
            progress=progress,
        )
    except ShortSourceError as error:
        message = "the database file became shorter while it was read"
        hint = "something other than SQLite writes this file; find out what, then retry"
        raise SourceError(message, code="source.changed", hint=hint) from error
    finally:
        os.close(target)


def _amend_from_log(overlay: Overlay, log: int, target: int) -> Callable[[int, int], None]:
    """A function that puts the log's pages of one part of the target over what the file had there."""
    size, frames = overlay.page_size, overlay.frames
    waiting = sorted((page for page in frames if page <= overlay.pages), reverse=True)

    def amend(offset: int, length: int) -> None:
        while waiting and (waiting[-1] - 1) * size < offset + length:
            page = waiting.pop()
            content = os.pread(log, size, frames[page])
            os.pwrite(target, content, (page - 1) * size)

    return amend


def open_to_read(descriptors: contextlib.ExitStack, path: Path) -> int:
    """Return a descriptor of `path` that `descriptors` closes; raises SourceError."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}"
        raise SourceError(message, hint="run as a user who may read it") from error
    descriptors.callback(os.close, descriptor)
    return descriptor


def require_same_file(descriptor: int, path: Path) -> None:
    """Raise SourceError when `path` is another file than the one that was opened."""
    if not _is_same_file(descriptor, path):
        message = f"{path} was replaced while it was being opened"
        raise SourceError(message, code="source.changed", hint="run it again when the replacement is done")


def _is_same_file(descriptor: int, path: Path) -> bool:
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    return os.path.samestat(os.fstat(descriptor), there)
