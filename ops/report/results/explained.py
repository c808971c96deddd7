"""Results of `explain`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ops.report.next_moves import Code
from ops.report.results.result import Document, Result
from ops.report.screen import screen
from ops.report.text import facts


@dataclass(frozen=True, slots=True)
class CodeExplained(Result):
    """One code with its meaning and what to do."""

    code: Code

    def text(self) -> str:
        """The code, then a line for each."""
        item = self.code
        pairs = [("severity", item.severity), ("meaning", item.meaning), ("next", item.move or "nothing")]
        return f"{item.code}\n{facts(pairs)}"

    def documents(self) -> Iterator[Document]:
        """One; `next` is null where it is always fine."""
        yield _document(self.code)


@dataclass(frozen=True, slots=True)
class CodesListed(Result):
    """All codes."""

    codes: tuple[Code, ...]

    def text(self) -> str:
        """A line for each."""
        fold = screen().folded
        return "\n".join(fold(f"{item.code}  {item.meaning}", 4) for item in self.codes)

    def documents(self) -> Iterator[Document]:
        """One for each."""
        return map(_document, self.codes)


def _document(item: Code) -> Document:
    return {"code": item.code, "severity": item.severity, "meaning": item.meaning, "next": item.move or None}
