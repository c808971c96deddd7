"""Writing a manifest anew from what is there, and saying what that changes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ops.errors import SnapshotManifestError
from ops.model.findings import Finding, Severity
from ops.run.job import Job
from ops.snapshots.compare_checksums import Looked
from ops.snapshots.excerpt import excerpt_of
from ops.snapshots.folder_manifest import Entry, read_manifest, write_manifest
from ops.snapshots.verify import Verified


@dataclass(frozen=True, slots=True)
class Changes:
    """What writing a manifest anew changed: paths whose entries are new, others, or gone."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]

    @property
    def any(self) -> bool:
        """Whether there is one."""
        return bool(self.added or self.changed or self.removed)


def changes_between(old: Mapping[str, Entry], new: Mapping[str, Entry]) -> Changes:
    """What is in only one of two manifests, or is another thing in the second."""
    return Changes(
        added=tuple(sorted(new.keys() - old.keys())),
        changed=tuple(
            sorted(key for key in new.keys() & old.keys() if new[key].identity != old[key].identity)
        ),
        removed=tuple(sorted(old.keys() - new.keys())),
    )


def former_manifest(path: Path) -> tuple[dict[str, Entry], list[Finding]]:
    """The entries that an update starts from: none where there is no manifest, or one that cannot be read.

    Raises SnapshotError when the file is there and this user may not read it.
    """
    if not os.path.lexists(path):
        return {}, []
    try:
        return read_manifest(path), []
    except SnapshotManifestError as error:
        warning = Finding(
            severity=Severity.WARNING,
            code="snapshot.manifest_replaced",
            message=f"nothing of the former manifest was taken over: {error.message}",
            where=path.name,
        )
        return {}, [warning]


def update_snapshots(verified: Verified, manifest: Path, job: Job) -> Changes:
    """Record what was found in `verified`, in the place of the manifest at `manifest`; what that changed.

    A snapshot that its own checksum file contradicts, or that cannot be read, is not recorded: its former entry
    stays. Nothing is written when nothing changes. Raises SpaceError or StoreError.
    """
    old = verified.placed.entries
    new = {item.path: entry for item in verified.looked if (entry := _entry(verified, item)) is not None}
    changes = changes_between({**old, **dict.fromkeys(verified.placed.strange, Entry())}, new)
    if changes.any or not manifest.exists():
        with job.step("write manifest"):
            write_manifest(manifest, f"{verified.folder.name}/", new, job.clock())
    return changes


def _entry(verified: Verified, looked: Looked) -> Entry | None:
    """The entry for one snapshot; the former one where it says nothing new."""
    former = verified.placed.entries.get(looked.path)
    hidden = any(looked.path.startswith(f"{place}/") for place in verified.unreadable)
    if not hidden and not os.path.lexists(verified.folder / looked.path):
        return None
    if looked.sha256 is None or looked.contradicted:
        return former
    excerpt = excerpt_of(verified.folder / looked.path)
    if excerpt is None:
        return Entry(sha256=looked.sha256, size=looked.size)
    return Entry(sha256=looked.sha256, size=looked.size, header=excerpt.header, tail=excerpt.tail)
