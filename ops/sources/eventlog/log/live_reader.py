"""A moment of a log that another process goes on writing: which files it had then, without a lock.

What the program that writes logs does: each append replaces the newest segment as a whole (a new file, renamed over the
old), rotation adds the next number, pruning removes from the front, and no segment changes once a later one is there.

So the moment is when the newest segment is opened. Its bytes stay what they were, because they are a file of their own.
The others are looked at before the moment, and again when they are read: what looks the same has not been touched
between. That the next number is not there *after* the moment says that it was not there at the moment either.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

from ops.errors import SourceError
from ops.sources.eventlog.chain.segment import is_large
from ops.sources.eventlog.log.layout import (
    FOLDER,
    LEGACY,
    SNAPSHOT,
    looks_like_a_segment,
    segment_number,
    segment_path,
)
from ops.sources.eventlog.log.open_files import (
    Held,
    Mark,
    MovedError,
    Opened,
    mark_of,
    no_such_thing,
    open_still,
    read_opened,
    require_still,
    translated_read_errors,
)

SNAPSHOT_LIMIT: Final = 1024 * 1024
"""The largest snapshot that is read; those of the program have some 280 bytes."""
LAST_NUMBER: Final = 999_999
_TRIES: Final = 60
_PAUSE_S: Final = 0.001


@dataclass(frozen=True, slots=True)
class Settled:
    """The log in the data folder `folder` as it was at `moment`.

    `older`: segments by number, in order, with the marks that they had then; whoever reads one later compares.
    `newest`: number and content of the last segment, or, when it is too large to be held, the open file. `oversized`: the size of a snapshot that is too large to be one,
    and was not read. `ignored`: names in `event-log/` that look like segments and are none.
    """

    folder: Path
    moment: datetime
    older: dict[int, Mark]
    newest: tuple[int, Held | Opened] | None
    snapshot: Held | None
    oversized: int | None
    ignored: tuple[str, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        held = (self.newest[1] if self.newest else None, self.snapshot)
        return sum(mark.size for mark in self.older.values()) + sum(one.size for one in held if one)


def settle(folder: Path, clock: Callable[[], datetime], opened: contextlib.ExitStack) -> Settled:
    """One moment of the log in the data folder `folder`, whose open files are closed when `opened` ends; changes nothing.

    Raises SourceError: `source.missing`, `source.not_migrated` (only the old single file is there),
    `source.not_a_file`, `source.unreadable`, and `source.changed` when it never held still.
    """
    for attempt in range(_TRIES):
        time.sleep(_PAUSE_S * attempt)
        with contextlib.ExitStack() as attempted, contextlib.suppress(MovedError):
            settled = _settle_once(folder, clock, attempted)
            opened.push(attempted.pop_all())
            return settled
    raise changing(folder)


def changing(folder: Path) -> SourceError:
    """The error for a log that changes faster than it can be read."""
    message = f"{folder / FOLDER} changed each time while it was read: segments were replaced or removed"
    hint = "see what else works on this folder (a prune, a restore, a synchronisation), let it end, and run it again"
    return SourceError(message, code="source.changed", hint=hint)


def list_log(folder: Path) -> tuple[list[int], tuple[str, ...]]:
    """The numbers of the segments in the data folder `folder`, and the names that only look like one; both sorted.

    Raises SourceError as `settle` does.
    """
    place = folder / FOLDER
    with translated_read_errors(place):
        try:
            kind = place.lstat().st_mode
        except FileNotFoundError:
            raise _nothing_in(folder) from None
        if not stat.S_ISDIR(kind):
            raise no_such_thing(place, "folder")
        names = [path.name for path in place.iterdir()]
    numbers = sorted(number for name in names if (number := segment_number(name)) is not None)
    if not numbers and os.path.lexists(folder / LEGACY):
        raise _not_migrated(folder)
    ignored = sorted(os.fsencode(name) for name in names if looks_like_a_segment(name))
    return numbers, tuple(name.decode("utf-8", "backslashreplace") for name in ignored)


def _nothing_in(folder: Path) -> SourceError:
    if os.path.lexists(folder / LEGACY):
        return _not_migrated(folder)
    missing = folder / FOLDER if folder.is_dir() else folder
    hint = "the program that writes the log makes it with the first event; check the path, and that it is mounted"
    return SourceError(f"{missing} is not there", code="source.missing", hint=hint)


def _not_migrated(folder: Path) -> SourceError:
    message = f"{folder / LEGACY} is a log in the old form, a single file, and there are no segments"
    hint = "open it once with the program that writes it, which moves its events into segments; then run it again"
    return SourceError(message, code="source.not_migrated", hint=hint)


def _settle_once(folder: Path, clock: Callable[[], datetime], opened: contextlib.ExitStack) -> Settled:
    """The same; raises MovedError when it changed between the looks."""
    numbers, ignored = list_log(folder)
    older = {number: mark_of(folder / segment_path(number)) for number in numbers}
    moment, snapshot = clock(), open_still(folder / SNAPSHOT, opened)
    newest = _open_newest(folder, older, clock, opened) if older else None
    require_still(folder / SNAPSHOT, snapshot)
    _require_no_others(folder, older, newest.number if newest else None)
    held, oversized = _read_snapshot(snapshot)
    return Settled(
        folder,
        newest.moment if newest else moment,
        older,
        (newest.number, _held(newest.opened)) if newest else None,
        held,
        oversized,
        ignored,
    )


def _held(opened: Opened) -> Held | Opened:
    """A segment that can be held, or its file: an open one stays what it is when its name goes to another."""
    return opened if is_large(opened.size) else read_opened(opened)


class _Newest(NamedTuple):
    number: int
    opened: Opened
    moment: datetime


def _open_newest(
    folder: Path, older: dict[int, Mark], clock: Callable[[], datetime], opened: contextlib.ExitStack
) -> _Newest:
    """The newest segment, opened while it was the newest, and taken out of `older`.

    A rotation meanwhile makes it an older one, and the next one is tried.
    """
    number, _ = older.popitem()
    for _ in range(_TRIES):
        path, moment = folder / segment_path(number), clock()
        found = open_still(path, opened)
        if found is None:
            break
        following = number + 1
        if following > LAST_NUMBER or not os.path.lexists(folder / segment_path(following)):
            return _Newest(number, found, moment)
        older[number], number = mark_of(path), following
    raise MovedError


def _require_no_others(folder: Path, older: dict[int, Mark], newest: int | None) -> None:
    """Return when there is no segment that was not seen, but perhaps later ones; raises MovedError.

    A name that is renamed over while a folder is listed may be missing in that list.
    """
    others = [number for number in list_log(folder)[0] if number not in older]
    if any(newest is None or number < newest for number in others):
        raise MovedError


def _read_snapshot(opened: Opened | None) -> tuple[Held | None, int | None]:
    """The snapshot, or the size of one that is too large."""
    if opened is None:
        return None, None
    if opened.mark.size > SNAPSHOT_LIMIT:
        return None, opened.mark.size
    return read_opened(opened), None
