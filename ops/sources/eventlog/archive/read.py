"""The archive of a log, read once from its start to its end without unpacking it; nothing in it is believed.

What does not belong into the archive of a log is refused before its content is read: other names, links, folders, members
that come twice, and members that are larger than they may be.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from ops.driverkit.gzip_stream import GzipError, Unzipping
from ops.driverkit.tar_header import BLOCK, MANIFEST, TarError, padding_of, read_header
from ops.errors import BackupError, StoreError
from ops.model.findings import Finding, Severity
from ops.model.manifest import FileEntry
from ops.proc.ordered_workers import results_of_many
from ops.run.progress import Progress, silent
from ops.sources.eventlog.chain.segment import SegmentFacts, check_parts, check_segment, in_a_row, is_large
from ops.sources.eventlog.log.layout import FOLDER, SNAPSHOT, segment_number, segment_path
from ops.sources.eventlog.log.live_reader import SNAPSHOT_LIMIT
from ops.sources.eventlog.log.open_files import SEGMENT_LIMIT

MANIFEST_LIMIT: Final = 64 * 1024 * 1024
"""The largest manifest that is read: some 300,000 segments."""
_ALONE_UP_TO: Final = 1024 * 1024
_MOST_ZEROS: Final = 1024 * 1024
_CHUNK: Final = 256 * 1024
_LIKE_A_SEGMENT: Final = re.compile(rf"{FOLDER}/segment-[A-Za-z0-9_-]{{1,60}}\.json", re.ASCII)


@dataclass(frozen=True, slots=True)
class ArchivedLog:
    """What is in an archive: all members but the manifest, in order; segments by number; two texts, where they are there."""

    files: tuple[FileEntry, ...]
    segments: Mapping[int, SegmentFacts]
    snapshot: bytes | None
    manifest: bytes | None


class Member:
    """One file of an archive, whose content comes once: until the next member is asked for."""

    def __init__(self, path: str, size: int, unzipping: Unzipping) -> None:
        self.path, self.size = path, size
        self._left, self._unzipping = size, unzipping

    def chunks(self) -> Iterator[bytes]:
        """What is left of the content."""
        while self._left:
            chunk = self._unzipping.read_exactly(min(self._left, _CHUNK))
            self._left -= len(chunk)
            yield chunk

    def content(self) -> bytes:
        """All that is left of the content at once."""
        size, self._left = self._left, 0
        return self._unzipping.read_exactly(size)


def check_archive(
    payload: Path, expected: Mapping[str, FileEntry] | None = None, progress: Progress = silent
) -> ArchivedLog:
    """All members of the archive `payload`, each hashed, each segment checked.

    `expected`: what may be in it, by path (without the manifest); whether it is, `differences` says. Raises BackupError
    (`backup.archive_invalid`) for an archive that is damaged or holds what does not belong there, StoreError when it
    cannot be read, ToolError when a worker process was killed.
    """
    progress.step("reading the archive", sum(entry.size for entry in expected.values()) if expected else None)
    others: dict[str, tuple[FileEntry, bytes]] = {}
    order: list[str] = []
    with opened_archive(payload) as file:
        jobs = _segments_among(read_members(file, expected), others, order)
        alone = payload.stat().st_size <= _ALONE_UP_TO
        with results_of_many(_check_job, jobs, weight=_weight, alone=alone) as checked:
            facts = [_told(found, progress) for found in _sharing(checked, expected or {})]
    in_order = iter(facts)
    files = [
        others[path][0] if path in others else _entry(next(in_order), (expected or {}).get(path))
        for path in order
    ]
    return ArchivedLog(
        tuple(entry for entry in files if entry.path != MANIFEST),
        {
            number: found
            for found in facts
            if (number := segment_number(found.name.rpartition("/")[2])) is not None
        },
        *(others[path][1] if path in others else None for path in (SNAPSHOT, MANIFEST)),
    )


def read_segments(payload: Path) -> Iterator[tuple[int, Iterator[bytes]]]:
    """The segments of an archive, in its order: number, and text in parts, which come once, until the next is asked for.

    Raises as `check_archive` does.
    """
    with opened_archive(payload) as file:
        for member in read_members(file, None):
            number = segment_number(member.path.rpartition("/")[2])
            if number is not None:
                yield number, member.chunks()


def differences(expected: Mapping[str, FileEntry], found: Iterable[FileEntry]) -> list[Finding]:
    """A critical finding for each expected file that is not there, has another size, or another digest."""
    there = {entry.path: entry for entry in found}
    return [
        finding
        for path, entry in expected.items()
        if (finding := _difference(entry, there.get(path))) is not None
    ]


def _difference(expected: FileEntry, found: FileEntry | None) -> Finding | None:
    path = expected.path
    if found is None:
        code, message, values = "backup.payload_missing", f"{path} is not in the archive", ("", "")
    elif found.size != expected.size:
        code, message = "backup.size_mismatch", f"{path} has another size than was recorded"
        values = str(expected.size), str(found.size)
    elif found.sha256 != expected.sha256:
        code, message = "backup.checksum_mismatch", f"{path} does not have the digest that was recorded"
        values = expected.sha256, found.sha256
    else:
        return None
    return Finding(
        severity=Severity.CRITICAL,
        code=code,
        message=message,
        where=path,
        expected=values[0],
        found=values[1],
    )


def read_members(file: BinaryIO, expected: Mapping[str, FileEntry] | None) -> Iterator[Member]:
    """The files of an archive, in its order, each looked at before its content is read.

    Raises GzipError or TarError; `opened_archive` makes errors for people out of them.
    """
    unzipping = Unzipping(file)
    seen: set[str] = set()
    while (header := read_header(unzipping.read_exactly(BLOCK))) is not None:
        if header.name in seen:
            raise TarError(f"{header.name} is in it twice")
        seen.add(header.name)
        if header.is_folder:
            if header.name != f"{FOLDER}/":
                raise TarError(f"{header.name} is a folder that does not belong there")
            continue
        most = _most_bytes(header.name, expected)
        if header.size > most:
            raise TarError(f"{header.name} has {header.size} bytes, and may have {most}")
        member = Member(header.name, header.size, unzipping)
        yield member
        for _ in member.chunks():
            pass  # what nobody wanted
        unzipping.read_exactly(len(padding_of(header.size)))
    _require_end(unzipping)


def _most_bytes(path: str, expected: Mapping[str, FileEntry] | None) -> int:
    """How large a member may be; raises TarError for one that may not be there."""
    if path == MANIFEST:
        return MANIFEST_LIMIT
    folder, _, name = path.rpartition("/")
    number = segment_number(name) if folder == FOLDER else None
    if expected is None:
        known = path == SNAPSHOT or (number is not None and path == segment_path(number))
    else:
        # The program's own backup script takes along what only looks like a segment, and lists it.
        known = path in expected and (path == SNAPSHOT or _LIKE_A_SEGMENT.fullmatch(path) is not None)
    if not known:
        raise TarError(f"{path} does not belong there")
    limit = SNAPSHOT_LIMIT if path == SNAPSHOT else SEGMENT_LIMIT
    return limit if expected is None else min(limit, expected[path].size)


def _require_end(unzipping: Unzipping) -> None:
    """Return when nothing but zeros follows, and not too many; tar fills its last record with them."""
    zeros = unzipping.read_exactly(BLOCK)
    count = 0
    while zeros:
        count += len(zeros)
        if any(zeros) or count > _MOST_ZEROS:
            raise TarError("something follows behind its end")
        zeros = unzipping.read_some(_CHUNK)


@contextlib.contextmanager
def opened_archive(payload: Path) -> Iterator[BinaryIO]:
    """The archive, open to be read; what is wrong with it is raised as BackupError."""
    try:
        with payload.open("rb") as file:
            yield file
    except (GzipError, TarError) as error:
        message = f"{payload.name} is not the archive of a log, or is damaged: {error}"
        hint = "nothing of it was used; take another backup, or a copy of this one from another store"
        raise BackupError(message, code="backup.archive_invalid", hint=hint) from error
    except OSError as error:
        message = f"{payload} cannot be read: {error.strerror}"
        raise StoreError(message, code="store.unreadable") from error


class _Job(NamedTuple):
    """A segment to check, or what was found in it already."""

    path: str
    text: bytes | SegmentFacts


def _segments_among(
    members: Iterator[Member], others: dict[str, tuple[FileEntry, bytes]], order: list[str]
) -> Iterator[_Job]:
    """The segments; what else there is goes into `others`, and all names into `order`.

    A segment that is too large to be held is checked here, while it is unpacked.
    """
    for member in members:
        order.append(member.path)
        if member.path in (SNAPSHOT, MANIFEST):
            content = member.content()
            entry = FileEntry(member.path, member.size, sha256(content).hexdigest())
            others[member.path] = entry, content
        elif is_large(member.size):
            yield _Job(member.path, check_parts(member.path, member.chunks()))
        else:
            yield _Job(member.path, member.content())


def _check_job(job: _Job) -> SegmentFacts:
    return check_segment(job.path, job.text) if isinstance(job.text, bytes) else job.text


def _weight(job: _Job) -> int:
    return len(job.text) if isinstance(job.text, bytes) else 0


def _entry(facts: SegmentFacts, expected: FileEntry | None) -> FileEntry:
    found = FileEntry(facts.name, facts.size, facts.sha256)
    return expected if expected == found else found


def _sharing(checked: Iterable[SegmentFacts], expected: Mapping[str, FileEntry]) -> Iterator[SegmentFacts]:
    """The same, with the texts of what was expected where they are equal, and each link once: of many, half of what is held."""
    for facts in in_a_row(checked):
        entry = expected.get(facts.name)
        if entry is not None and entry.sha256 == facts.sha256:
            yield replace(facts, name=entry.path, sha256=entry.sha256)
        else:
            yield facts


def _told(facts: SegmentFacts, progress: Progress) -> SegmentFacts:
    progress.advance(facts.size)
    return facts
