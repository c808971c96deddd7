"""Comparing one snapshot with all that is recorded of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ops.errors import SnapshotError
from ops.model.findings import Finding, Severity
from ops.run.progress import Progress
from ops.snapshots.checksum_file import checksum_files_of, digest_of, digests_with_other_ends, recorded_digest
from ops.snapshots.excerpt import Excerpt, excerpt_of
from ops.snapshots.folder_manifest import Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """A snapshot that is not what `record` says.

    `then` is what the manifest kept of the content at that time, None where nothing but the digest was kept; `now` is
    None where the file cannot be read.
    """

    path: str
    record: str
    expected: str
    found: str
    then: Excerpt | None
    now: Excerpt | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """One snapshot: its path inside the folder, its digest and size if it could be read, and what was found.

    `contradicted`: its own checksum file says something else, or cannot be read.
    """

    path: str
    sha256: str | None
    size: int | None
    findings: tuple[Finding, ...]
    mismatches: tuple[Mismatch, ...] = ()
    contradicted: bool = False

    @property
    def bad(self) -> bool:
        """Whether there is a critical finding."""
        return any(finding.severity is Severity.CRITICAL for finding in self.findings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A path inside a folder, what a manifest says of it, and whether there is a manifest at all."""

    folder: Path
    path: str
    entry: Entry | None
    has_manifest: bool

    @property
    def file(self) -> Path:
        """Where it lies."""
        return self.folder / self.path


@dataclass(frozen=True, slots=True)
class _Record:
    """Who records a digest, and which; None: a record that cannot be read, with the reason as a finding."""

    name: str
    sha256: str | None
    problem: Finding | None = None


def look_at(subject: Subject, progress: Progress) -> Looked | None:
    """What there is to say about one snapshot; None when neither it nor a record of it is there."""
    own = [_own_record(file, subject) for file in checksum_files_of(subject.file)]
    records = [*own, *_manifest_record(subject)]
    if not os.path.lexists(subject.file):
        names = " and ".join(record.name for record in records)
        return (
            _only(subject, critical("snapshot.missing", _MISSING.format(names), subject.path))
            if records
            else None
        )
    try:
        sha256, size = digest_of(subject.file, progress)
    except SnapshotError as error:
        return _only(subject, critical(error.code, error.message, subject.path))
    mismatches = [
        _mismatch(subject, record.name, record.sha256, sha256)
        for record in records
        if record.sha256 not in {None, sha256}
    ]
    findings = [record.problem for record in records if record.problem is not None]
    other_ends = digests_with_other_ends(subject.file) if mismatches else frozenset()
    findings += [_differs(mismatch, other_ends) for mismatch in mismatches]
    findings += _remarks(subject, records, right=not findings, sha256=sha256)
    return Looked(
        path=subject.path,
        sha256=sha256,
        size=size,
        findings=tuple(findings),
        mismatches=tuple(mismatches),
        contradicted=any(record.sha256 != sha256 for record in own),
    )


_MISSING = "it is not there, and {} has a digest of it"


def _only(subject: Subject, finding: Finding) -> Looked:
    return Looked(path=subject.path, sha256=None, size=None, findings=(finding,))


def critical(code: str, message: str, where: str, *, expected: str = "", found: str = "") -> Finding:
    """A finding that must be looked at now."""
    return Finding(
        severity=Severity.CRITICAL, code=code, message=message, where=where, expected=expected, found=found
    )


def _own_record(checksum_file: Path, subject: Subject) -> _Record:
    try:
        return _Record(checksum_file.name, recorded_digest(checksum_file, subject.file))
    except SnapshotError as error:
        return _Record(checksum_file.name, None, critical(error.code, error.message, subject.path))


def _manifest_record(subject: Subject) -> Iterator[_Record]:
    if subject.entry is not None:
        yield _Record("the manifest", subject.entry.sha256 or "no file")


def _mismatch(subject: Subject, record: str, expected: str | None, found: str) -> Mismatch:
    entry = subject.entry
    kept = entry is not None and entry.header is not None and entry.sha256 == expected
    return Mismatch(
        path=subject.path,
        record=record,
        expected=str(expected),
        found=found,
        then=Excerpt(str(entry.header), entry.tail) if entry is not None and kept else None,
        now=excerpt_of(subject.file),
    )


def _differs(mismatch: Mismatch, other_ends: frozenset[str]) -> Finding:
    message = f"it is not what {mismatch.record} says"
    if mismatch.expected in other_ends:
        message += (
            ": only the line ends differ. Git changes them unless .gitattributes says `*.csv -text`;"
            " with that line, check the file out again"
        )
    return critical(
        "snapshot.checksum_mismatch",
        message,
        mismatch.path,
        expected=mismatch.expected,
        found=mismatch.found,
    )


def _remarks(subject: Subject, records: list[_Record], *, right: bool, sha256: str) -> Iterator[Finding]:
    """What else is to be said: what proves it, or that nothing does; and that the manifest does not know it."""
    if not records:
        message = "nothing records its digest: no checksum file, no entry in a manifest"
        yield critical("snapshot.unproven", message, subject.path)
    elif right:
        names = " and ".join(record.name for record in records)
        yield Finding(
            severity=Severity.OK,
            code="snapshot.right",
            message=f"{subject.path} is as recorded in {names}",
            where=subject.path,
            found=sha256,
        )
    if records and subject.has_manifest and subject.entry is None:
        yield Finding(
            severity=Severity.WARNING,
            code="snapshot.not_in_manifest",
            message="the manifest does not know it; --update takes it in",
            where=subject.path,
        )
