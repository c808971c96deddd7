"""The task `snapshot.verify`: checksums recomputed."""

from __future__ import annotations

from pathlib import Path

from ops.model.findings import Finding
from ops.report.results.snapshots import FolderCompared, SnapshotsVerified
from ops.snapshots.folder_manifest import FILE_NAME
from ops.snapshots.folder_verify import update_folder, verify_folder
from ops.snapshots.update import Changes, former_manifest, update_snapshots
from ops.snapshots.verify import Verified, verify_snapshots
from ops.tasks.session import Session
from ops.tasks.snapshot.commands import Verify


def run(session: Session, wanted: Verify) -> None:
    """Compare the folder of snapshots, or any folder, with what is recorded; or record it."""
    manifest = Path(wanted.manifest).absolute() if wanted.manifest else None
    if wanted.path:
        folder = Path(wanted.path).absolute()
        _verify_folder(session, folder, manifest or folder / FILE_NAME, update=wanted.update)
        return
    folder = manifest.parent if manifest else session.config.snapshots.folder.absolute()
    job = session.job.of_source("")
    known = manifest or folder / FILE_NAME
    if wanted.update:
        former, warnings = former_manifest(known)
        verified = verify_snapshots(folder, known if former else None, job)
        changes = update_snapshots(verified, known, job)
        # Looked at again, with the manifest that is there now: what it says is what was just written.
        _tell(session, verify_snapshots(folder, known, job), changes, warnings)
        return
    _tell(session, verify_snapshots(folder, known if manifest or known.exists() else None, job), None, [])


def _tell(session: Session, verified: Verified, changes: Changes | None, warnings: list[Finding]) -> None:
    session.outcome.notice([*warnings, *verified.findings])
    session.outcome.add(SnapshotsVerified(verified, changes))


def _verify_folder(session: Session, folder: Path, manifest: Path, *, update: bool) -> None:
    job = session.job.of_source("")
    compared = (update_folder if update else verify_folder)(folder, manifest, job)
    session.outcome.add(FolderCompared(compared, update))
