"""A kind whose payload is a folder: all files of a folder, one by one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

from ops.fsio.atomic import make_private_folder
from ops.model.findings import Finding, Severity
from ops.model.manifest import Captured, FileEntry, Measures, Payload, TableMeasure
from ops.ports.source import CaptureContext, Form, LoadContext
from tests.contracts.plain_file import PlainCopy, PlainFileSource, entry_of


def _nothing() -> None:
    """What happens behind each file."""


@dataclass(frozen=True, slots=True)
class TreeSource(PlainFileSource):
    """The files of a folder; `behind`: called when one was handed over, before the next is copied."""

    behind: Callable[[], None] = _nothing
    again: bool = False

    kind: ClassVar[str] = "tree"
    form: ClassVar[Form] = Form("backup", ".tree", is_folder=True)

    def estimate(self) -> int:
        """Their sizes."""
        return sum(path.stat().st_size for path in self.options.path.rglob("*") if path.is_file())

    def capture(self, into: Path, context: CaptureContext) -> Captured:
        """A copy of each; with `again` all of it twice, as a capture that began anew."""
        if self.again:
            first = next(self._copied(into, context))
            (into / first.path).unlink()
        entries = tuple(self._copied(into, context))
        measures = Measures(tables={"files": TableMeasure(len(entries))})
        return Captured(entries, datetime.now(UTC), "copied", measures)

    def _copied(self, into: Path, context: CaptureContext) -> Iterator[FileEntry]:
        for path in sorted(path for path in self.options.path.rglob("*") if path.is_file()):
            copy = into / path.relative_to(self.options.path)
            make_private_folder(copy.parent)
            copy.write_bytes(path.read_bytes())
            entry = FileEntry(str(copy.relative_to(into)), copy.stat().st_size, entry_of(copy).sha256)
            context.file_done(copy, entry)
            self.behind()
            yield entry

    def inspect(self, payload: Payload) -> list[Finding]:
        """How many there are."""
        message = f"{count_files(payload.path)} files"
        return [Finding(severity=Severity.OK, code="tree.read", message=message)]

    @contextlib.contextmanager
    def load(self, payload: Payload, context: LoadContext) -> Iterator[TreeCopy]:
        """The payload is the folder."""
        context.progress.step("opening")
        yield TreeCopy(payload.path)


@dataclass(frozen=True, slots=True)
class TreeCopy(PlainCopy):
    """A restored folder."""

    def check(self) -> list[Finding]:
        """How many files there are."""
        message = f"{count_files(self.path)} files"
        return [Finding(severity=Severity.OK, code="tree.read", message=message)]

    def measure(self, like: Measures) -> Measures:
        """How many files there are."""
        return Measures(tables={"files": TableMeasure(count_files(self.path))})


def count_files(folder: Path) -> int:
    """Files below a folder."""
    return sum(path.is_file() for path in folder.rglob("*"))
