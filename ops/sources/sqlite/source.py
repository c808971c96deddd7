"""The source driver of the kind `sqlite`: the port's verbs."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar, Final

from ops.driverkit.as_written import require_as_written, require_size
from ops.driverkit.path_target import identify_path, is_same_path, path_whereabouts, real_path
from ops.errors import OpsError, RefusedError, SourceError
from ops.fsio.space import room_to_restore
from ops.model.complaints import complaints_document
from ops.model.evidence import Level
from ops.model.findings import Finding, Severity
from ops.model.manifest import Captured, Manifest, Payload, SourceInfo
from ops.model.series import Identified, Whereabouts
from ops.ports.source import CaptureContext, Form, LoadContext, Probe, Supports
from ops.run.progress import Progress
from ops.sources.sqlite.capture import CaptureOptions, capture_database, probe_database
from ops.sources.sqlite.check import check_database
from ops.sources.sqlite.complain import not_loaded
from ops.sources.sqlite.connection import (
    require_database_file,
    unloadable,
)
from ops.sources.sqlite.copied import Copied
from ops.sources.sqlite.copy import SqliteCopy, opened_copy
from ops.sources.sqlite.look import ALWAYS_UP_TO
from ops.sources.sqlite.measures import countable_tables, measure_database, not_counted
from ops.sources.sqlite.options import SqliteOptions
from ops.sources.sqlite.target import SqliteTarget

_UNUSED: Final = Finding(
    severity=Severity.OK,
    code="config.unused",
    message="digests has no effect any more: the SHA-256 of the file covers every row. Remove the line",
    where="digests",
)


@dataclass(frozen=True, slots=True)
class SqliteSource:
    """One SQLite database file."""

    name: str
    options: SqliteOptions
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)

    kind: ClassVar[str] = "sqlite"
    options_type: ClassVar[type[SqliteOptions]] = SqliteOptions

    @property
    def info(self) -> SourceInfo:
        """Name, kind and the file's path."""
        return SourceInfo(self.name, self.kind, str(self.options.path))

    @property
    def scope(self) -> str:
        """Always the whole file."""
        return "full"

    @property
    def selection(self) -> Mapping[str, object]:
        """None: there is nothing to choose."""
        return {}

    @property
    def whereabouts(self) -> Whereabouts:
        """The configured path."""
        return path_whereabouts(self.options.path)

    def identify(self) -> Identified:
        """Return the real path."""
        return identify_path(self.options.path)

    @property
    def form(self) -> Form:
        """One file, `backup-<time>.db`."""
        return Form("backup", ".db")

    @property
    def supports(self) -> Supports:
        """One table can be restored alone; it replaces the one that is there whole."""
        return Supports(restore=frozenset(("tables",)), one_table=True)

    def estimate(self) -> int:
        """The size of the file and its log: the copy holds the pages of both, some of them once only."""
        require_database_file(self.options.path)
        size = self.options.path.stat().st_size
        with contextlib.suppress(FileNotFoundError):
            size += Path(os.path.realpath(self.options.path) + "-wal").stat().st_size
        return size

    def probe(self) -> Probe:
        """Take a read lock for a moment; the journal mode."""
        options = self._capture_options
        options = replace(options, busy_timeout_s=min(5.0, options.busy_timeout_s))
        text = probe_database(self.options.path, options)
        return Probe(
            text, self.estimate(), [*([] if self.options.digests is None else [_UNUSED]), *self._not_loaded()]
        )

    def _not_loaded(self) -> list[Finding]:
        refused = unloadable(self.options.load_extension)
        return [not_loaded(path, why, blocking=False) for path, why in refused.items()]

    def capture(self, into: Path, context: CaptureContext) -> Captured:
        """A plain database file that SQLite opens, consistent at one moment; see `capture`."""
        asked = self._is_dear_to_look_at and context.suspected()
        copied = capture_database(
            self.options.path,
            into,
            replace(self._capture_options, asked=asked),
            self.clock,
            context.progress,
        )
        context.file_done(into, copied.file)
        return self._measured(copied, into, context.progress)

    @property
    def _capture_options(self) -> CaptureOptions:
        return CaptureOptions(
            busy_timeout_s=self.options.busy_timeout.total_seconds(),
            foreign_keys=self.options.foreign_keys,
            other_names=self.options.other_names,
            extensions=self.options.load_extension,
        )

    def _measured(self, copied: Copied, payload: Path, progress: Progress) -> Captured:
        """With rows and schema of the copy."""
        progress.step("measuring rows")
        extensions = self.options.load_extension
        require_size(payload, copied.file)
        try:
            measures = copied.measures or measure_database(payload, extensions)
            refused = countable_tables(payload, extensions).refused
        except SourceError as error:
            require_as_written(payload, copied.file)
            # The copy is the source's content, and gone in a moment: the source is what must be looked at.
            message = error.message.replace(str(payload), self.info.location)
            raise SourceError(message, code=error.code, hint=error.hint) from error
        said = [replace(item, severity=Severity.WARNING, blocking=False) for item in copied.complaints]
        extra = complaints_document(said)
        said += [*self._not_loaded(), *(not_counted(name, why) for name, why in refused.items())]
        return Captured((copied.file,), copied.data_as_of, copied.method, measures, extra, tuple(said))

    @property
    def _is_dear_to_look_at(self) -> bool:
        """Whether it is so large that its capture looks at all of it only where something may be wrong with it."""
        with contextlib.suppress(OpsError):
            return self.estimate() > ALWAYS_UP_TO
        return False

    def inspect(self, payload: Payload) -> list[Finding]:
        """Header and `quick_check`."""
        return check_database(
            payload.path, Level.QUICK, self.options.foreign_keys, self.options.load_extension
        )

    def load(self, payload: Payload, context: LoadContext) -> contextlib.AbstractContextManager[SqliteCopy]:
        """The payload is the database: it is opened, and its schema read, where an application would."""
        return opened_copy(payload.path, self.options)

    def require_loadable(self, manifest: Manifest) -> tuple[()]:
        """Python brings SQLite along."""
        return ()

    def room_to_load(self, manifest: Manifest) -> int:
        """The payload and a tenth more."""
        return room_to_restore(manifest.size)

    @contextlib.contextmanager
    def target(self, to: str | None) -> Iterator[SqliteTarget]:
        """A file, behind symbolic links: what is swapped must be the file, not a link to it."""
        path = real_path(self.options.path if to is None else to)
        if path.is_dir():
            message = f"{path} is a folder; name the file to restore to"
            raise RefusedError(message, code="refused.target_occupied")
        yield SqliteTarget(path, self.options, replace(self, options=replace(self.options, path=path)))

    def same_place(self, location: str) -> bool:
        """Whether that is this database file, by device and inode, or by real path if it is not there."""
        return is_same_path(self.options.path, location)
