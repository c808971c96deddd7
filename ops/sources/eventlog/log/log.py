"""A log that lies on this disk and that nobody writes: all of it, checked."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from ops.errors import SourceError
from ops.proc.ordered_workers import results_of_many
from ops.sources.eventlog.chain.chain import Chain
from ops.sources.eventlog.chain.lookup import (
    Named,
    event_at,
    newest_timestamp,
    walk_explained,
)
from ops.sources.eventlog.chain.segment import SegmentFacts, check_parts, check_segment, in_a_row, is_large
from ops.sources.eventlog.log.layout import FOLDER, SNAPSHOT, segment_number, segment_path
from ops.sources.eventlog.log.open_files import PART

_ALONE_UP_TO: Final = 4 << 20
"""Bytes of a log that are checked sooner than worker processes are there."""
_HEAVY: Final = 1 << 20
"""More than what a worker is given at once."""


@dataclass(frozen=True, slots=True)
class StillLog:
    """The log in the data folder `folder`: its segments by number, its chain, and the text of its snapshot."""

    folder: Path
    segments: Mapping[int, SegmentFacts]
    chain: Chain
    snapshot: bytes | None

    def event_at(self, number: int, index: int) -> Named | None:
        """What names the event at an index of a segment; None when there is none."""
        return event_at(self.segments, number, index, lambda: self.parts_of(number))

    def newest_timestamp_in(self, number: int) -> str | None:
        """The greatest time stamp in a segment, as it stands there; None when it has none."""
        return newest_timestamp(self.parts_of(number), self.segments[number].size)

    def parts_of(self, number: int) -> Iterator[bytes]:
        """The text of a segment, in parts; raises SourceError when it cannot be read."""
        return read_parts(self.path_of(number))

    def path_of(self, number: int) -> Path:
        """The file of a segment."""
        return self.folder / segment_path(number)


def read_log(folder: Path) -> StillLog:
    """The log below `folder`; raises SourceError when a file cannot be read."""
    # Paths are made where they are needed: of a hundred thousand segments they would be the larger part of what is held.
    numbers = sorted(segment_files(folder))
    jobs = [f"{folder}/{segment_path(number)}" for number in numbers]
    size = sum(Path(job).stat().st_size for job in jobs)
    with results_of_many(check_file, jobs, weight=_weight, alone=size <= _ALONE_UP_TO) as facts:
        segments = dict(zip(numbers, in_a_row(facts), strict=True))
    chain = walk_explained(
        segments, lambda: ((number, read_parts(folder / segment_path(number))) for number in numbers)
    )
    snapshot = folder / SNAPSHOT
    return StillLog(folder, segments, chain, read_file(snapshot) if snapshot.is_file() else None)


def _weight(path: str) -> int:
    """Bytes of a file, so that only small ones are handed to a worker together; a large one is not held by who hands it over."""
    return min(Path(path).stat().st_size, _HEAVY)


def check_file(path: str) -> SegmentFacts:
    """What the segment in that file says for itself."""
    name = f"{FOLDER}/{Path(path).name}"
    with opened_file(Path(path)) as file:
        if is_large(os.fstat(file.fileno()).st_size):
            return check_parts(name, parts_in(file))
        return check_segment(name, file.read())


def segment_files(folder: Path) -> dict[int, Path]:
    """The files of the segments below `folder`, by number; empty when there is no such folder."""
    place = folder / FOLDER
    try:
        names = [path.name for path in place.iterdir()]
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise SourceError(f"{place} cannot be read: {error.strerror}") from error
    numbers = {name: segment_number(name) for name in names}
    return {number: place / name for name, number in numbers.items() if number is not None}


def read_file(path: Path) -> bytes:
    """The content of a regular file; raises SourceError, also for a link, a pipe and a folder."""
    with opened_file(path) as file:
        return file.read()


def read_parts(path: Path) -> Iterator[bytes]:
    """The same in parts."""
    with opened_file(path) as file:
        yield from parts_in(file)


def parts_in(file: BinaryIO) -> Iterator[bytes]:
    """What is left of a file, in parts."""
    while part := file.read(PART):
        yield part


@contextlib.contextmanager
def opened_file(path: Path) -> Iterator[BinaryIO]:
    """A regular file, open to be read; raises SourceError, also for a link, a pipe and a folder."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise SourceError(f"{path} is no file", code="source.not_a_file")
    with os.fdopen(descriptor, "rb") as file:
        yield file
