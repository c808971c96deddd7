"""The data folder whose log a restore replaces or makes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ops.driverkit.path_target import PathTarget, require_parent
from ops.errors import SourceError
from ops.fsio.scratch import remove_stale_scratch
from ops.model.findings import Finding
from ops.model.manifest import Manifest, Payload
from ops.model.requests import KeptTarget, RestoreOptions
from ops.ports.source import Copy, Source
from ops.run.progress import Progress
from ops.sources.eventlog import swap
from ops.sources.eventlog.copy import LogCopy
from ops.sources.eventlog.load import loaded_log, room_to_load
from ops.units import format_stamp


@dataclass(frozen=True, slots=True)
class LogTarget(PathTarget):
    """A data folder; `there`: the source that a backup of it is taken as."""

    there: Source
    clock: Callable[[], datetime]

    def exists(self) -> bool:
        """Return whether there is anything of a log."""
        return swap.is_there(self.path)

    def source(self) -> Source:
        """Return the source with its log here."""
        return self.there

    def plan(self, manifest: Manifest, options: RestoreOptions, safety: str) -> Sequence[str]:
        """Return the steps, for an empty data folder and for one that holds a log."""
        place = self.location
        build = f"unpack {manifest.payload} beside {place} and walk its chain"
        if not self.exists():
            return [build, f"put it into {place}"]
        keep = f"keep what is there as a safety backup in {safety}, and as it is beside the new log"
        return [build, keep, f"exchange the log in {place} in one step", "print the command that undoes it"]

    def check(self, manifest: Manifest, options: RestoreOptions) -> Sequence[Finding]:
        """Return when the folder, or the one that it will be in, is there and has room."""
        # A run that was killed may have built beside a folder that was not there yet, and is now.
        remove_stale_scratch(self.path.parent)
        if not self.path.is_dir():
            require_parent(self.path)
        self.require_room(room_to_load(manifest))
        return []

    def build_folder(self, scratch: Path) -> Path:
        """Return the data folder, or the one around it: a rename needs one file system."""
        return self.path if self.path.is_dir() else self.path.parent

    def build(
        self, payload: Payload, options: RestoreOptions, progress: Progress
    ) -> AbstractContextManager[LogCopy]:
        """Yield what is unpacked: it is what will be renamed."""
        return loaded_log(payload, progress)

    def settle(self) -> None:
        """Do nothing: what an interrupted write left is ignored by the program and by us."""

    def change_mark(self) -> str | None:
        """Return a value that differs after any append."""
        return swap.change_mark(self.path)

    def keep_damaged(self, stamp: str) -> tuple[str, str]:
        """Keep a copy of the files as they are."""
        kept, undo = swap.keep_damaged(self.path, stamp)
        return str(kept), undo

    def swap(self, built: Copy, kept: KeptTarget) -> Sequence[Finding]:
        """Exchange the log; see `swap`."""
        return swap.swap_log(
            Path(built.place), self.path, format_stamp(self.clock()), unchanged_since=kept.mark
        )

    def has_tables(self, tables: Sequence[str]) -> bool:
        """Return false: a log has none."""
        return False

    def replace_tables(self, built: Copy, options: RestoreOptions) -> Sequence[Finding]:
        """Raise SourceError: a part of a chain is not a log."""
        raise SourceError("a log has no tables that could be restored alone")
