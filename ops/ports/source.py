"""What a kind of source promises: it is captured, inspected, loaded, and where it can be, restored.

A kind never learns about stores, reports or retention.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Protocol, runtime_checkable

from ops.model.findings import Finding
from ops.model.manifest import Captured, Copied, Fetched, Manifest, Measures
from ops.model.requests import KeptTarget, Part, RestoreOptions
from ops.model.series import Described, Identified
from ops.run.progress import Progress


@dataclass(frozen=True, slots=True)
class Probe:
    """What a first look at a source found: a few words, and what an operator should know beforehand."""

    text: str
    findings: Sequence[Finding] = ()


class Copy(Protocol):
    """Restored data in a place of its own that nobody else uses. Methods raise SourceError when it can not be read."""

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
class Queryable(Protocol):
    """A copy that answers assertions."""

    def count_rows(self, table: str) -> int:
        """Rows of `table`; raises ConfigError when the question can not be asked, as do the others."""

    def newest(self, column: str) -> object:
        """The greatest value of `table.column`, None when there is none."""

    def query(self, sql: str) -> list[tuple[object, ...]]:
        """The rows of one read-only statement, at most a hundred."""


class Source(Described, Protocol):
    """Something that is backed up. Methods raise SourceError when they could not look."""

    def identify(self) -> Identified:
        """Ask the source who it is. Changes nothing."""

    @property
    def base_and_suffix(self) -> tuple[str, str]:
        """What stands before and behind the time in a payload's name."""

    @property
    def payload_is_folder(self) -> bool:
        """Whether its payloads are folders of files, or single files."""

    def estimate(self) -> int:
        """Bytes that a payload will take, rather too many than too few. Touches nothing."""

    def probe(self) -> Probe:
        """Begin to read as a backup would, and stop at once; what was found."""

    def capture(self, into: Path, progress: Progress) -> Captured:
        """Fill the empty private file or folder `into` with a copy that is consistent at one moment, and measure it.

        Never writes to the source. The digests are of the bytes in `into`, the measures of the same moment.
        """

    def inspect(self, payload: Path, manifest: Manifest) -> list[Finding]:
        """What can be seen in a stored payload without restoring it; empty never. Changes nothing."""

    def load(self, fetched: Fetched, progress: Progress) -> AbstractContextManager[Copy]:
        """A fetched payload as usable data for as long as the block runs; leftovers only inside its folder.

        May move the payload. Raises SourceError when the payload can not be loaded, ToolError when this
        machine can not load it.
        """

    def require_loadable(self, manifest: Manifest) -> Sequence[Finding]:
        """Return when this machine has what `load` needs for such a payload, with what an operator should know of it.

        Raises ToolError that says what it lacks.
        """

    def room_to_load(self, manifest: Manifest) -> int:
        """Bytes that `load` needs in its folder, the payload included."""


@runtime_checkable
class MeasuredLater(Protocol):
    """A source whose payload is one file that is final before it is measured: it can be sent meanwhile.

    `capture` is the one after the other.
    """

    def copy(self, into: Path, progress: Progress) -> Copied:
        """Fill the empty private file `into` as `capture` does; nothing changes it any more."""

    def measure(self, copied: Copied, payload: Path, progress: Progress) -> Captured:
        """What `capture` returns, once `payload` holds what `copy` put there; only reads it."""


@runtime_checkable
class Divisible(Protocol):
    """A source of which a backup can take only a part."""

    def take_part(self, part: Part) -> Source:
        """The same source, of which a capture takes only that. Raises ConfigError where it has no such part."""


@runtime_checkable
class PartlyLoadable(Protocol):
    """A source of whose backups only some tables can be brought back, for a quick look at them."""

    def loading_only(self, tables: Sequence[str]) -> Source:
        """The same source, whose `load` brings the rows of these tables alone, and whose copy is compared by them.

        `load` raises ConfigError for a table that the backup does not have.
        """


@runtime_checkable
class SelfExamined(Protocol):
    """A source that is looked at itself while it is captured: what is wrong with it is recorded as `complaints`."""

    @property
    def is_dear_to_look_at(self) -> bool:
        """Whether a capture looks at all of it only when it is asked to."""

    def looked_at(self) -> Source:
        """The same source, whose capture looks at all of it where it can bear that."""


@runtime_checkable
class Continuing(Protocol):
    """A source whose backups follow each other: each one must hold what its former held, and more."""

    def after(self, former: Manifest, restored: Manifest | None = None) -> Source:
        """Return the same source, whose capture says whether it continues what that backup recorded.

        `restored`: the backup that replaced the live data since then; what continues that one is right as well.
        """


@runtime_checkable
class Dependent(Protocol):
    """A source whose backups may leave to others what those hold already (`ops.formats.dependencies`)."""

    @property
    def full_every(self) -> timedelta | None:
        """How old the oldest backup may be that a new one needs; None: each backup is whole by itself."""

    def building_on(self, base: Manifest) -> Source:
        """The same source, whose capture leaves out what `base`, or what that needs, holds unchanged."""

    def with_needed(self, needed: Sequence[Fetched]) -> Source:
        """The same source, which finds in these payloads what `inspect`, `load` and `build` need beside their own.

        They are what their manifests say, and only read.
        """


@runtime_checkable
class Restorable(Protocol):
    """A source whose live data can be replaced. A target is a text: a path, or an address without secrets."""

    def target_of(self, to: str | None) -> str:
        """The target that an operator means by `to`; None: the live data. Raises ConfigError when it is none."""

    def is_there(self, target: str) -> bool:
        """Whether there is anything at `target`."""

    def same_place(self, target: str) -> bool:
        """Whether `target` is this source, by identity, whatever it is called."""

    def at(self, target: str) -> Source:
        """The same source, with its data at `target`."""

    def plan(self, target: str, manifest: Manifest, options: RestoreOptions, safety: str) -> Sequence[str]:
        """The steps that replace (or make) `target`, in words; `safety` is where the old data is kept. Touches nothing."""

    def prepare(self, target: str, manifest: Manifest, options: RestoreOptions) -> Sequence[Finding]:
        """Return when nothing stands in the way of a restore; what was noticed.

        Raises RefusedError, ToolError or SpaceError that names everything at once; then nothing was touched.
        """

    def build_folder(self, target: str, scratch: Path) -> Path:
        """The folder under which the scratch place for building beside `target` must be."""

    def build(
        self, fetched: Fetched, target: str, options: RestoreOptions, progress: Progress
    ) -> AbstractContextManager[Copy]:
        """The payload loaded beside `target`, so that `promote` can put it there in one step."""

    def settle(self, target: str) -> None:
        """Let the kind finish or undo what a writer that died left half done in `target`, if it can."""

    def change_mark(self, target: str) -> str | None:
        """A value that differs after any committed change of `target`; None when there is no such value."""

    def keep_damaged(self, target: str, stamp: str) -> tuple[str, str]:
        """Keep a target that can not be backed up any more; where, and the command that undoes.

        The target itself stays in its place until `promote`.
        """

    def promote(self, built: Copy, target: str, kept: KeptTarget) -> Sequence[Finding]:
        """Put `built` in the place of `target` in one step, after making sure that nobody writes there.

        Raises RefusedError; afterwards `target` is the old or the new data, whole.
        """

    def has_tables(self, target: str, tables: Sequence[str]) -> bool:
        """Whether all of these tables, as an operator writes them, are in the target now."""

    def replace_tables(self, built: Copy, target: str, options: RestoreOptions) -> Sequence[Finding]:
        """Put the tables of `options` into `target` in one transaction, compared before it commits."""
