"""The source driver of the kind `sqlite`: what its table in `ops.toml` may hold, and the port's verbs."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

from ops.model import Captured, Finding, Level, Loaded, Measures, SourceInfo
from ops.progress import Progress
from ops.sources.sqlite import promote, questions
from ops.sources.sqlite.capture import CaptureOptions, capture_database, probe_database
from ops.sources.sqlite.check import ForeignKeys, check_database
from ops.sources.sqlite.connection import connect_still, require_database_file, translated_errors
from ops.sources.sqlite.measures import measure_database
from ops.sources.sqlite.tables import replace_table


@dataclass(frozen=True, slots=True, kw_only=True)
class SqliteOptions:
    """What the table of an SQLite source may say beside what every source may.

    `path`: the database file. `busy_timeout`: how long to wait for a lock. `digests`: whether backups carry a
    content digest of each table beside its row count. `foreign_keys`: whether a reference to a row that is
    not there fails a drill (`check`), is only shown (`warn`), or is not looked for (`ignore`).
    """

    path: Path
    busy_timeout: timedelta = timedelta(seconds=30)
    digests: bool = True
    foreign_keys: ForeignKeys = "check"


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
    def base_and_suffix(self) -> tuple[str, str]:
        """Names are `backup-<time>.db`."""
        return "backup", ".db"

    def estimate(self) -> int:
        """The size of the file and its log: the copy holds the pages of both, some of them once only."""
        require_database_file(self.options.path)
        size = self.options.path.stat().st_size
        with contextlib.suppress(FileNotFoundError):
            size += Path(os.path.realpath(self.options.path) + "-wal").stat().st_size
        return size

    def probe(self) -> str:
        """Take a read lock for a moment; the journal mode."""
        return probe_database(
            self.options.path, timeout_s=min(5.0, self.options.busy_timeout.total_seconds())
        )

    def capture(self, into: Path, progress: Progress) -> Captured:
        """A plain database file that SQLite opens, consistent at one moment; see `capture`."""
        options = CaptureOptions(busy_timeout_s=self.options.busy_timeout.total_seconds())
        return capture_database(self.options.path, into, options, self.clock, progress)

    def measure(self, copy: Path, *, like: Measures | None = None) -> Measures:
        """Rows, digests and header facts of the database file `copy`."""
        digests = self.options.digests if like is None else like.digest_algorithm is not None
        return measure_database(copy, digests=digests)

    def check(self, copy: Path, level: Level) -> list[Finding]:
        """What SQLite's own checks find in `copy`."""
        return check_database(copy, level, self.options.foreign_keys)

    def load(self, payload: Path, folder: Path) -> Loaded:
        """The payload is the database: it is opened, and its schema read, where an application would."""
        with translated_errors(payload, "opening"), contextlib.closing(connect_still(payload)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        return Loaded(folder, payload)

    def live_target(self) -> Path:
        """The file itself, behind symbolic links."""
        return Path(os.path.realpath(self.options.path))

    def same_place(self, target: Path) -> bool:
        """Whether `target` is this database file, by device and inode, or by real path if it is not there."""
        try:
            return target.samefile(self.options.path)
        except OSError:
            return os.path.realpath(target) == os.path.realpath(self.options.path)

    def at(self, target: Path) -> SqliteSource:
        """The same source with its database at `target`."""
        return replace(self, options=replace(self.options, path=target))

    def require_idle(self, target: Path) -> None:
        """Raise RefusedError when another process has `target` open."""
        promote.require_idle(target)

    def settle(self, target: Path) -> None:
        """Have SQLite roll back a hot journal."""
        promote.settle(target)

    def change_mark(self, target: Path) -> str | None:
        """A value that differs after any committed change."""
        return promote.change_mark(target)

    def keep_damaged(self, target: Path, stamp: str) -> tuple[Path, str]:
        """Keep an unusable database file with its log under another name."""
        return promote.keep_damaged(target, stamp)

    def promote(
        self, built: Path, target: Path, *, unchanged_since: str | None, damaged: bool
    ) -> Sequence[Finding]:
        """Swap `built` in; see `promote`."""
        return promote.promote_file(built, target, unchanged_since=unchanged_since, damaged=damaged)

    def replace_table(self, backup: Path, target: Path, table: str) -> Sequence[Finding]:
        """Replace one table; see `tables`."""
        return replace_table(backup, target, table, timeout_s=self.options.busy_timeout.total_seconds())

    def count_rows(self, copy: Path, table: str) -> int:
        """Rows of `table`."""
        return questions.count_rows(copy, table)

    def newest(self, copy: Path, column: str) -> object:
        """The greatest value of `table.column`."""
        return questions.newest(copy, column)

    def query(self, copy: Path, sql: str) -> list[tuple[object, ...]]:
        """The rows of one read-only statement."""
        return questions.answer(copy, sql)
