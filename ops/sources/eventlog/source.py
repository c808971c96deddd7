"""The kind `eventlog`: the driver between the ports and what a log is."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar, Final

from ops.driverkit.path_place import identify_path, path_whereabouts
from ops.errors import BackupError, ConfigError, RefusedError, SourceError
from ops.fsio.scratch import remove_stale_scratch
from ops.fsio.space import require_room_to_restore, room_to_restore
from ops.model.findings import Finding
from ops.model.manifest import Captured, Fetched, Manifest, SourceInfo
from ops.model.requests import KeptTarget, RestoreOptions
from ops.model.series import Identified, Whereabouts
from ops.ports.source import Copy, Probe
from ops.run.progress import Progress
from ops.sources.eventlog import swap as promote
from ops.sources.eventlog.archive.inspect import inspect_archive, unpack
from ops.sources.eventlog.archive.shared_segments import Sharing, members_of, sharing_with
from ops.sources.eventlog.capture import capture_log
from ops.sources.eventlog.chain.continuity import FormerLog, read_former
from ops.sources.eventlog.copy import UNDECIDED, LogCopy
from ops.sources.eventlog.log.layout import SNAPSHOT
from ops.sources.eventlog.log.live_reader import list_log
from ops.sources.eventlog.log.log import read_log, segment_files
from ops.units import format_stamp

_ABOUT_A_FILE: Final = 1024
_FOLDER_FOR_A_LOG: Final = "log"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventLogOptions:
    """What the table of an event log may say beside what every source may.

    `path`: the data folder that holds `event-log/`. `incremental`: whether segments that an earlier backup in the same
    store holds unchanged are left to it. `full_every`: how old the oldest backup may be that a new one needs.
    `retention_segments`: how many segments the program keeps when it prunes, which tells a pruned log from a cut one.
    """

    path: Path
    incremental: bool = False
    full_every: timedelta = timedelta(days=30)
    retention_segments: int | None = None


@dataclass(frozen=True, slots=True)
class EventLogSource:
    """One log in its data folder.

    `former`: what the last backup recorded of it, where that is known. `sharing`: what a capture leaves to others.
    `needed`: what a backup left to others, fetched.
    """

    name: str
    options: EventLogOptions
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    former: FormerLog | None = None
    sharing: Sharing = field(default_factory=Sharing)
    needed: Sequence[Fetched] = ()

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
    def payload_is_folder(self) -> bool:
        """A payload is one archive."""
        return False

    @property
    def base_and_suffix(self) -> tuple[str, str]:
        """Names are `backup-eventlog-<time>.tar.gz`."""
        return "backup-eventlog", ".tar.gz"

    def after(self, former: Manifest, restored: Manifest | None = None) -> EventLogSource:
        """Return the same, whose capture is compared with what those backups recorded."""
        known = read_former(former.payload, former.extra.get("eventlog"))
        if known is not None and restored is not None:
            known = replace(known, restored=read_former(restored.payload, restored.extra.get("eventlog")))
        return replace(self, former=known)

    @property
    def full_every(self) -> timedelta | None:
        """As configured; None where backups are not incremental."""
        return self.options.full_every if self.options.incremental else None

    def building_on(self, base: Manifest) -> EventLogSource:
        """The same, whose capture leaves out segments that `base` recorded as they still are."""
        try:
            return replace(self, sharing=sharing_with(base))
        except BackupError:
            return self

    def with_needed(self, needed: Sequence[Fetched]) -> EventLogSource:
        """The same, which reads these archives beside the backup's own."""
        return replace(self, needed=needed)

    def estimate(self) -> int:
        """The size of all files, and a KiB each for header and record: packed they take a fifth of that."""
        place = self.options.path
        files = (*segment_files(place).values(), place / SNAPSHOT)
        return sum(_size_of(file) + _ABOUT_A_FILE for file in files)

    def probe(self) -> Probe:
        """How many segments there are; raises SourceError when there is no log."""
        numbers, _ = list_log(self.options.path)
        return Probe("1 segment" if len(numbers) == 1 else f"{len(numbers)} segments")

    def capture(self, into: Path, progress: Progress) -> Captured:
        """One archive of a set of files that existed at one moment, every event of it checked."""
        return capture_log(
            self.options.path,
            into,
            self.former,
            self.sharing,
            self.options.retention_segments,
            self.clock,
            progress,
        )

    def inspect(self, payload: Path, manifest: Manifest) -> list[Finding]:
        """The archive read through once: every member as recorded, and the chain."""
        return inspect_archive(payload, manifest, self.needed)

    @contextlib.contextmanager
    def load(self, fetched: Fetched, progress: Progress) -> Iterator[LogCopy]:
        """The log unpacked, each file as recorded, and its chain walked."""
        folder = fetched.folder / _FOLDER_FOR_A_LOG
        progress.step("unpacking the log", fetched.manifest.size)
        unpack(fetched.payload, folder, fetched.manifest, self.needed)
        progress.step("checking the chain")
        was_broken = str(fetched.manifest.measures.facts.get("first_broken", ""))
        yield LogCopy(read_log(folder), was_broken, bool(fetched.manifest.extra.get(UNDECIDED)))

    def require_loadable(self, manifest: Manifest) -> tuple[()]:
        """Nothing but Python is needed."""
        return ()

    def room_to_load(self, manifest: Manifest) -> int:
        """The archive, what is in it, and a tenth more."""
        return room_to_restore(manifest.size + sum(entry.size for entry in members_of(manifest).values()))

    def target_of(self, to: str | None) -> str:
        """A data folder, behind symbolic links."""
        target = Path(os.path.realpath(self.options.path if to is None else to))
        if target.exists() and not target.is_dir():
            message = f"{target} is no folder; name the data folder to restore to"
            raise RefusedError(message, code="refused.target_occupied")
        return str(target)

    def is_there(self, target: str) -> bool:
        """Whether there is anything of a log."""
        return promote.is_there(Path(target))

    def same_place(self, target: str) -> bool:
        """Whether `target` is this log's data folder, by identity, or by real path if it is not there."""
        try:
            return Path(target).samefile(self.options.path)
        except OSError:
            return os.path.realpath(target) == os.path.realpath(self.options.path)

    def at(self, target: str) -> EventLogSource:
        """The same source with its log at `target`, and no former backup."""
        return EventLogSource(self.name, replace(self.options, path=Path(target)), self.clock)

    def plan(self, target: str, manifest: Manifest, options: RestoreOptions, safety: str) -> Sequence[str]:
        """The steps, for an empty data folder and for one that holds a log."""
        _require_possible(options)
        build = f"unpack {manifest.payload} beside {target} and walk its chain"
        if not self.is_there(target):
            return [build, f"put it into {target}"]
        keep = f"keep what is there as a safety backup in {safety}, and as it is beside the new log"
        return [build, keep, f"exchange the log in {target} in one step", "print the command that undoes it"]

    def prepare(self, target: str, manifest: Manifest, options: RestoreOptions) -> Sequence[Finding]:
        """The folder, or the one that it will be in, is there and has room."""
        _require_possible(options)
        place = Path(target)
        # A run that was killed may have built beside a folder that was not there yet, and is now.
        remove_stale_scratch(place.parent)
        if not (place.is_dir() or place.parent.is_dir()):
            hint = "make it first, with the owner it needs"
            raise RefusedError(f"folder {place.parent} is not there", hint=hint)
        require_room_to_restore(place if place.is_dir() else place.parent, self.room_to_load(manifest))
        return []

    def build_folder(self, target: str, scratch: Path) -> Path:
        """The data folder, or the one around it: a rename needs one file system."""
        place = Path(target)
        return place if place.is_dir() else place.parent

    def build(
        self, fetched: Fetched, target: str, options: RestoreOptions, progress: Progress
    ) -> contextlib.AbstractContextManager[LogCopy]:
        """What is unpacked is what will be renamed."""
        return self.load(fetched, progress)

    def settle(self, target: str) -> None:
        """Nothing: what an interrupted write left is ignored by the program and by us."""

    def change_mark(self, target: str) -> str | None:
        """A value that differs after any append."""
        return promote.change_mark(Path(target))

    def keep_damaged(self, target: str, stamp: str) -> tuple[str, str]:
        """A copy of the files as they are."""
        kept, undo = promote.keep_damaged(Path(target), stamp)
        return str(kept), undo

    def promote(self, built: Copy, target: str, kept: KeptTarget) -> Sequence[Finding]:
        """Exchange the log; see `promote`."""
        stamp = format_stamp(self.clock())
        return promote.promote_log(Path(built.place), Path(target), stamp, unchanged_since=kept.mark)

    def has_tables(self, target: str, tables: Sequence[str]) -> bool:
        """A log has none."""
        return False

    def replace_tables(self, built: Copy, target: str, options: RestoreOptions) -> Sequence[Finding]:
        """A part of a chain is no log."""
        raise SourceError("a log has no tables that could be restored alone")


def _size_of(path: Path) -> int:
    """Bytes of a file; none when pruning has just removed it."""
    try:
        return path.lstat().st_size
    except OSError:
        return 0


def _require_possible(options: RestoreOptions) -> None:
    """Raise ConfigError for what a restore of a log does not know."""
    asked: Mapping[str, object] = {
        "--table": options.tables,
        "--truncate": options.truncate,
        "--schema-only": options.schema_only,
        "--no-owner": options.no_owner,
        "--no-acl": options.no_acl,
    }
    given = [flag for flag, value in asked.items() if value]
    if given:
        raise ConfigError(f"kind 'eventlog' has no {' and no '.join(given)}", code="usage.bad_value")
