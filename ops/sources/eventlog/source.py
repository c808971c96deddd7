"""The kind `eventlog`: the driver between the ports and what a log is."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar, Final

from ops.driverkit.path_target import identify_path, is_same_path, path_whereabouts, real_path
from ops.errors import BackupError, RefusedError
from ops.model.findings import Finding
from ops.model.manifest import Captured, Manifest, Payload, SourceInfo
from ops.model.series import Identified, Whereabouts
from ops.ports.source import CaptureContext, Form, LoadContext, Probe, Supports
from ops.sources.eventlog.archive.inspect import inspect_archive
from ops.sources.eventlog.archive.shared_segments import Sharing, sharing_with
from ops.sources.eventlog.capture import capture_log
from ops.sources.eventlog.chain.continuity import FormerLog, read_former
from ops.sources.eventlog.copy import LogCopy
from ops.sources.eventlog.load import loaded_log, room_to_load
from ops.sources.eventlog.log.layout import SNAPSHOT
from ops.sources.eventlog.log.live_reader import list_log
from ops.sources.eventlog.log.log import segment_files
from ops.sources.eventlog.options import EventLogOptions
from ops.sources.eventlog.target import LogTarget

_ABOUT_A_FILE: Final = 1024


@dataclass(frozen=True, slots=True)
class EventLogSource:
    """One log in its data folder."""

    name: str
    options: EventLogOptions
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)

    kind: ClassVar[str] = "eventlog"
    options_type: ClassVar[type[EventLogOptions]] = EventLogOptions

    @property
    def info(self) -> SourceInfo:
        """Name, kind and the data folder."""
        return SourceInfo(self.name, self.kind, str(self.options.path))

    @property
    def scope(self) -> str:
        """Always the whole log."""
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
        """One archive, `backup-eventlog-<time>.tar.gz`."""
        return Form("backup-eventlog", ".tar.gz")

    @property
    def supports(self) -> Supports:
        """Each backup continues its former, and where it is incremental, leaves to it what is there already."""
        return Supports(
            continues=True, full_every=self.options.full_every if self.options.incremental else None
        )

    def estimate(self) -> int:
        """The size of all files, and a KiB each for header and record: packed they take a fifth of that."""
        place = self.options.path
        files = (*segment_files(place).values(), place / SNAPSHOT)
        return sum(_size_of(file) + _ABOUT_A_FILE for file in files)

    def probe(self) -> Probe:
        """How many segments there are; raises SourceError when there is no log."""
        numbers, _ = list_log(self.options.path)
        return Probe("1 segment" if len(numbers) == 1 else f"{len(numbers)} segments", self.estimate())

    def capture(self, into: Path, context: CaptureContext) -> Captured:
        """One archive of a set of files that existed at one moment, every event of it checked."""
        captured = capture_log(
            self.options.path,
            into,
            _former(context),
            _sharing(context.base),
            self.options.retention_segments,
            self.clock,
            context.progress,
        )
        context.file_done(into, captured.files[0])
        return captured

    def inspect(self, payload: Payload) -> list[Finding]:
        """The archive read through once: every member as recorded, and the chain."""
        return inspect_archive(payload)

    def load(self, payload: Payload, context: LoadContext) -> contextlib.AbstractContextManager[LogCopy]:
        """The log unpacked, each file as recorded, and its chain walked."""
        return loaded_log(payload, context.progress)

    def require_loadable(self, manifest: Manifest) -> tuple[()]:
        """Nothing but Python is needed."""
        return ()

    def room_to_load(self, manifest: Manifest) -> int:
        """The archive, what is in it, and a tenth more."""
        return room_to_load(manifest)

    @contextlib.contextmanager
    def target(self, to: str | None) -> Iterator[LogTarget]:
        """A data folder, behind symbolic links."""
        path = real_path(self.options.path if to is None else to)
        if path.exists() and not path.is_dir():
            message = f"{path} is not a folder; name the data folder to restore to"
            raise RefusedError(message, code="refused.target_occupied")
        yield LogTarget(path, replace(self, options=replace(self.options, path=path)), self.clock)

    def same_place(self, location: str) -> bool:
        """Whether that is this log's data folder, by identity, or by real path if it is not there."""
        return is_same_path(self.options.path, location)


def _former(context: CaptureContext) -> FormerLog | None:
    """What the previous backup recorded of the log, where that is known, and the one that a restore put in its place."""
    if context.previous is None:
        return None
    known = read_former(context.previous.payload, context.previous.extra.get("eventlog"))
    if known is None or (restored := context.restored) is None:
        return known
    return replace(known, restored=read_former(restored.payload, restored.extra.get("eventlog")))


def _sharing(base: Manifest | None) -> Sharing:
    """What can be left to others: segments that `base` recorded as they still are."""
    with contextlib.suppress(BackupError):
        return Sharing() if base is None else sharing_with(base)
    return Sharing()


def _size_of(path: Path) -> int:
    """Bytes of a file; none when pruning has just removed it."""
    try:
        return path.lstat().st_size
    except OSError:
        return 0
