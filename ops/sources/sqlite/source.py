"""The source driver of the kind `sqlite`: what its table in `ops.toml` may hold, and the port's verbs."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar, Final

from ops.driverkit.as_written import require_as_written, require_size
from ops.driverkit.path_place import identify_path, path_whereabouts
from ops.errors import ConfigError, OpsError, RefusedError, SourceError
from ops.fsio.space import require_room_to_restore, room_to_restore
from ops.model.complaints import complaints_document
from ops.model.evidence import Level
from ops.model.findings import Finding, Severity
from ops.model.manifest import Captured, Copied, Fetched, Manifest, SourceInfo
from ops.model.requests import KeptTarget, RestoreOptions
from ops.model.series import Identified, Whereabouts
from ops.ports.source import Copy, Probe
from ops.run.progress import Progress
from ops.sources.sqlite import swap as promote
from ops.sources.sqlite.capture import CaptureOptions, capture_database, probe_database
from ops.sources.sqlite.check import check_database
from ops.sources.sqlite.complain import ForeignKeys, not_loaded
from ops.sources.sqlite.connection import (
    connect_still,
    require_database_file,
    translated_errors,
    unloadable,
)
from ops.sources.sqlite.copy import SqliteCopy
from ops.sources.sqlite.look import ALWAYS_UP_TO
from ops.sources.sqlite.measures import countable_tables, measure_database, not_counted
from ops.sources.sqlite.other_names import OtherNames
from ops.sources.sqlite.restore_table import has_tables, replace_table, replaceable

_UNUSED: Final = Finding(
    severity=Severity.OK,
    code="config.unused",
    message="digests has no effect any more: the SHA-256 of the file covers every row. Remove the line",
    where="digests",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SqliteOptions:
    """What the table of an SQLite source may say beside what every source may.

    `path`: the database file. `busy_timeout`: how long to wait for a lock. `foreign_keys`: whether a reference to a row that
    is not there fails a drill (`check`), is only shown (`warn`), or is not looked for (`ignore`). `load_extension`: shared
    libraries that SQLite loads, so that what needs their modules, functions or collations can be checked. `other_names`: whether a
    file in WAL mode with a second name is refused, since its log may lie beside that. `digests`: of earlier versions; it is
    read and has no effect.
    """

    path: Path
    busy_timeout: timedelta = timedelta(seconds=30)
    load_extension: tuple[Path, ...] = ()
    other_names: OtherNames = "refuse"
    digests: bool | None = None
    foreign_keys: ForeignKeys = "check"

    @classmethod
    def of_location(cls, location: str) -> SqliteOptions:
        """Default options for the database file at `location`."""
        return cls(path=Path(location))


@dataclass(frozen=True, slots=True)
class SqliteSource:
    """One SQLite database file. `asked`: its capture looks at all of the source, whatever its size."""

    name: str
    options: SqliteOptions
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    asked: bool = False

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
    def payload_is_folder(self) -> bool:
        """A payload is one file."""
        return False

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

    def probe(self) -> Probe:
        """Take a read lock for a moment; the journal mode."""
        options = self._capture_options
        options = replace(options, busy_timeout_s=min(5.0, options.busy_timeout_s))
        text = probe_database(self.options.path, options)
        return Probe(text, [*([] if self.options.digests is None else [_UNUSED]), *self._not_loaded()])

    def _not_loaded(self) -> list[Finding]:
        refused = unloadable(self.options.load_extension)
        return [not_loaded(path, why, blocking=False) for path, why in refused.items()]

    def capture(self, into: Path, progress: Progress) -> Captured:
        """A plain database file that SQLite opens, consistent at one moment; see `capture`."""
        return self.measure(self.copy(into, progress), into, progress)

    def copy(self, into: Path, progress: Progress) -> Copied:
        """The file alone."""
        return capture_database(self.options.path, into, self._capture_options, self.clock, progress)

    @property
    def _capture_options(self) -> CaptureOptions:
        return CaptureOptions(
            busy_timeout_s=self.options.busy_timeout.total_seconds(),
            foreign_keys=self.options.foreign_keys,
            asked=self.asked,
            other_names=self.options.other_names,
            extensions=self.options.load_extension,
        )

    def measure(self, copied: Copied, payload: Path, progress: Progress) -> Captured:
        """Rows and schema of the copy."""
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
    def is_dear_to_look_at(self) -> bool:
        """Whether it is so large that its capture looks at all of it only when it is asked to."""
        with contextlib.suppress(OpsError):
            return self.estimate() > ALWAYS_UP_TO
        return False

    def looked_at(self) -> SqliteSource:
        """The same source, whose capture looks at all of it."""
        return replace(self, asked=True)

    def inspect(self, payload: Path, manifest: Manifest) -> list[Finding]:
        """Header and `quick_check`."""
        return check_database(payload, Level.QUICK, self.options.foreign_keys, self.options.load_extension)

    @contextlib.contextmanager
    def load(self, fetched: Fetched, progress: Progress) -> Iterator[SqliteCopy]:
        """The payload is the database: it is opened, and its schema read, where an application would."""
        payload = fetched.payload
        with translated_errors(payload, "opening"), contextlib.closing(connect_still(payload)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        yield SqliteCopy(payload, self.options.foreign_keys, self.options.load_extension)

    def require_loadable(self, manifest: Manifest) -> tuple[()]:
        """Python brings SQLite along."""
        return ()

    def room_to_load(self, manifest: Manifest) -> int:
        """The payload and a tenth more."""
        return room_to_restore(manifest.size)

    def target_of(self, to: str | None) -> str:
        """A file, behind symbolic links: what is swapped must be the file, not a link to it."""
        target = Path(os.path.realpath(self.options.path if to is None else to))
        if target.is_dir():
            message = f"{target} is a folder; name the file to restore to"
            raise RefusedError(message, code="refused.target_occupied")
        return str(target)

    def is_there(self, target: str) -> bool:
        """Whether the file exists."""
        return Path(target).exists()

    def same_place(self, target: str) -> bool:
        """Whether `target` is this database file, by device and inode, or by real path if it is not there."""
        try:
            return Path(target).samefile(self.options.path)
        except OSError:
            return os.path.realpath(target) == os.path.realpath(self.options.path)

    def at(self, target: str) -> SqliteSource:
        """The same source with its database at `target`."""
        return replace(self, options=replace(self.options, path=Path(target)))

    def plan(self, target: str, manifest: Manifest, options: RestoreOptions, safety: str) -> Sequence[str]:
        """The steps, for a new file, an existing one, or one table."""
        _require_possible(options)
        build = f"build {manifest.payload} beside {target} and verify it: checksum, integrity and row counts"
        keep = f"keep what is there as a safety backup in {safety}"
        if not self.is_there(target):
            return [build, f"publish it as {target}"]
        if options.tables:
            return [build, keep, f"replace table {options.tables[0]} in one transaction"]
        refuse = "refuse if another process has it open"
        return [refuse, build, keep, f"swap {target} in one step", "print the command that undoes it"]

    def prepare(self, target: str, manifest: Manifest, options: RestoreOptions) -> Sequence[Finding]:
        """The folder is there and has room; nobody has the file open; a table has a file to go into."""
        _require_possible(options)
        place = Path(target)
        if not options.tables:
            promote.require_idle(place)
        if not place.parent.is_dir():
            hint = "make it first, with the owner it needs"
            raise RefusedError(f"folder {place.parent} is not there", hint=hint)
        if not options.tables:
            promote.require_replaceable(place)
        if options.tables and not place.exists():
            raise RefusedError(f"{target} is not there: one table needs a database to go into")
        require_room_to_restore(place.parent, manifest.size)
        return []

    def build_folder(self, target: str, scratch: Path) -> Path:
        """The target's own folder: a rename needs one file system."""
        return Path(target).parent

    def build(
        self, fetched: Fetched, target: str, options: RestoreOptions, progress: Progress
    ) -> contextlib.AbstractContextManager[SqliteCopy]:
        """The payload itself is what will be renamed; it has the table that is asked for."""
        for table in options.tables:
            replaceable(fetched.payload, table)
        return self.load(fetched, progress)

    def settle(self, target: str) -> None:
        """Have SQLite roll back a hot journal."""
        promote.settle(Path(target))

    def change_mark(self, target: str) -> str | None:
        """A value that differs after any committed change."""
        return promote.change_mark(Path(target))

    def keep_damaged(self, target: str, stamp: str) -> tuple[str, str]:
        """Keep an unusable database file with its log under another name."""
        kept, undo = promote.keep_damaged(Path(target), stamp)
        return str(kept), undo

    def promote(self, built: Copy, target: str, kept: KeptTarget) -> Sequence[Finding]:
        """Swap `built` in; see `promote`."""
        damaged = kept.damaged is not None
        return promote.promote_file(
            Path(built.place), Path(target), unchanged_since=kept.mark, damaged=damaged
        )

    def has_tables(self, target: str, tables: Sequence[str]) -> bool:
        """Asked of the file as it is now."""
        return has_tables(Path(target), tables, timeout_s=self.options.busy_timeout.total_seconds())

    def replace_tables(self, built: Copy, target: str, options: RestoreOptions) -> Sequence[Finding]:
        """Replace one table; see `tables`."""
        timeout_s = self.options.busy_timeout.total_seconds()
        return replace_table(
            Path(built.place),
            Path(target),
            options.tables[0],
            timeout_s=timeout_s,
            extensions=self.options.load_extension,
        )


def _require_possible(options: RestoreOptions) -> None:
    """Raise ConfigError for what an SQLite restore does not know."""
    asked = [
        flag
        for flag, given in (
            ("--schema-only", options.schema_only),
            ("--no-owner", options.no_owner),
            ("--no-acl", options.no_acl),
            ("--truncate (a table is replaced whole)", options.truncate),
        )
        if given
    ]
    if len(options.tables) > 1:
        asked.append("more than one --table")
    if asked:
        raise ConfigError(f"kind 'sqlite' has no {' and no '.join(asked)}", code="usage.bad_value")
