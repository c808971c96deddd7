"""Results of `backup.restore`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ops.model.findings import Finding
from ops.report.documents import restored_document
from ops.report.printable import printable
from ops.report.results.result import Document, Ended, Result
from ops.report.text import restored_text

if TYPE_CHECKING:
    from ops.actions.restore import Restored
    from ops.repository.backup import Backup


@dataclass(frozen=True, slots=True)
class RestorePlanned(Result):
    """What `backup.restore --dry-run` would do, step by step."""

    backup: Backup
    steps: tuple[str, ...]

    def text(self) -> str:
        """The steps, numbered."""
        return "\n".join(
            ["Would:", *(f"  {number}. {printable(step)}" for number, step in enumerate(self.steps, 1))]
        )

    def documents(self) -> Iterator[Document]:
        """One."""
        yield {"backup": self.backup.name, "dry_run": True, "steps": list(self.steps)}


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupRestored(Result):
    """A backup that was restored, by which job and in what time."""

    backup: Backup
    restored: Restored
    job_id: str
    duration_ms: int

    @property
    def found(self) -> tuple[Finding, ...]:
        """What was checked."""
        return self.restored.findings

    @property
    def ended(self) -> tuple[Ended, ...]:
        """Of its source."""
        return (Ended(self.backup.manifest.source.name, self.job_id, self.exit_code, self.found),)

    def text(self) -> str:
        """Where it is, every finding, and the command that goes back or on."""
        return restored_text(self.backup, self.restored, self.job_id, self.duration_ms)

    def documents(self) -> Iterator[Document]:
        """One."""
        yield restored_document(self.backup, self.restored, self.job_id, self.duration_ms)
