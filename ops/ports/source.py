"""What a kind of source promises: it is captured, inspected, loaded, and where it can be, restored.

A kind never learns about stores, reports or retention.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Protocol, runtime_checkable

from ops.model.findings import Finding
from ops.model.manifest import Captured, FileEntry, Manifest, Measures, Payload
from ops.model.requests import KeptTarget, Part, RestoreOptions
from ops.model.series import Described, Identified
from ops.run.progress import Progress, silent


@dataclass(frozen=True, slots=True)
class Form:
    """What the payloads of a source look like: what stands before and behind the time in a name, and whether it is a folder."""

    base: str
    suffix: str
    is_folder: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Supports:
    """What a source can do beside what all can; one place refuses the rest.

    `continues`: each backup must hold what its former held, and more. `full_every`: its backups may leave to others what
    those hold already, and this is how old the oldest of those may be; None: each is whole by itself. `some_tables`: a drill
    can load the rows of some tables alone. `restore`: the fields of `RestoreOptions` that mean something; `one_table`: at
    most one table at a time.
    """

    continues: bool = False
    full_every: timedelta | None = None
    some_tables: bool = False
    restore: frozenset[str] = frozenset()
    one_table: bool = False


@dataclass(frozen=True, slots=True)
class Probe:
    """What a first look at a source found: a few words, what a payload will take, what an operator should know beforehand.

    `estimate`: see `Source.estimate`.
    """

    text: str
    estimate: int
    findings: Sequence[Finding] = ()


def _ignore(_path: Path, _entry: FileEntry) -> None:
    """Nobody waits for the file."""


def _never() -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureContext:
    """What a capture is told, and whom it tells. A kind uses what means something to it.

    `previous`: the newest backup of the source that no restore made; `restored`: the one that replaced the live data since
    then. `base`: what may be left out, because this backup, or what that needs, holds it unchanged. `file_done`: called with
    a file of the payload as soon as its bytes are final, so that it is encrypted and sent while the next is captured;
    afterwards the file must not change. `suspected`: whether something was found wrong with the source before, or is known
    to be, so that a look at all of it is worth its time.
    """

    progress: Progress = silent
    previous: Manifest | None = None
    restored: Manifest | None = None
    base: Manifest | None = None
    file_done: Callable[[Path, FileEntry], None] = _ignore
    suspected: Callable[[], bool] = _never


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadContext:
    """How a payload is loaded: who hears of it, and of which tables alone the rows are wanted (empty: of all)."""

    progress: Progress = silent
    tables: Sequence[str] = ()


class Copy(Protocol):
    """Restored data in a place of its own that nobody else uses. Methods raise SourceError when it cannot be read."""

    @property
    def place(self) -> str:
        """Where it is, for people and for programs: a path, or an address without secrets."""

    @property
    def environment(self) -> Mapping[str, str]:
        """What a program's environment needs to reach the place, beside its name."""

    @property
    def findings(self) -> Sequence[Finding]:
        """What was noticed while it was loaded."""

    def expected(self, recorded: Measures) -> Measures:
        """What of a manifest's measures this copy should hold: all, unless only a part was asked for."""

    def check(self) -> list[Finding]:
        """All that the kind's own rules find in it; empty never: what was looked at is a finding too."""

    def measure(self, like: Measures) -> Measures:
        """Comparable facts about it, as deep as `like` was measured. Changes nothing."""


@runtime_checkable
class CopyOfMembers(Protocol):
    """A copy of several sources, each of which is checked by itself."""

    @property
    def members(self) -> Mapping[str, Copy]:
        """The copy of each, by its name."""


@runtime_checkable
class Queryable(Protocol):
    """A copy that answers assertions."""

    def count_rows(self, table: str) -> int:
        """Rows of `table`; raises ConfigError when the question cannot be asked, as do the others."""

    def newest(self, column: str) -> object:
        """The greatest value of `table.column`, None when there is none."""

    def query(self, sql: str) -> list[tuple[object, ...]]:
        """The rows of one read-only statement, at most a hundred."""


