"""Any folder against a manifest of it: what was added, removed, changed, and what cannot be read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ops.model.findings import Finding, Severity
from ops.run.job import Job
from ops.snapshots.compare_checksums import critical
from ops.snapshots.folder_manifest import Entry, place_in_folder, read_manifest, write_manifest
from ops.snapshots.folder_scan import Scanned, scan_folder
from ops.snapshots.update import Changes, changes_between, former_manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """A folder and its manifest: how many things lie there, how they differ, and all findings.

    `written`: the manifest was written anew, and `changes` is what that changed in it.
    """

    folder: Path
    manifest: Path
    things: int
    changes: Changes
    findings: tuple[Finding, ...]
    written: bool = False


def verify_folder(folder: Path, manifest: Path, job: Job) -> Compared:
    """Compare `folder` with its manifest. Contents of files and targets of links are compared, not owners or times.

    Raises SnapshotError when there is no folder or no manifest, or it cannot be read.
    """
    placed = place_in_folder(read_manifest(manifest))
    with job.step("scan folder"):
        scanned = scan_folder(folder, manifest, job.progress)
    # What cannot be read is neither there nor gone: that is said once, and not as removed.
    recorded = {path: entry for path, entry in placed.entries.items() if not _hidden(path, scanned)}
    changes = changes_between(recorded, scanned.entries)
    findings = [
        *(critical("snapshot.added", "it is not in the manifest", path) for path in changes.added),
        *(_changed(path, placed.entries[path], scanned.entries[path]) for path in changes.changed),
        *(critical("snapshot.removed", "it is in the manifest, and gone", path) for path in changes.removed),
        *(critical("snapshot.ambiguous", f"{key!r}: {why}", key) for key, why in placed.strange.items()),
        *_unreadable(scanned),
    ]
    same = len(scanned.entries) - len(changes.added) - len(changes.changed)
    return Compared(
        folder=folder,
        manifest=manifest,
        things=len(scanned.entries),
        changes=changes,
        findings=(_same(same), *findings),
    )


def update_folder(folder: Path, manifest: Path, job: Job) -> Compared:
    """Write the manifest of `folder` anew; what that changed in it. What cannot be read keeps its former entry.

    Raises SnapshotError when there is no folder; SpaceError or StoreError when the manifest cannot be written.
    """
    former, warnings = former_manifest(manifest)
    with job.step("scan folder"):
        scanned = scan_folder(folder, manifest, job.progress)
    hidden = {path: entry for path, entry in former.items() if _hidden(path, scanned)}
    new = {**hidden, **scanned.entries}
    changes = changes_between(former, new)
    written = changes.any or not manifest.exists()
    if written:
        with job.step("write manifest"):
            write_manifest(manifest, "", new, job.clock())
    return Compared(
        folder=folder,
        manifest=manifest,
        things=len(scanned.entries),
        changes=changes,
        findings=(*warnings, *_unreadable(scanned)),
        written=written,
    )


def _hidden(path: str, scanned: Scanned) -> bool:
    """Whether a path is one that cannot be read, or lies in a folder that cannot be listed."""
    return any(path == place or path.startswith(f"{place}/") for place in scanned.unreadable)


def _unreadable(scanned: Scanned) -> list[Finding]:
    return [
        critical("snapshot.unreadable", f"{path} cannot be read: {why}", path)
        for path, why in scanned.unreadable.items()
    ]


def _changed(path: str, old: Entry, new: Entry) -> Finding:
    return critical(
        "snapshot.changed", "it is another than in the manifest", path, expected=_said(old), found=_said(new)
    )


def _said(entry: Entry) -> str:
    if entry.link is not None:
        return f"a link to {entry.link}"
    return entry.sha256 or f"a {entry.kind}"


def _same(count: int) -> Finding:
    return Finding(
        severity=Severity.OK, code="snapshot.right", message=f"{count} as in the manifest", found=""
    )
