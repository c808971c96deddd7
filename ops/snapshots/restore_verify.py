"""Proving that a snapshot can be restored: loaded into a temporary database, read back, and compared.

Three digests tell what happened to a file that is not what its record says. Rows that, written again in our own form,
have the recorded digest are the recorded rows, so only the bytes around them differ (line ends, a BOM, the order of
columns). Otherwise the content is another.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ops.errors import SnapshotError
from ops.fsio.scratch import scratch_folder
from ops.model.findings import Finding, Severity
from ops.run.job import Job
from ops.snapshots.compare_checksums import Looked, Mismatch, Subject, critical, look_at
from ops.snapshots.compare_rows import compare_source
from ops.snapshots.csv_read import opened_csv
from ops.snapshots.definition import Definition
from ops.snapshots.folder_manifest import FILE_NAME, place_entries, read_manifest
from ops.snapshots.table import Live, sqlite_failure
from ops.snapshots.temporary_database import Loaded, fill_database, read_back, sorted_digest


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreRequest:
    """What to prove: `against` is a source whose present rows the snapshot is compared with, None for none."""

    path: Path
    scratch: Path
    definition: Definition
    against: Live | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What was found: rows and columns that were restored, the file's digest, differences from what is recorded."""

    path: Path
    rows: int
    columns: tuple[str, ...]
    sha256: str | None
    findings: tuple[Finding, ...]
    mismatches: tuple[Mismatch, ...] = ()


def prove_snapshot(request: RestoreRequest, job: Job) -> Proof:
    """Load a snapshot into a temporary database and compare rows and digests.

    Raises SnapshotError when there is no such file, SpaceError when there is no room for the database. What is wrong
    with the file is a finding: critical, or a warning where nothing but the checksum differs.
    """
    path = request.path
    if not path.exists():
        hint = "give the path of a CSV that snapshot.create wrote"
        raise SnapshotError(f"there is no snapshot {path}", code="snapshot.not_found", hint=hint)
    looked = look_at(_subject(path), job.progress)
    with scratch_folder(request.scratch) as folder, job.step("restore snapshot") as facts:
        database = folder / "snapshot.db"
        try:
            loaded, findings = _load(request, database)
        except SnapshotError as error:
            return _unusable(path, looked, critical(error.code, error.message, path.name))
        facts.rows, facts.checksum = loaded.rows, looked.sha256 if looked else None
        digests = {loaded.sha256}
        if looked is not None and any(item.expected not in digests for item in looked.mismatches):
            digests.add(sorted_digest(request.definition, loaded, database))
        if request.against is not None:
            findings.append(compare_source(request.definition, request.against, loaded, database, path.name))
    return Proof(
        path=path,
        rows=loaded.rows,
        columns=loaded.columns,
        sha256=looked.sha256 if looked else None,
        findings=(*findings, *_judged(looked, digests)),
        mismatches=looked.mismatches if looked else (),
    )


def _subject(path: Path) -> Subject:
    folder = path.absolute().parent
    manifest, entry = folder / FILE_NAME, None
    with contextlib.suppress(SnapshotError):
        entry = place_entries(read_manifest(manifest), folder, [path.name]).entries.get(path.name)
    return Subject(folder=folder, path=path.name, entry=entry, has_manifest=False)


def _unusable(path: Path, looked: Looked | None, finding: Finding) -> Proof:
    found = looked.findings if looked else ()
    mismatches = looked.mismatches if looked else ()
    sha256 = looked.sha256 if looked else None
    return Proof(
        path=path, rows=0, columns=(), sha256=sha256, findings=(finding, *found), mismatches=mismatches
    )


def _judged(looked: Looked | None, digests: set[str]) -> Iterator[Finding]:
    """The findings about the file's digest; a mismatch is a warning when the rows are the recorded ones."""
    for finding in looked.findings if looked else ():
        if finding.code == "snapshot.checksum_mismatch" and finding.expected in digests:
            yield replace(
                finding,
                severity=Severity.WARNING,
                code="snapshot.only_bytes_differ",
                message=f"{finding.message.partition(':')[0]}, but its rows are: line ends, blank lines, a BOM or an order was changed",
            )
        else:
            yield finding


def _load(request: RestoreRequest, database: Path) -> tuple[Loaded, list[Finding]]:
    with opened_csv(request.path) as file:
        definition = request.definition
        needed = dict.fromkeys((*definition.needed, *definition.order, *definition.columns))
        missing = [name for name in needed if name not in file.columns]
        findings = [
            critical("snapshot.column_missing", f"column {name!r} is not there", request.path.name)
            for name in missing
        ]
        try:
            loaded = fill_database(database, file, definition)
            rows, total = read_back(database, loaded.columns)
        except sqlite3.Error as error:
            raise sqlite_failure(error, request.path, "restoring") from error
    if (rows, total) != (loaded.rows, loaded.total):
        message = "what was read back from the database is not what the file holds"
        findings.append(
            critical(
                "snapshot.content_differs",
                message,
                request.path.name,
                expected=f"{loaded.rows} rows",
                found=f"{rows} rows",
            )
        )
    elif not findings:
        message = f"{rows} rows with {len(loaded.columns)} columns were restored and read back"
        findings.append(Finding(severity=Severity.OK, code="snapshot.restored", message=message))
    return loaded, findings
