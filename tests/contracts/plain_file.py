"""The smallest kind that there can be: one plain file, copied as it is."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

from ops.driverkit.path_target import PathTarget, identify_path, is_same_path, path_whereabouts, real_path
from ops.errors import SourceError, SourceMissingError
from ops.fsio.atomic import replace_durably
from ops.fsio.copy import sha256_of
from ops.fsio.space import room_to_restore
from ops.model.findings import Finding, Severity
from ops.model.manifest import Captured, FileEntry, Manifest, Measures, Payload, SourceInfo, TableMeasure
from ops.model.requests import KeptTarget, RestoreOptions
from ops.model.series import Identified, Whereabouts
from ops.ports.source import CaptureContext, Copy, Form, LoadContext, Probe, Source, Supports
from ops.run.progress import Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainFileOptions:
    """What its table may say."""

    path: Path

    @classmethod
    def of_location(cls, location: str) -> PlainFileOptions:
        """Default options for the file at `location`."""
        return cls(path=Path(location))


@dataclass(frozen=True, slots=True)
class PlainFileSource:
    """One file."""

    name: str
    options: PlainFileOptions

    kind: ClassVar[str] = "plain_file"
    scope: ClassVar[str] = "full"
    selection: ClassVar[Mapping[str, object]] = {}
    form: ClassVar[Form] = Form("backup", ".bin")
    supports: ClassVar[Supports] = Supports()

    @property
    def info(self) -> SourceInfo:
        """Name, kind and path."""
        return SourceInfo(self.name, self.kind, str(self.options.path))

    @property
    def whereabouts(self) -> Whereabouts:
        """The path."""
        return path_whereabouts(self.options.path)

    def identify(self) -> Identified:
        """The real path."""
        return identify_path(self.options.path)

    def estimate(self) -> int:
        """Its size."""
        if not self.options.path.is_file():
            raise SourceMissingError(f"{self.options.path} is not there")
        return self.options.path.stat().st_size

    def probe(self) -> Probe:
        """That it is there."""
        return Probe("a file", self.estimate())

    def capture(self, into: Path, context: CaptureContext) -> Captured:
        """A copy."""
        self.estimate()
        into.write_bytes(self.options.path.read_bytes())
        entry = entry_of(into)
        context.file_done(into, entry)
        return Captured((entry,), datetime.now(UTC), "copied", lines_of(into))

    def inspect(self, payload: Payload) -> list[Finding]:
        """That it can be read."""
        message = f"{lines_of(payload.path).rows} lines"
        return [Finding(severity=Severity.OK, code="plain.read", message=message)]

    @contextlib.contextmanager
    def load(self, payload: Payload, context: LoadContext) -> Iterator[PlainCopy]:
        """The payload is the file."""
        context.progress.step("opening")
        yield PlainCopy(payload.path)

    def require_loadable(self, manifest: Manifest) -> Sequence[Finding]:
        """Nothing is needed."""
        return ()

    def room_to_load(self, manifest: Manifest) -> int:
        """Its size and a tenth."""
        return room_to_restore(manifest.size)

    @contextlib.contextmanager
    def target(self, to: str | None) -> Iterator[PlainTarget]:
        """A file."""
        path = real_path(to or self.options.path)
        yield PlainTarget(path, replace(self, options=PlainFileOptions(path=path)))

    def same_place(self, location: str) -> bool:
        """By identity."""
        return is_same_path(self.options.path, location)


@dataclass(frozen=True, slots=True)
class PlainCopy:
    """A restored file."""

    path: Path
    environment: ClassVar[Mapping[str, str]] = {}
    findings: ClassVar[Sequence[Finding]] = ()

    @property
    def place(self) -> str:
        """The path."""
        return str(self.path)

    def expected(self, recorded: Measures) -> Measures:
        """All."""
        return recorded

    def check(self) -> list[Finding]:
        """That it can be read."""
        return [Finding(severity=Severity.OK, code="plain.read", message=f"{self.count_rows('lines')} lines")]

    def measure(self, like: Measures) -> Measures:
        """Its lines."""
        return lines_of(self.path)

    def count_rows(self, table: str) -> int:
        """Its lines."""
        return lines_of(self.path).tables[table].rows

    def newest(self, column: str) -> object:
        """The time of its last change."""
        return datetime.fromtimestamp(self.path.stat().st_mtime, UTC)

    def query(self, sql: str) -> list[tuple[object, ...]]:
        """Nothing."""
        raise SourceError(sql)


@dataclass(frozen=True, slots=True)
class PlainTarget(PathTarget):
    """The file that a restore replaces."""

    there: Source

    def source(self) -> Source:
        """The source that is there."""
        return self.there

    def plan(self, manifest: Manifest, options: RestoreOptions, safety: str) -> Sequence[str]:
        """One step."""
        return [f"put {manifest.payload} at {self.path}"]

    def check(self, manifest: Manifest, options: RestoreOptions) -> Sequence[Finding]:
        """There is room."""
        self.require_room(manifest.size)
        return []

    @contextlib.contextmanager
    def build(self, payload: Payload, options: RestoreOptions, progress: Progress) -> Iterator[PlainCopy]:
        """The payload is what will be renamed."""
        yield PlainCopy(payload.path)

    def settle(self) -> None:
        """Nothing is ever half done."""

    def change_mark(self) -> str | None:
        """The time of its last change."""
        return str(self.path.stat().st_mtime_ns)

    def keep_damaged(self, stamp: str) -> tuple[str, str]:
        """A copy."""
        kept = self.path.with_name(f"{self.path.name}.damaged-{stamp}")
        shutil.copy2(self.path, kept)
        return str(kept), f"mv {kept} {self.path}"

    def swap(self, built: Copy, kept: KeptTarget) -> Sequence[Finding]:
        """One rename."""
        replace_durably(Path(built.place), self.path)
        return []

    def has_tables(self, tables: Sequence[str]) -> bool:
        """None."""
        return False

    def replace_tables(self, built: Copy, options: RestoreOptions) -> Sequence[Finding]:
        """None."""
        raise SourceError("a file has no tables")


def entry_of(path: Path) -> FileEntry:
    """Size and digest of a file."""
    with path.open("rb") as file:
        digest, size = sha256_of(file.fileno())
    return FileEntry(path.name, size, digest)


def lines_of(path: Path) -> Measures:
    """How many lines it has."""
    return Measures(tables={"lines": TableMeasure(path.read_bytes().count(b"\n"))})
