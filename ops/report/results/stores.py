"""Results of the tasks that work on stores: copies, checks, retention, other keys."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from ops.model.findings import Finding
from ops.report.documents import backup_document, findings_document
from ops.report.printable import printable
from ops.report.results.result import Document, Ended, Result
from ops.report.retention import pruned_document, pruned_text
from ops.report.screen import screen
from ops.report.text import findings_text

if TYPE_CHECKING:
    from ops.actions.prune import Pruned
    from ops.actions.reencrypt import Reencrypted
    from ops.repository.backup import Backup


@dataclass(frozen=True, slots=True)
class StoreSkipped(Result):
    """A store that is offline and not here: what was not done there, and for which source (empty: no certain one)."""

    store: str
    undone: str
    source: str = ""

    def text(self) -> str:
        """One line."""
        about = f"{self.source} in {self.store}" if self.source else printable(self.store)
        return f"{about}: not here (offline), nothing was {self.undone}"

    def documents(self) -> Iterator[Document]:
        """None: nothing was done."""
        yield from ()


@dataclass(frozen=True, slots=True)
class StoreChecked(Result):
    """What a store promises, tried out."""

    store: str
    location: str
    findings: tuple[Finding, ...]

    @property
    def found(self) -> tuple[Finding, ...]:
        """Each promise."""
        return self.findings

    def text(self) -> str:
        """A line for each promise."""
        title = f"{printable(self.store)} ({printable(self.location)}):"
        return f"{title}\n{findings_text(self.findings, all_of_them=True)}"

    def documents(self) -> Iterator[Document]:
        """One."""
        yield {
            "store": self.store,
            "location": self.location,
            "findings": findings_document(self.findings),
        }


@dataclass(frozen=True, slots=True)
class BackupCopied(Result):
    """A backup that is in a store now; `location` and `cipher` of that store, None where it was there already."""

    backup: Backup
    store: str
    location: str | None = None
    cipher: str | None = None

    def text(self) -> str:
        """One line."""
        there = f"{printable(self.backup.name)} is in store {printable(self.store)}"
        if self.location is None:
            return f"{there} already"
        encrypted = f", sealed with {self.cipher}" if self.cipher else ""
        return f"{there} ({printable(self.location)}{encrypted})"

    def documents(self) -> Iterator[Document]:
        """One."""
        yield {**backup_document(self.backup), "to": self.store}


@dataclass(frozen=True, slots=True)
class CopiesMade(Result):
    """What of a source's backups was missing in its further stores, and was copied there."""

    source: str
    stores: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def found(self) -> tuple[Finding, ...]:
        """Each copy, and what could not be copied."""
        return self.findings

    @property
    def ended(self) -> tuple[Ended, ...]:
        """Of its source."""
        return (Ended(self.source, "", self.exit_code, self.found),)

    def text(self) -> str:
        """A line for each copy."""
        said = findings_text(self.findings, all_of_them=True, source=self.source)
        if not screen().is_brief:
            return f"{printable(self.source)}:\n{said or f'  {self._done()}'}"
        return "\n".join(filter(None, [f"{printable(self.source)}: {self._done()}", said]))

    def _done(self) -> str:
        if not self.stores:
            return "it has one store; name more in `stores`, or one with --store"
        if not self.findings:
            return f"nothing is missing in {', '.join(self.stores)}"
        made = sum(item.code == "copy.made" for item in self.findings)
        return f"{made} {'copy' if made == 1 else 'copies'} made in {', '.join(self.stores)}"

    def documents(self) -> Iterator[Document]:
        """One."""
        findings = findings_document(self.findings)
        yield {"source": self.source, "stores": list(self.stores), "findings": findings}


@dataclass(frozen=True, slots=True)
class StorePruned(Result):
    """What retention keeps of a source in a store and why, and what is gone or would be."""

    pruned: Pruned
    now: datetime
    dry_run: bool

    @property
    def found(self) -> tuple[Finding, ...]:
        """What was noticed."""
        return self.pruned.findings

    @property
    def ended(self) -> tuple[Ended, ...]:
        """Of its source."""
        return (Ended(self.pruned.source, "", self.exit_code, self.found),)

    def text(self) -> str:
        """One table for each group of like backups, then one sentence."""
        return pruned_text(self.pruned, self.now, dry_run=self.dry_run)

    def documents(self) -> Iterator[Document]:
        """One."""
        yield pruned_document(self.pruned, dry_run=self.dry_run)


@dataclass(frozen=True, slots=True)
class StoreReencrypted(Result):
    """Which backups of a source in a store were encrypted anew, or would be."""

    done: Reencrypted
    dry_run: bool

    @property
    def found(self) -> tuple[Finding, ...]:
        """What was noticed."""
        return self.done.findings

    def text(self) -> str:
        """A line for each, and what to do next."""
        done = self.done
        verb = "would be sealed anew as" if self.dry_run else "is sealed anew as"
        lines = [
            f"{done.source} in {printable(done.store)}: {done.current} already sealed for the keys of today"
        ]
        lines += [f"  {printable(old)} {verb} {printable(new)}" for old, new in done.renewed]
        if done.renewed and self.dry_run:
            lines.append("  nothing was changed")
        elif done.renewed:
            lines.append("  nothing proves these yet: drill the newest, backup.drill --from STORE:latest")
        return "\n".join([*lines, *filter(None, [findings_text(done.findings)])])

    def documents(self) -> Iterator[Document]:
        """One."""
        yield {
            "source": self.done.source,
            "store": self.done.store,
            "dry_run": self.dry_run,
            "renewed": [{"old": old, "new": new} for old, new in self.done.renewed],
            "current": self.done.current,
            "findings": findings_document(self.done.findings),
        }
