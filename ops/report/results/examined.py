"""Results of `doctor`: each thing that was examined, and what was found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from ops.model.findings import Finding
from ops.report.documents import findings_document
from ops.report.printable import printable
from ops.report.results.result import Document, Ended, Result
from ops.report.text import findings_text


@dataclass(frozen=True, slots=True)
class MachineExamined(Result):
    """The machine, and which configuration was read."""

    config: str
    findings: tuple[Finding, ...]

    @property
    def found(self) -> tuple[Finding, ...]:
        """All that was looked at."""
        return self.findings

    def text(self) -> str:
        """The configuration, then every finding."""
        return f"Configuration: {printable(self.config)}\n{findings_text(self.findings, all_of_them=True)}"

    def documents(self) -> Iterator[Document]:
        """One, of no source."""
        yield {"source": None, "config": self.config, "findings": findings_document(self.findings)}


@dataclass(frozen=True, slots=True)
class PartExamined(Result):
    """A store, a cipher or a source of the configuration."""

    kind: Literal["store", "cipher", "source"]
    name: str
    findings: tuple[Finding, ...]

    @property
    def found(self) -> tuple[Finding, ...]:
        """All that was looked at."""
        return self.findings

    @property
    def ended(self) -> tuple[Ended, ...]:
        """Of the source, where it is one."""
        if self.kind != "source":
            return ()
        return (Ended(self.name, "", self.exit_code, self.findings),)

    def text(self) -> str:
        """Every finding."""
        of_source = self.kind == "source"
        title = self.name if of_source else f"{self.kind} {self.name}"
        said = findings_text(self.findings, all_of_them=True, source=self.name if of_source else "")
        return f"{title}:\n{said}"

    def documents(self) -> Iterator[Document]:
        """One."""
        yield {self.kind: self.name, "findings": findings_document(self.findings)}


@dataclass(frozen=True, slots=True)
class HistoryExamined(Result):
    """The history of ingest jobs."""

    findings: tuple[Finding, ...]

    @property
    def found(self) -> tuple[Finding, ...]:
        """All that was looked at."""
        return self.findings

    def text(self) -> str:
        """Every finding."""
        return f"ingest history:\n{findings_text(self.findings, all_of_them=True)}"

    def documents(self) -> Iterator[Document]:
        """One."""
        yield {"ingest": True, "findings": findings_document(self.findings)}
