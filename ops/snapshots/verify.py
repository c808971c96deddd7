"""Comparing snapshots with all that is recorded of them: their checksum files, and a manifest where there is one.

Nothing passes that nothing proves: a snapshot without any record of its digest is a critical finding, and so is a
record without its snapshot.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from ops.errors import SnapshotError
from ops.fsio.locks import is_held
from ops.model.findings import Finding
from ops.run.job import Job
from ops.snapshots.checksum_file import SUFFIXES
from ops.snapshots.compare_checksums import Looked, Subject, critical, look_at
from ops.snapshots.definition import parse_name
from ops.snapshots.folder_manifest import Placed, place_entries, read_manifest
from ops.snapshots.folder_scan import paths_in
from ops.snapshots.publish import lock_of

_AGAIN_S: Final = 0.2
_AGAIN: Final = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """All snapshots of a folder, and what was recorded of them. `findings`: about no single snapshot.

    `unreadable`: folders below that cannot be listed.
    """

    folder: Path
    manifest: Path | None
    placed: Placed
    looked: tuple[Looked, ...]
    findings: tuple[Finding, ...] = ()
    unreadable: tuple[str, ...] = ()


def verify_snapshots(folder: Path, manifest: Path | None, job: Job) -> Verified:
    """Recompute every snapshot in `folder` and below, and compare; `manifest` None: there is none.

    Raises SnapshotError when there is nothing to look at, or the manifest cannot be read.
    """
    unreadable: dict[str, str] = {}
    if not folder.is_dir():
        hint = "check SNAPSHOT_DIR, or make one with snapshot.create"
        raise SnapshotError(f"there is no folder {folder}", code="snapshot.not_found", hint=hint)
    everything = set(paths_in(folder, unreadable))
    there = {path: None for path in everything if is_snapshot(path)}
    entries = {} if manifest is None else read_manifest(manifest)
    placed = place_entries(entries, folder, there)
    lone = {target for path in everything if (target := _target(path)) is not None}
    paths = sorted({*there, *placed.entries, *lone})
    if not paths and not unreadable and not placed.strange:
        hint = "make one with snapshot.create, or name the folder with SNAPSHOT_DIR"
        raise SnapshotError(f"there is no snapshot in {folder}", code="snapshot.not_found", hint=hint)
    with job.step("verify snapshots"):
        looked = [
            _look(
                Subject(
                    folder=folder,
                    path=path,
                    entry=placed.entries.get(path),
                    has_manifest=manifest is not None,
                ),
                job,
            )
            for path in paths
        ]
    return Verified(
        folder=folder,
        manifest=manifest,
        placed=placed,
        looked=tuple(item for item in looked if item is not None),
        findings=(*_strange(placed), *map(_unreadable, unreadable.items())),
        unreadable=tuple(unreadable),
    )


def is_snapshot(path: str) -> bool:
    """Whether a path inside a folder is one of a snapshot: any CSV, and JSON under a snapshot's name."""
    name = PurePosixPath(path).name
    return name.endswith(".csv") or (name.endswith(".json") and parse_name(name) is not None)


def _target(path: str) -> str | None:
    """The snapshot that a checksum file is about, None when `path` is none."""
    target = next((path.removesuffix(suffix) for suffix in SUFFIXES if path.endswith(suffix)), None)
    return target if target is not None and is_snapshot(target) else None


def _strange(placed: Placed) -> list[Finding]:
    return [
        critical("snapshot.ambiguous", f"the manifest's key {key!r} cannot be compared: {why}", key)
        for key, why in placed.strange.items()
    ]


def _unreadable(found: tuple[str, str]) -> Finding:
    path, why = found
    return critical("snapshot.unreadable", f"{path} cannot be read: {why}", path)


def _look(subject: Subject, job: Job) -> Looked | None:
    """One snapshot; None when it is gone with all that was recorded of it.

    While a create or purge of its series is at work, what looks bad may be half done: it is looked at again.
    """
    lock = lock_of(subject.file)
    looked = look_at(subject, job.progress)
    for _ in range(_AGAIN):
        if looked is None or not looked.bad or lock is None or not is_held(lock):
            break
        time.sleep(_AGAIN_S)
        looked = look_at(subject, job.progress)
    return looked