class Source(Described, Protocol):
    """Something that is backed up. Methods raise SourceError when they could not look."""

    def identify(self) -> Identified:
        """Ask the source who it is. Changes nothing."""

    @property
    def form(self) -> Form:
        """What its payloads look like."""

    @property
    def supports(self) -> Supports:
        """What it can do beside what all can."""

    def estimate(self) -> int:
        """Bytes that a payload will take, rather too many than too few. Touches nothing."""

    def probe(self) -> Probe:
        """Begin to read as a backup would, and stop at once; what was found."""

    def capture(self, into: Path, context: CaptureContext) -> Captured:
        """Fill the empty private file or folder `into` with a copy that is consistent at one moment, and measure it.

        Never writes to the source. The digests are of the bytes in `into`, the measures of the same moment.
        """

    def inspect(self, payload: Payload) -> list[Finding]:
        """What can be seen in a stored payload without restoring it; empty never. Changes nothing."""

    def load(self, payload: Payload, context: LoadContext) -> AbstractContextManager[Copy]:
        """A fetched payload as usable data for as long as the block runs; leftovers only inside its folder.

        May move the payload. Raises SourceError when the payload cannot be loaded, ToolError when this machine cannot load
        it, ConfigError for a table that the backup does not have.
        """

    def require_loadable(self, manifest: Manifest) -> Sequence[Finding]:
        """Return when this machine has what `load` needs for such a payload, with what an operator should know of it.

        Raises ToolError that says what it lacks.
        """

    def room_to_load(self, manifest: Manifest) -> int:
        """Bytes that `load` needs in its folder, the payload included."""


@runtime_checkable
class Divisible(Protocol):
    """A source of which a backup can take only a part: that part is a source of its own, with its own series."""

    def take_part(self, part: Part) -> Source:
        """The same source, of which a capture takes only that. Raises ConfigError where it has no such part."""


@runtime_checkable
class Composite(Protocol):
    """A source that is made of others."""

    @property
    def members(self) -> Mapping[str, Source]:
        """Those, by their names, in the order in which they are captured."""


class Target(Protocol):
    """A place that a restore writes, reached over one connection from its first look to its last.

    Methods raise SourceError when the place cannot be read.
    """

    @property
    def location(self) -> str:
        """Where it is: a path, or an address without secrets."""

    def exists(self) -> bool:
        """Whether there is anything now."""

    def source(self) -> Source:
        """The same kind of source, with its data there, taken whole: what is replaced must be kept whole."""

    def plan(self, manifest: Manifest, options: RestoreOptions, safety: str) -> Sequence[str]:
        """The steps that replace (or make) it, in words; `safety` is where the old data is kept. Touches nothing."""

    def check(self, manifest: Manifest, options: RestoreOptions) -> Sequence[Finding]:
        """Return when nothing stands in the way of a restore; what was noticed.

        Raises RefusedError, ToolError or SpaceError that names everything at once; then nothing was touched.
        """

    def build_folder(self, scratch: Path) -> Path:
        """The folder under which the temporary folder for building beside it must be."""

    def build(
        self, payload: Payload, options: RestoreOptions, progress: Progress
    ) -> AbstractContextManager[Copy]:
        """The payload loaded beside it, so that `swap` can put it there in one step."""

    def settle(self) -> None:
        """Let the kind finish or undo what a writer that died left half done, if it can."""

    def change_mark(self) -> str | None:
        """A value that differs after any committed change; None when there is no such value."""

    def keep_damaged(self, stamp: str) -> tuple[str, str]:
        """Keep what cannot be backed up any more; where, and the command that undoes.

        It stays in its place until `swap`.
        """

    def swap(self, built: Copy, kept: KeptTarget) -> Sequence[Finding]:
        """Put `built` in its place in one step, after making sure that no other process writes there.

        Raises RefusedError; afterwards there is the old or the new data, whole.
        """

    def has_tables(self, tables: Sequence[str]) -> bool:
        """Whether all of these tables, as an operator writes them, are there now."""

    def replace_tables(self, built: Copy, options: RestoreOptions) -> Sequence[Finding]:
        """Put the tables of `options` into it in one transaction, compared before it commits."""


@runtime_checkable
class Restorable(Protocol):
    """A source whose live data can be replaced."""

    def target(self, to: str | None) -> AbstractContextManager[Target]:
        """What an operator means by `to`; None: the live data.

        Nothing is asked of it before its first method. Raises ConfigError, RefusedError when it can be no target.
        """

    def same_place(self, location: str) -> bool:
        """Whether that is this source, by identity, whatever it is called."""
