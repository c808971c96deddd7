"""The two ports, and what their drivers promise. Actions know only these; kinds and stores know only these too.

A kind never learns about stores, reports or retention; a store never learns about kinds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol, runtime_checkable

from ops.model import Captured, Finding, Level, Loaded, Measures, SourceInfo
from ops.progress import Progress


class Source(Protocol):
    """Something that is backed up. Methods raise SourceError when they could not look."""

    @property
    def info(self) -> SourceInfo:
        """Name, kind and place, free of secrets."""

    @property
    def base_and_suffix(self) -> tuple[str, str]:
        """What stands before and behind the time in a payload's name."""

    def estimate(self) -> int:
        """Bytes that a payload will take, rather too many than too few. Touches nothing."""

    def probe(self) -> str:
        """Begin to read as a backup would, and stop at once; a few words about what was found."""

    def capture(self, into: Path, progress: Progress) -> Captured:
        """Fill the empty private file `into` with a copy that is consistent at one moment.

        Never writes to the source. The digests are of the bytes in `into`.
        """

    def measure(self, copy: Path, *, like: Measures | None = None) -> Measures:
        """Comparable facts about a payload or loaded target at `copy`, which nobody writes. Changes nothing.

        As deep as `like` was measured; without it, as the source's options say.
        """

    def check(self, copy: Path, level: Level) -> list[Finding]:
        """All that the kind's own rules find in `copy`; empty never: what was looked at is a finding too."""

    def load(self, payload: Path, folder: Path) -> Loaded:
        """Turn a fetched payload into usable data inside `folder`. May move the payload. May be called once."""


@runtime_checkable
class Restorable(Protocol):
    """A source whose live data can be replaced by a loaded copy."""

    def live_target(self) -> Path:
        """Where the live data is."""

    def at(self, target: Path) -> Source:
        """The same source, with its data at `target`."""

    def same_place(self, target: Path) -> bool:
        """Whether `target` is this source, by identity (device and inode), whatever it is called."""

    def require_idle(self, target: Path) -> None:
        """Raise RefusedError that names the processes which have `target` open."""

    def settle(self, target: Path) -> None:
        """Let the kind finish or undo what a writer that died left half done in `target`, if it can."""

    def change_mark(self, target: Path) -> str | None:
        """A value that differs after any committed change of `target`; None when it can not be read at all."""

    def keep_damaged(self, target: Path, stamp: str) -> tuple[Path, str]:
        """Keep a target that can not be backed up any more beside itself; where, and the command that undoes.

        The target itself stays in its place.
        """

    def promote(
        self, built: Path, target: Path, *, unchanged_since: str | None, damaged: bool
    ) -> Sequence[Finding]:
        """Put `built` in the place of `target` in one step, after making sure that nobody writes there.

        `built` must be on the target's own file system. `unchanged_since` is a `change_mark` of the target:
        if it changed since, nothing is done. `damaged` says that the target can not be opened any more and
        was kept. Owner and mode stay as they were; where nothing was, the owner
        becomes that of the folder. Raises RefusedError; afterwards `target` is the old or
        the new data, whole.
        """

    def replace_table(self, backup: Path, target: Path, table: str) -> Sequence[Finding]:
        """Replace one table of `target` by the backup's, in one transaction, compared before it commits."""


@runtime_checkable
class Queryable(Protocol):
    """A kind whose restored copy answers assertions. `copy` is a `Loaded.target`."""

    def count_rows(self, copy: Path, table: str) -> int:
        """Rows of `table`."""

    def newest(self, copy: Path, column: str) -> object:
        """The greatest value of `table.column`, None when there is none."""

    def query(self, copy: Path, sql: str) -> list[tuple[object, ...]]:
        """The rows of one read-only statement, at most a hundred."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file in a store: its key and size in bytes."""

    key: str
    size: int


class Store(Protocol):
    """A place where backups live: flat keys, each written once. Methods raise StoreError or SpaceError."""

    @property
    def name(self) -> str:
        """Its configured name."""

    @property
    def location(self) -> str:
        """Where it is, for people, free of secrets."""

    def stage(self, key: str) -> AbstractContextManager[Path]:
        """An empty private file for building `key` where `put` can take it without another copy.

        Gone when the block ends, unless it was put. Raises RefusedError when somebody else builds this key.
        """

    def put(self, key: str, file: Path) -> None:
        """Store `file` as `key`: durable when this returns, whole or not at all, private, never replacing.

        Takes the file over when it came from `stage(key)`. Raises RefusedError when the key exists.
        """

    def open(self, key: str) -> BinaryIO:
        """The content from its start, unbuffered. Raises BackupError (`backup.not_found`) when there is none."""

    def get(self, key: str, into: Path, progress: Progress) -> str:
        """Write the content to the new private file `into`; the SHA-256 of what was written.

        Raises BackupError (`backup.not_found`), and RefusedError when `into` exists.
        """

    def list(self) -> Iterable[StoredFile]:
        """All complete files, in no order; never one that is still being written."""

    def delete(self, key: str) -> None:
        """Remove `key`; fine when it is gone already."""


@runtime_checkable
class LocalFiles(Protocol):
    """A store whose files programs on this machine can open in place, and lock."""

    def path_of(self, key: str) -> Path:
        """Where the file of `key` lies (whether it exists or not)."""

    def sweep(self) -> Sequence[str]:
        """Remove what writers that died left half done; the names that are gone. Living writers are untouched."""

    def lock_path(self, source: str) -> Path:
        """Where the lock file of a source lies."""
