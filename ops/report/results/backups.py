"""Results of the tasks that make a backup, show one, and say how long it stays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ops.model.findings import Finding
from ops.report.documents import (
    backup_document,
    evidence_document,
    findings_document,
    shown_document,
    taken_document,
)
from ops.report.exit_codes import exit_code_of
from ops.report.results.result import Document, Ended, Result
from ops.report.retention import pin_document, pinned_text, released_text
from ops.report.text import findings_text, shown_text, stored_text, taken_text
from ops.units import format_size

if TYPE_CHECKING:
    from ops.actions.backup import Taken
    from ops.model.evidence import Evidence, Pin
    from ops.model.manifest import SourceInfo
    from ops.repository.backup import Backup


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupPlanned(Result):
    """What `backup.create --dry-run` would do; `name`: that of the payload where it is chosen, `content` in words."""

    source: SourceInfo
    scope: str
    store: str
    location: str
    name: str | None
    estimate: int
    content: str

    def text(self) -> str:
        """One sentence."""
        scope = "" if self.scope == "full" else f", scope {self.scope}"
        where = f"{self.location}{f'/{self.name}' if self.name else ''}"
        what = f"{self.source.location}{scope} ({format_size(self.estimate)}, {self.content})"
        return f"Would back up {what} to {where}; nothing was written"

    def documents(self) -> Iterator[Document]:
        """One."""
        yield {
            "source": self.source.name,
            "store": self.store,
            "name": self.name,
            "scope": self.scope,
            "estimate": self.estimate,
            "dry_run": True,
        }


@dataclass(frozen=True, slots=True)
class Stored:
    """A look at what was stored of an encrypted backup; `noticed`: keys that do not fit, for instance."""

    backup: Backup
    looked: Evidence
    noticed: tuple[Finding, ...]

    @property
    def found(self) -> tuple[Finding, ...]:
        """All findings of the look."""
        return (*self.looked.findings, *self.noticed)


@dataclass(frozen=True, slots=True)
class BackupCreated(Result):
    """A new backup; with the look at it, the look at what was stored encrypted, and what became of its copies.

    Each of these is None where it was not asked for.
    """

    taken: Taken
    looked: Evidence | None = None
    stored: Stored | None = None
    copies: tuple[Finding, ...] | None = None

    @property
    def found(self) -> tuple[Finding, ...]:
        """Those of the capture, of both looks, and of the copies."""
        looked = self.looked.findings if self.looked else ()
        stored = self.stored.found if self.stored else ()
        return (*self.taken.findings, *looked, *stored, *(self.copies or ()))

    @property
    def exit_code(self) -> int:
        """The worst of all steps."""
        looks = [self.looked, self.stored.looked if self.stored else None]
        verdicts = [None, *(look.verdict for look in looks if look is not None)]
        return max(exit_code_of(self.found, verdict) for verdict in verdicts)

    @property
    def ended(self) -> tuple[Ended, ...]:
        """Of its source."""
        return (
            Ended(
                self.taken.backup.manifest.source.name,
                self.taken.backup.manifest.job_id,
                self.exit_code,
                self.found,
            ),
        )

    def text(self) -> str:
        """What was captured, then each look, then the copies."""
        parts = [taken_text(self.taken, self.looked)]
        if self.stored:
            parts += [stored_text(self.stored.looked), findings_text(self.stored.noticed)]
        if self.copies:
            parts.append(findings_text(self.copies, all_of_them=True))
        return "\n".join(filter(None, parts))

    def documents(self) -> Iterator[Document]:
        """One: the backup as it is stored."""
        taken, looked, stored = self.taken, self.looked, self.stored
        if looked:
            taken = replace(taken, backup=replace(taken.backup, evidence=(looked,)))
        document = taken_document(taken)
        if looked:
            document["verification"] = evidence_document(looked)
        if stored:
            document |= backup_document(replace(stored.backup, evidence=(stored.looked,)))
            findings = findings_document(stored.found)
            document["stored"] = {**evidence_document(stored.looked), "findings": findings}
        if self.copies is not None:
            document["copies"] = findings_document(self.copies)
        yield document


@dataclass(frozen=True, slots=True)
class BackupShown(Result):
    """One backup whole, what is amiss with its files, and the command that restores it."""

    backup: Backup
    amiss: tuple[Finding, ...]
    command: str

    @property
    def found(self) -> tuple[Finding, ...]:
        """What is amiss."""
        return self.amiss

    def text(self) -> str:
        """Manifest, tables and history, then what is amiss."""
        said = findings_text(self.amiss, source=self.backup.manifest.source.name)
        return "\n".join(filter(None, [shown_text(self.backup, self.command), said]))

    def documents(self) -> Iterator[Document]:
        """One, with the manifest as it is stored."""
        yield {
            **shown_document(self.backup),
            "restore": self.command,
            "findings": findings_document(self.amiss),
        }


@dataclass(frozen=True, slots=True)
class BackupKept(Result):
    """A backup, and the pin that keeps it."""

    backup: Backup
    pin: Pin

    def text(self) -> str:
        """Until when, and why."""
        return pinned_text(self.backup, self.pin)

    def documents(self) -> Iterator[Document]:
        """The pin."""
        yield pin_document(self.pin)


@dataclass(frozen=True, slots=True)
class BackupReleased(Result):
    """A backup, and the files of the pins that were taken back."""

    backup: Backup
    pins: tuple[str, ...]

    def text(self) -> str:
        """How many there were."""
        return released_text(self.backup, self.pins)

    def documents(self) -> Iterator[Document]:
        """One."""
        yield {"backup": self.backup.name, "released": list(self.pins)}


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesAdopted(Result):
    """A series that became a part of a source's own in each of its stores, or was separated again."""

    source: str
    series: str
    undo: bool
    findings: tuple[Finding, ...]

    @property
    def found(self) -> tuple[Finding, ...]:
        """How it went in each store."""
        return self.findings

    def text(self) -> str:
        """A line for each store."""
        return f"{self.source}:\n{findings_text(self.findings, all_of_them=True)}"

    def documents(self) -> Iterator[Document]:
        """One."""
        yield {
            "source": self.source,
            "series": self.series,
            "undo": self.undo,
            "findings": findings_document(self.findings),
        }
