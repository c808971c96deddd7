"""A log that lies on this disk and that nobody writes: all of it, checked."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from ops.errors import SourceError
from ops.proc.workers import run_in_workers
from ops.sources.eventlog.chain import Chain, explained, positions_of, walk
from ops.sources.eventlog.layout import FOLDER, SNAPSHOT, segment_number, segment_path
from ops.sources.eventlog.segment import SegmentFacts, check_segment, elements_of, hashes_of

_ALONE_UP_TO: Final = 4 << 20
"""Bytes of a log that are checked sooner than worker processes are there."""


@dataclass(frozen=True, slots=True)
class StillLog:
    """The log in the data folder `folder`: its segments by number, its chain, and the text of its snapshot."""

    folder: Path
    segments: Mapping[int, SegmentFacts]
    chain: Chain
    snapshot: bytes | None

    def hash_at(self, number: int, index: int) -> str | None:
        """The `current_hash` of an event by segment and index there; None when there is none."""
        hashes = hashes_of(self.content_of(number)) if number in self.segments else []
        return hashes[index] if 0 <= index < len(hashes) else None

    def timestamps_of(self, number: int) -> list[object]:
        """The time stamps of a segment's events, as they stand there."""
        events = elements_of(self.content_of(number))
        return [event.get("timestamp") for event in events if isinstance(event, dict)]

    def content_of(self, number: int) -> bytes:
        """The text of a segment."""
        return read_file(self.folder / segment_path(number))


def read_log(folder: Path) -> StillLog:
    """The log below `folder`; raises SourceError when a file can not be read."""
    paths = segment_files(folder)
    numbers = sorted(paths)
    size = sum(path.stat().st_size for path in paths.values())
    jobs = [str(paths[number]) for number in numbers]
    facts = run_in_workers(check_file, jobs) if size > _ALONE_UP_TO else [check_file(job) for job in jobs]
    segments = dict(zip(numbers, facts, strict=True))
    chain = walk(segments)
    if chain.broken is not None:
        hashes = [hashes_of(read_file(paths[number])) for number in numbers]
        chain = replace(chain, broken=explained(chain.broken, lambda text: positions_of(text, hashes)))
    snapshot = folder / SNAPSHOT
    return StillLog(folder, segments, chain, read_file(snapshot) if snapshot.is_file() else None)


def check_file(path: str) -> SegmentFacts:
    """What the segment in that file says for itself."""
    return check_segment(f"{FOLDER}/{Path(path).name}", read_file(Path(path)))


def segment_files(folder: Path) -> dict[int, Path]:
    """The files of the segments below `folder`, by number; empty when there is no such folder."""
    place = folder / FOLDER
    try:
        names = [path.name for path in place.iterdir()]
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise SourceError(f"{place} can not be read: {error.strerror}") from error
    numbers = {name: segment_number(name) for name in names}
    return {number: place / name for name, number in numbers.items() if number is not None}


def read_file(path: Path) -> bytes:
    """The content of a regular file; raises SourceError, also for a link, a pipe and a folder."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise SourceError(f"{path} can not be read: {error.strerror}") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise SourceError(f"{path} is no file", code="source.not_a_file")
    with os.fdopen(descriptor, "rb") as file:
        return file.read()
