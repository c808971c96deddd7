"""A stored log against its manifest: read through once without unpacking, or unpacked as recorded.

What an incremental backup left to others is read from their archives; what of them is used must be what its own manifest
recorded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ops.errors import BackupError, SourceError
from ops.fsio.remove import remove_tree
from ops.model.compare_measures import compare_measures
from ops.model.findings import Finding, Severity
from ops.model.manifest import FileEntry, Payload
from ops.sources.eventlog.archive.read import check_archive, differences, read_segments
from ops.sources.eventlog.archive.shared_segments import held_elsewhere, members_of, own_members
from ops.sources.eventlog.archive.unpack import unpack_archive, unpack_more
from ops.sources.eventlog.chain.lookup import walk_explained
from ops.sources.eventlog.chain.segment import SegmentFacts
from ops.sources.eventlog.copy import UNDECIDED, chain_findings, comparable, measures_of, start_undecided
from ops.sources.eventlog.log.layout import segment_number


@dataclass(frozen=True, slots=True)
class _Part:
    """One archive of those that make up a log: all that is in it, and what of it is used, by path."""

    payload: Path
    holds: Mapping[str, FileEntry]
    used: Mapping[str, FileEntry]


def inspect_archive(payload: Payload) -> list[Finding]:
    """Every member as recorded, the chain walked, and the same found as at the backup; empty never."""
    manifest = payload.manifest
    try:
        parts = _parts(payload)
        segments: dict[int, SegmentFacts] = {}
        for part in parts:
            found = check_archive(part.payload, part.holds)
            if wrong := differences(part.used, found.files):
                return wrong
            segments |= {number: facts for number, facts in found.segments.items() if facts.name in part.used}
        chain = walk_explained(segments, lambda: _texts(parts))
    except BackupError as error:
        return [Finding(severity=Severity.CRITICAL, code=error.code, message=error.message)]
    count = sum(len(part.used) for part in parts)
    where = "the archive" if len(parts) == 1 else f"{len(parts)} archives"
    message = f"{count} files in {where} as recorded; {chain.verified} events verified"
    read = Finding(severity=Severity.OK, code="eventlog.archive", message=message)
    expected, measured = comparable(manifest.measures, chain), measures_of(chain)
    facts = {name: value for name, value in measured.facts.items() if name in expected.facts}
    wrong = chain_findings(chain, str(manifest.measures.facts.get("first_broken", "")))
    undecided = [start_undecided()] if manifest.extra.get(UNDECIDED) else []
    return [read, *wrong, *undecided, *compare_measures(expected, replace(measured, facts=facts))]


def _parts(payload: Payload) -> list[_Part]:
    """The log's own archive, and those of the needed backups; raises BackupError when one of them is not at hand."""
    manifest = payload.manifest
    members, elsewhere, own = members_of(manifest), held_elsewhere(manifest), own_members(manifest)
    parts = [_Part(payload.path, own, own)]
    by_identity = {(item.manifest.payload, item.manifest.job_id): item for item in payload.needed}
    for need in dict.fromkeys(need.identity for need in elsewhere.values()):
        used = {path: members[path] for path, other in elsewhere.items() if other.identity == need}
        holder = by_identity.get(need)
        if holder is None:
            message = f"{manifest.payload} needs {need[0]}, which is not at hand"
            raise BackupError(message, code="backup.needed_missing")
        parts.append(_Part(holder.path, own_members(holder.manifest), used))
    return parts


def _texts(parts: Sequence[_Part]) -> Iterator[tuple[int, Iterator[bytes]]]:
    for part in parts:
        used = {segment_number(path.rpartition("/")[2]) for path in part.used}
        for number, text in read_segments(part.payload):
            if number in used:
                yield number, text


def unpack(payload: Payload, into: Path) -> Mapping[str, FileEntry]:
    """The files of the log in the new folder `into`, each as recorded; raises SourceError when they are not."""
    try:
        own, *others = _parts(payload)
        unpack_archive(own.payload, into, own.used)
        try:
            for part in others:
                unpack_more(part.payload, into, part.holds, part.used)
        except BaseException:
            remove_tree(into)
            raise
    except BackupError as error:
        raise SourceError(error.message, code=error.code, hint=error.hint) from error
    return members_of(payload.manifest)
