"""Removing old snapshots. Only what carries a snapshot's name and a checksum file that names it is ever touched.

Order of one removal: its entry in the manifest, the file, its checksum file. A run that is killed in between leaves
a snapshot that the manifest does not know, or a checksum file alone; the next purge goes on with both.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from ops.errors import OpsError, SnapshotError
from ops.formats.names import CHECKSUM_SUFFIX
from ops.fsio.atomic import translated_write_errors
from ops.fsio.durable import fsync_folder
from ops.model.findings import Finding, Severity
from ops.run.job import Job
from ops.snapshots.archive import archive_pair
from ops.snapshots.checksum_file import SUFFIXES, checksum_files_of, checksum_text, digest_of, recorded_digest
from ops.snapshots.compare_checksums import critical
from ops.snapshots.definition import parse_name
from ops.snapshots.folder_manifest import FILE_NAME, place_entries, read_manifest, write_manifest
from ops.snapshots.folder_scan import paths_in
from ops.snapshots.publish import series_lock
from ops.snapshots.verify import is_snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class PurgeRequest:
    """What goes: snapshots of more than `older_than` days, but of each series not the `keep_latest` newest.

    `archive`: a folder that they are copied to first; `dry_run`: only say what would go.
    """

    folder: Path
    older_than: int
    keep_latest: int
    archive: Path | None = None
    dry_run: bool = False
    wait_s: float = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One snapshot in the folder: its file, series, day and size in bytes, and whether it goes, with the reason."""

    path: Path
    series: str
    day: date
    size: int
    goes: bool
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Purged:
    """The plan, the files that are gone, and what was noticed."""

    plan: tuple[Kept, ...]
    removed: tuple[Path, ...] = ()
    findings: tuple[Finding, ...] = ()


def plan_purge(request: PurgeRequest, today: date) -> tuple[Kept, ...]:
    """Every snapshot in the folder itself, series by series and form by form, newest first, with what happens to it and why.

    Other files do not appear: other names, links, files without a checksum file that names them. Of a pair that lost
    its file the checksum file alone stands for it. Raises SnapshotError when there is no folder.
    """
    groups: dict[tuple[str, str], list[tuple[date, Path]]] = {}
    for path in _own_files(request.folder):
        if parsed := parse_name(path.name):
            groups.setdefault((parsed[0], path.suffix), []).append((parsed[1], path))
    oldest = today - timedelta(days=request.older_than)
    return tuple(
        _kept(request, series, (day, path), latest=place < request.keep_latest, old=day < oldest)
        for (series, _), found in sorted(groups.items())
        for place, (day, path) in enumerate(sorted(found, reverse=True))
    )


def _kept(request: PurgeRequest, series: str, found: tuple[date, Path], *, latest: bool, old: bool) -> Kept:
    day, path = found
    if latest:
        why = f"one of the {request.keep_latest} newest" if request.keep_latest > 1 else "the newest"
    else:
        why = f"{'older' if old else 'not older'} than {request.older_than} days"
    size = path.stat().st_size if path.exists() else 0
    return Kept(path=path, series=series, day=day, size=size, goes=old and not latest, why=why)


def _own_files(folder: Path) -> list[Path]:
    try:
        names = [path.name for path in folder.iterdir()]
    except OSError as error:
        message = f"{folder} cannot be read: {error.strerror}"
        raise SnapshotError(message, code="snapshot.not_found", hint="check SNAPSHOT_DIR") from error
    targets = {name.removesuffix(suffix) for name in names for suffix in SUFFIXES if name.endswith(suffix)}
    return [folder / name for name in sorted(targets) if parse_name(name) and _is_own(folder / name)]


def _is_own(path: Path) -> bool:
    """Whether a file, or the checksum file that is left of it, is a snapshot's."""
    checksum_file = path.with_name(path.name + CHECKSUM_SUFFIX)
    try:
        if not _is_plain(checksum_file) or (os.path.lexists(path) and not _is_plain(path)):
            return False
        return checksum_file.read_bytes() == checksum_text(path, recorded_digest(checksum_file, path))
    except (OSError, SnapshotError):
        return False


def _is_plain(path: Path) -> bool:
    return stat.S_ISREG(path.lstat().st_mode)


def purge_snapshots(request: PurgeRequest, job: Job) -> Purged:
    """Remove (after archiving, where that was asked for) what the plan says. One series that fails stops no other.

    Nothing of a series goes while the newest snapshot that stays is not what its checksum file says: an older one may
    be the last good one. Raises SnapshotError when there is no folder.
    """
    plan = plan_purge(request, job.clock().date())
    if request.dry_run:
        return Purged(plan=plan)
    removed: list[Path] = []
    findings: list[Finding] = []
    for series, form in dict.fromkeys((item.series, item.path.suffix) for item in plan if item.goes):
        group = [item for item in plan if (item.series, item.path.suffix) == (series, form)]
        try:
            with series_lock(request.folder, series, job, request.wait_s), job.step("purge snapshots"):
                _purge_group(group, request, job, removed, findings)
        except OpsError as error:
            findings.append(critical(error.code, error.message, series))
    return Purged(plan=plan, removed=tuple(removed), findings=tuple(findings))


def _purge_group(
    plan: Sequence[Kept], request: PurgeRequest, job: Job, removed: list[Path], findings: list[Finding]
) -> None:
    stays = [item.path for item in plan if not item.goes]
    if stays and not is_right(stays[0]):
        message = (
            f"nothing of it goes: {stays[0].name}, the newest that stays, is not what its checksum file says"
        )
        findings.append(
            Finding(
                severity=Severity.WARNING,
                code="snapshot.purge_refused",
                message=message,
                where=plan[0].series,
            )
        )
        return
    goes = [item.path for item in plan if item.goes]
    if request.archive is not None:
        for path in [path for path in goes if path.exists()]:
            if problem := archive_pair(path, request.archive):
                findings.append(problem)
                goes.remove(path)
    _forget(request.folder, goes, job)
    for path in goes:
        _remove(path)
        removed.append(path)


def is_right(path: Path) -> bool:
    """Whether a file is there and is what its checksum files say."""
    try:
        recorded = {recorded_digest(checksum_file, path) for checksum_file in checksum_files_of(path)}
        return recorded == {digest_of(path)[0]}
    except SnapshotError:
        return False


def _forget(folder: Path, paths: Sequence[Path], job: Job) -> None:
    """Take the entries of `paths` out of the folder's manifest, where there is one that can be read."""
    manifest = folder / FILE_NAME
    if not os.path.lexists(manifest):
        return
    gone = {path.name for path in paths}
    entries = read_manifest(manifest)
    there = [path for path in paths_in(folder, {}) if is_snapshot(path)]
    placed = place_entries(entries, folder.absolute(), there)
    left = {key: entry for key, entry in entries.items() if placed.paths.get(key) not in gone}
    if len(left) < len(entries):
        write_manifest(manifest, "", left, job.clock())


def _remove(path: Path) -> None:
    with translated_write_errors(path):
        path.unlink(missing_ok=True)
        fsync_folder(path.parent)
        for suffix in SUFFIXES:
            path.with_name(path.name + suffix).unlink(missing_ok=True)
