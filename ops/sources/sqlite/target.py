"""The database file that a restore replaces or makes."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from ops.driverkit.path_target import PathTarget, require_parent
from ops.errors import RefusedError
from ops.model.findings import Finding
from ops.model.manifest import Manifest, Payload
from ops.model.requests import KeptTarget, RestoreOptions
from ops.ports.source import Copy, Source
from ops.run.progress import Progress
from ops.sources.sqlite import swap
from ops.sources.sqlite.copy import SqliteCopy, opened_copy
from ops.sources.sqlite.options import SqliteOptions
from ops.sources.sqlite.restore_table import has_tables, replace_table, replaceable


@dataclass(frozen=True, slots=True)
class SqliteTarget(PathTarget):
    """A database file; `there`: the source that a backup of it is taken as."""

    options: SqliteOptions
    there: Source

    def source(self) -> Source:
        """Return the source with its database here."""
        return self.there

    def plan(self, manifest: Manifest, options: RestoreOptions, safety: str) -> Sequence[str]:
        """Return the steps, for a new file, an existing one, or one table."""
        place = self.location
        build = f"build {manifest.payload} beside {place} and verify it: checksum, integrity and row counts"
        keep = f"keep what is there as a safety backup in {safety}"
        if not self.exists():
            return [build, f"publish it as {place}"]
        if options.tables:
            return [build, keep, f"replace table {options.tables[0]} in one transaction"]
        refuse = "refuse if another process has it open"
        return [refuse, build, keep, f"swap {place} in one step", "print the command that undoes it"]

    def check(self, manifest: Manifest, options: RestoreOptions) -> Sequence[Finding]:
        """Return when the folder is there and has room, nobody has the file open, and a table has a file to go into."""
        if not options.tables:
            swap.require_idle(self.path)
        require_parent(self.path)
        if not options.tables:
            swap.require_replaceable(self.path)
        if options.tables and not self.exists():
            raise RefusedError(f"{self.location} is not there: one table needs a database to go into")
        self.require_room(manifest.size)
        return []

    def build(
        self, payload: Payload, options: RestoreOptions, progress: Progress
    ) -> AbstractContextManager[SqliteCopy]:
        """Yield the payload itself: it is what will be renamed, and has the table that is asked for."""
        del progress
        for table in options.tables:
            replaceable(payload.path, table)
        return opened_copy(payload.path, self.options)

    def settle(self) -> None:
        """Have SQLite roll back a hot journal."""
        swap.settle(self.path)

    def change_mark(self) -> str | None:
        """Return a value that differs after any committed change."""
        return swap.change_mark(self.path)

    def keep_damaged(self, stamp: str) -> tuple[str, str]:
        """Keep an unusable database file with its log under another name."""
        kept, undo = swap.keep_damaged(self.path, stamp)
        return str(kept), undo

    def swap(self, built: Copy, kept: KeptTarget) -> Sequence[Finding]:
        """Swap `built` in; see `swap`."""
        damaged = kept.damaged is not None
        return swap.swap_file(Path(built.place), self.path, unchanged_since=kept.mark, damaged=damaged)

    def has_tables(self, tables: Sequence[str]) -> bool:
        """Return whether the file as it is now has them all."""
        return has_tables(self.path, tables, timeout_s=self._timeout_s)

    def replace_tables(self, built: Copy, options: RestoreOptions) -> Sequence[Finding]:
        """Replace one table; see `restore_table`."""
        return replace_table(
            Path(built.place),
            self.path,
            options.tables[0],
            timeout_s=self._timeout_s,
            extensions=self.options.load_extension,
        )

    @property
    def _timeout_s(self) -> float:
        return self.options.busy_timeout.total_seconds()
