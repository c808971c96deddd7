"""Results of the snapshot tasks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ops.model.findings import Finding
from ops.report.exit_codes import CRITICAL, OK, WARNING
from ops.report.results.result import Document, Result
from ops.report.snapshots import (
    compared_document,
    compared_text,
    proof_document,
    proof_text,
    purged_document,
    purged_text,
    verified_document,
    verified_text,
    written_document,
    written_text,
)

if TYPE_CHECKING:
    from ops.snapshots.create import Written
    from ops.snapshots.folder_verify import Compared
    from ops.snapshots.purge import Purged
    from ops.snapshots.restore_verify import Proof
    from ops.snapshots.update import Changes
    from ops.snapshots.verify import Verified

_ANSWERED = ("job_id", "elapsed_sec", "snapshot", "rows")
_WORDS = {OK: "passed", WARNING: "WARNING", CRITICAL: "FAILED"}


@dataclass(frozen=True, slots=True)
class SnapshotWritten(Result):
    """A snapshot, by which job it was written, and in how many seconds."""

    written: Written
    job_id: str
    elapsed_s: float

    def text(self) -> str:
        """File, rows, size and digest."""
        return written_text(self.written, self.job_id, self.elapsed_s)

    def documents(self) -> Iterator[Document]:
        """One."""
        yield written_document(self.written, self.job_id, self.elapsed_s)

    def answer(self) -> Document:
        """What stands at the top as well, where programs of before look for it."""
        document = written_document(self.written, self.job_id, self.elapsed_s)
        return {key: document[key] for key in _ANSWERED}


@dataclass(frozen=True, slots=True)
class SnapshotsVerified(Result):
    """The snapshots of a folder against what is recorded; `changes`: of the manifest, where it was to be written."""

    verified: Verified
    changes: Changes | None

    @property
    def found(self) -> tuple[Finding, ...]:
        """Those of each snapshot."""
        return tuple(finding for item in self.verified.looked for finding in item.findings)

    def text(self) -> str:
        """What is wrong first, then how many were right."""
        return verified_text(self.verified, self.changes)

    def documents(self) -> Iterator[Document]:
        """One."""
        yield verified_document(self.verified, self.changes)


@dataclass(frozen=True, slots=True)
class FolderCompared(Result):
    """Any folder against its manifest."""

    compared: Compared
    update: bool

    @property
    def found(self) -> tuple[Finding, ...]:
        """What differs."""
        return self.compared.findings

    def text(self) -> str:
        """What differs, or what changed in the manifest."""
        return compared_text(self.compared, update=self.update)

    def documents(self) -> Iterator[Document]:
        """One."""
        yield compared_document(self.compared)


@dataclass(frozen=True, slots=True)
class SnapshotsPurged(Result):
    """Which snapshots stay and why, and which are gone or would be."""

    purged: Purged
    dry_run: bool

    @property
    def found(self) -> tuple[Finding, ...]:
        """What was noticed."""
        return self.purged.findings

    def text(self) -> str:
        """The plan, then one sentence."""
        return purged_text(self.purged, dry_run=self.dry_run)

    def documents(self) -> Iterator[Document]:
        """One."""
        yield purged_document(self.purged, dry_run=self.dry_run)


@dataclass(frozen=True, slots=True)
class SnapshotProved(Result):
    """A snapshot that was loaded and compared."""

    proof: Proof
    job_id: str

    @property
    def found(self) -> tuple[Finding, ...]:
        """What was compared."""
        return self.proof.findings

    def text(self) -> str:
        """The answer in a word, then every finding."""
        return proof_text(self.proof, _WORDS[self.exit_code], self.job_id)

    def documents(self) -> Iterator[Document]:
        """One."""
        yield proof_document(self.proof, self.job_id)
