"""A log of one moment as one archive: every file read, checked, hashed and packed in one pass.

Each file is a gzip member of its own, with its tar header in it. So worker processes make them side by side, the order is
kept, and what they make together is a `.tar.gz` for every tar. A segment that is too large to be held goes in parts from
its file through the check into the archive.

The oldest segments are read first, because pruning removes them first. When one is gone before it was read, all that
was read before it is older still, and pruned too: to begin again at a later moment loses nothing.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from ops.driverkit.gzip_stream import Zipping, gzip_member
from ops.driverkit.tar_header import END, MANIFEST, header_of, padding_of
from ops.model.manifest import FileEntry
from ops.proc.ordered_workers import results_of_many
from ops.run.progress import Progress, silent
from ops.sources.eventlog.chain.segment import SegmentFacts, check_parts, check_segment, is_large, linked
from ops.sources.eventlog.log import open_files as marked
from ops.sources.eventlog.log.layout import SNAPSHOT, segment_path
from ops.sources.eventlog.log.live_reader import Settled, changing, settle
from ops.sources.eventlog.log.open_files import Held, Mark, MovedError, Opened

ALONE_UP_TO: Final = 4 * 1024 * 1024
"""Bytes that are worked through sooner than worker processes are there."""
_TRIES: Final = 5
_PATIENCE_S: Final = 5.0
"""A small log that is written all the time is tried more often: a try takes no longer than its writer's next step."""
_SECOND_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class FoundLog:
    """All that was found in a log as it was at one moment.

    `files`: every file, segments in order, then the snapshot. `left_out`: paths of those that were not packed,
    because they were said to be held elsewhere.
    """

    settled: Settled
    segments: Mapping[int, SegmentFacts]
    files: tuple[FileEntry, ...]
    left_out: tuple[str, ...]

    @property
    def snapshot(self) -> bytes | None:
        """The text of the snapshot file, as it was packed."""
        return self.settled.snapshot.content if self.settled.snapshot else None

    def parts_of(self, number: int) -> Iterator[bytes]:
        """The text of a segment, as it was packed, in parts.

        Raises MovedError, at the latest behind the last one, which `pack_log` takes as a reason to begin again. Only
        for the function that makes the manifest: later the log may be another.
        """
        newest = self.settled.newest
        if newest is not None and newest[0] == number:
            yield from newest[1].parts()
            return
        with contextlib.ExitStack() as opened:
            path = self.settled.folder / segment_path(number)
            yield from marked.open_marked(path, self.settled.older[number], opened).parts()


@dataclass(frozen=True, slots=True)
class PackedLog:
    """An archive: its own size and digest, and what was found."""

    archive: FileEntry
    found: FoundLog


def pack_log(  # noqa: PLR0913 - from where, to where, what to say of it, and two listeners
    folder: Path,
    into: Path,
    manifest_of: Callable[[FoundLog], bytes],
    clock: Callable[[], datetime],
    progress: Progress = silent,
    *,
    held: Mapping[str, FileEntry] | None = None,
) -> PackedLog:
    """Fill the existing private file `into` with the log of the data folder `folder`, as it was at one moment.

    `manifest_of` makes the text of the manifest that lies in the archive, out of what was found; it may be asked again
    when the log changed under the work. `held`: files by path that are not packed when they still are the same.
    Raises SourceError (see `settle`; `source.changed` when it changed at each try); ToolError when a worker process
    was killed; OSError when `into` cannot be written (the caller knows what a full disk means).
    """
    begun, tries = time.monotonic(), 0
    while tries < _TRIES or time.monotonic() - begun < _PATIENCE_S:
        tries += 1
        with contextlib.suppress(MovedError), contextlib.ExitStack() as opened:
            settled = settle(folder, clock, opened)
            file = opened.enter_context(os.fdopen(_emptied(into), "wb"))
            return _pack_settled(settled, _Archive(file, into.name), manifest_of, progress, held or {})
    raise changing(folder)


def _emptied(into: Path) -> int:
    return os.open(into, os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW)


