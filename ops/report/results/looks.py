"""Results of the tasks that look at backups: verifies and drills."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ops.model.evidence import Evidence
from ops.model.findings import Finding, Verdict
from ops.report.documents import evidence_document
from ops.report.drills import drills_text
from ops.report.exit_codes import exit_code_of
from ops.report.results.result import Document, Ended, Result
from ops.report.text import evidence_text


@dataclass(frozen=True, slots=True)
class BackupVerified(Result):
    """One verify."""

    evidence: Evidence

    @property
    def found(self) -> tuple[Finding, ...]:
        """What was looked at."""
        return self.evidence.findings

    @property
    def verdict(self) -> Verdict:
        """That of the verify."""
        return self.evidence.verdict

    @property
    def ended(self) -> tuple[Ended, ...]:
        """Of its source."""
        return (Ended(self.evidence.source.name, self.evidence.job_id, self.exit_code, self.found),)

    def text(self) -> str:
        """The verdict, then every finding."""
        return evidence_text(self.evidence)

    def documents(self) -> Iterator[Document]:
        """The evidence."""
        yield evidence_document(self.evidence)


@dataclass(frozen=True, slots=True)
class BackupsDrilled(Result):
    """All drills of a run: one table for people, one document each, and JUnit XML for CI systems."""

    drills: tuple[Evidence, ...]

    @property
    def found(self) -> tuple[Finding, ...]:
        """Those of all drills."""
        return tuple(finding for drill in self.drills for finding in drill.findings)

    @property
    def exit_code(self) -> int:
        """The worst of the drills."""
        return max((exit_code_of(drill.findings, drill.verdict) for drill in self.drills), default=0)

    @property
    def ended(self) -> tuple[Ended, ...]:
        """Of each drill."""
        return tuple(
            Ended(
                drill.source.name, drill.job_id, exit_code_of(drill.findings, drill.verdict), drill.findings
            )
            for drill in self.drills
        )

    @property
    def number(self) -> int:
        """How many drills."""
        return len(self.drills)

    def text(self) -> str:
        """The table, what needs a look, one sentence; nothing where nothing was drilled."""
        return drills_text(self.drills) if self.drills else ""

    def documents(self) -> Iterator[Document]:
        """The evidence of each."""
        yield from map(evidence_document, self.drills)

    def junit(self) -> bytes:
        """Return the JUnit XML document: one test suite a drill, one test case a finding."""
        from ops.report.junit import to_junit

        return to_junit(self.drills)
