"""What every task's results have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from ops.model.findings import Finding, Verdict
from ops.report.exit_codes import exit_code_of

Document: TypeAlias = Mapping[str, object]
"""Plain JSON values."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How the work on one source ended, for whoever listens: by which job, how bad, and all that was found."""

    source: str
    job_id: str
    exit_code: int
    findings: Sequence[Finding]


class Result(ABC):
    """What a task came to, or a part of it: a frozen value; text, JSON and exit code are made of it when they are asked for."""

    __slots__ = ()

    @property
    def found(self) -> Sequence[Finding]:
        """All findings that it holds."""
        return ()

    @property
    def verdict(self) -> Verdict | None:
        """What it says about a backup; None where that is not the question."""
        return None

    @property
    def exit_code(self) -> int:
        """What a task ends with that came to nothing worse."""
        return exit_code_of(self.found, self.verdict)

    @property
    def ended(self) -> Sequence[Ended]:
        """How the work ended on each source that it is about; empty where it is about none."""
        return ()

    @property
    def number(self) -> int:
        """How many things it is, for the last line on a terminal."""
        return 1

    @property
    def beside(self) -> Sequence[Finding]:
        """Findings that JSON tells beside the results, as being about no single one."""
        return ()

    @abstractmethod
    def text(self) -> str:
        """Return it for people; empty where there is nothing to say."""

    @abstractmethod
    def documents(self) -> Iterable[Document]:
        """Return it for machines: the values of `results`."""

    def answer(self) -> Document:
        """Return what stands at the top of the JSON answer, beside what all answers have."""
        return {}

    def lines(self) -> Iterable[str]:
        """Return it as lines, for a task that has that format."""
        return ()