class _Archive:
    """An archive that is being written."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file, self._name, self._digest, self._size = file, name, sha256(), 0

    def write(self, member: bytes) -> None:
        self._file.write(member)
        self._digest.update(member)
        self._size += len(member)

    def put(self, segment: _Segment) -> tuple[SegmentFacts, bool]:
        """Write a segment, unless it is held elsewhere; what was found in it, and whether it was written."""
        if segment.member is not None:
            self.write(segment.member)
        return segment.facts, segment.member is not None

    def finish(self) -> FileEntry:
        self._file.flush()
        return FileEntry(self._name, self._size, self._digest.hexdigest())


class _Job(NamedTuple):
    """A segment to look at; `held`: not packed when it is this."""

    number: int
    path: Path
    mark: Mark
    held: FileEntry | None


class _Segment(NamedTuple):
    """What was found in a segment, and the member that it makes; None when it is held elsewhere."""

    facts: SegmentFacts
    member: bytes | None


def _pack_settled(
    settled: Settled,
    archive: _Archive,
    manifest_of: Callable[[FoundLog], bytes],
    progress: Progress,
    held: Mapping[str, FileEntry],
) -> PackedLog:
    """The archive of that moment; raises MovedError when a segment is not what it was."""
    progress.step("checking and packing", settled.size)
    segments: dict[int, SegmentFacts] = {}
    left_out: list[str] = []
    before: str | None = None
    for number, facts, is_packed in _written(settled, archive, held):
        segments[number] = linked(facts, before)
        before = facts.last_hash
        left_out += [] if is_packed else [facts.name]
        progress.advance(facts.size)
    files = [FileEntry(facts.name, facts.size, facts.sha256) for facts in segments.values()]
    if settled.snapshot is not None:
        content = settled.snapshot.content
        files.append(FileEntry(SNAPSHOT, len(content), sha256(content).hexdigest()))
        archive.write(_member(SNAPSHOT, content, settled.snapshot.mtime_ns))
    found = FoundLog(settled, segments, tuple(files), tuple(left_out))
    archive.write(_member(MANIFEST, manifest_of(found), int(settled.moment.timestamp()) * _SECOND_NS))
    archive.write(gzip_member([END]))
    return PackedLog(archive.finish(), found)


def _written(
    settled: Settled, archive: _Archive, held: Mapping[str, FileEntry]
) -> Iterator[tuple[int, SegmentFacts, bool]]:
    """The segments in order, each put into the archive unless it is held elsewhere: number, facts, whether it was packed.

    A small newest one is worked on while the workers start. A large one is written while it is read.
    """
    small = sum(mark.size for mark in settled.older.values() if not is_large(mark.size))
    with _packed((job for job in _jobs(settled, held) if not is_large(job.mark.size)), small) as packed:
        last = _packed_newest(settled, held)
        for job in _jobs(settled, held):
            if not is_large(job.mark.size):
                yield job.number, *archive.put(next(packed))
            else:
                with contextlib.ExitStack() as opened:
                    text = marked.open_marked(job.path, job.mark, opened)
                    yield job.number, *_stream(text, job.number, job.held, archive)
    if settled.newest is not None:
        number, newest = settled.newest
        other = held.get(segment_path(number))
        yield number, *(archive.put(last) if last is not None else _stream(newest, number, other, archive))


def _jobs(settled: Settled, held: Mapping[str, FileEntry]) -> Iterator[_Job]:
    """The older segments in order, each made when it is its turn: of a hundred thousand none is kept."""
    for number, mark in settled.older.items():
        path = segment_path(number)
        yield _Job(number, settled.folder / path, mark, held.get(path))


def _packed(jobs: Iterator[_Job], size: int) -> contextlib.AbstractContextManager[Iterator[_Segment]]:
    """Small segments in order, of that size in all: by worker processes, or here when that is sooner."""
    return results_of_many(_pack_job, jobs, weight=lambda job: job.mark.size, alone=size <= ALONE_UP_TO)


def _packed_newest(settled: Settled, held: Mapping[str, FileEntry]) -> _Segment | None:
    """The newest segment, when it is held in memory."""
    number, file = settled.newest or (0, None)
    if not isinstance(file, Held):
        return None
    return _pack_content(number, file.content, file.mtime_ns, held.get(segment_path(number)))


def _pack_job(job: _Job) -> _Segment:
    content = marked.read_marked(job.path, job.mark)
    return _pack_content(job.number, content, job.mark.mtime_ns, job.held)


def _pack_content(number: int, content: bytes, mtime_ns: int, held: FileEntry | None) -> _Segment:
    path = segment_path(number)
    facts = check_segment(path, content)
    return _Segment(facts, None if _is(facts, held) else _member(path, content, mtime_ns))


def _is(facts: SegmentFacts, held: FileEntry | None) -> bool:
    return held is not None and (held.size, held.sha256) == (facts.size, facts.sha256)


def _member(path: str, content: bytes, mtime_ns: int) -> bytes:
    return gzip_member([_header(path, len(content), mtime_ns), content, padding_of(len(content))])


def _header(path: str, size: int, mtime_ns: int) -> bytes:
    return header_of(path, size, mtime_ns // _SECOND_NS)


def _stream(
    text: Held | Opened, number: int, held: FileEntry | None, archive: _Archive
) -> tuple[SegmentFacts, bool]:
    """A large segment, checked and packed in one pass; in two, where the first has to show whether it is held elsewhere."""
    path = segment_path(number)
    if held is not None and held.size == text.size:
        facts = check_parts(path, text.parts())
        if _is(facts, held):
            return facts, False
    zipping = Zipping(archive.write)
    zipping.add(_header(path, text.size, text.mtime_ns))
    facts = check_parts(path, _copied(text.parts(), zipping.add))
    zipping.add(padding_of(text.size))
    zipping.end()
    return facts, True


def _copied(parts: Iterable[bytes], add: Callable[[bytes], None]) -> Iterator[bytes]:
    for part in parts:
        add(part)
        yield part
