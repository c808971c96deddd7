"""A backup as its manifest describes it, and what a source hands over when it was captured.

Sizes are bytes, times timezone-aware UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Final, Self

from ops.model.findings import Finding
from ops.model.moment import microseconds

SEQUENCE_KEY: Final = "sequence"


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file of a payload: path relative to the payload's folder, size in bytes, lower-case hex SHA-256."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class TableMeasure:
    """What one table holds: its row count, and a digest of its content (None: counted only)."""

    rows: int
    digest: str | None = None


IN_PAYLOAD: Final = "payload-sha256"
"""Stands for the digest of tables whose rows are in the payload byte for byte: its SHA-256 has compared them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """Comparable facts about a live or restored source.

    `digest_algorithm` names how `TableMeasure.digest` was made; digests of different algorithms are not
    compared. A copy whose content was compared with its payload says `IN_PAYLOAD`, which no manifest records. `facts` are further scalar facts of the kind (for SQLite: `schema`, `user_version`, …) that
    must be equal in a restored copy; `engine` says what measured and is not compared.
    """

    tables: Mapping[str, TableMeasure] = field(default_factory=dict)
    facts: Mapping[str, str | int] = field(default_factory=dict)
    engine: Mapping[str, str] = field(default_factory=dict)
    digest_algorithm: str | None = None

    @property
    def rows(self) -> int:
        """All rows of all tables."""
        return sum(table.rows for table in self.tables.values())


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """Which source a backup is of: its configured name, its kind, where it lay (never with a secret)."""

    name: str
    kind: str
    location: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Whose backup it is, as it was recorded when it was made.

    `host`: the machine's name (empty where it was generated); `boot`: see `Whose.boot`; `series`, `place`: 16 hexadecimal
    digits of what the source was and of what was configured. `by` and `text`: what the identity goes by, and in which
    words. `system` and `member`: see `Identified`. `whole`: where only a part was asked for, the place of the source that it is a part of.
    """

    host: str
    boot: str | None
    series: str
    by: str = ""
    text: str = ""
    place: str = ""
    system: str = ""
    member: str = ""
    whole: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One source inside a backup of several.

    `payload`: where its own payload lies inside the folder of the backup's. `method`: how it was captured. The rest is as in
    a manifest of its own.
    """

    source: SourceInfo
    payload: str
    measures: Measures
    scope: str
    data_as_of: datetime
    method: str
    selection: Mapping[str, object] = field(default_factory=dict)
    extra: Mapping[str, object] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name of the source, by which it is told from the other members."""
        return self.source.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """All that is recorded with a backup; see `docs/operations/manifest.md` for the file form.

    `data_as_of` is the moment of the snapshot: every commit that ended before it is in the backup. `origin`: None in
    version 1. `selection`: which part of the source, where `scope` does not say it alone; `assertions`: those that were
    configured when it was made, as their table in the configuration had them. `members`: of a backup of several sources
    those; `measures` are of what belongs to none of them then.
    """

    version: int
    job_id: str
    created_at: datetime
    source: SourceInfo
    payload: str
    files: tuple[FileEntry, ...]
    measures: Measures
    tool: Mapping[str, str]
    scope: str
    tags: tuple[str, ...]
    data_as_of: datetime
    started_at: datetime
    finished_at: datetime
    duration_ms: int
    origin: Origin | None = None
    selection: Mapping[str, object] = field(default_factory=dict)
    assertions: tuple[Mapping[str, object], ...] = ()
    members: tuple[Member, ...] = ()
    extra: Mapping[str, object] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """All rows of all tables, those of members included."""
        return self.measures.rows + sum(member.measures.rows for member in self.members)

    @property
    def tables(self) -> dict[str, TableMeasure]:
        """All tables by name, those of members as `MEMBER/TABLE`."""
        found = dict(self.measures.tables)
        for member in self.members:
            found |= {f"{member.name}/{name}": table for name, table in member.measures.tables.items()}
        return found

    def member(self, name: str) -> Manifest:
        """Return the manifest of one member alone, as if it had been backed up by itself; raises KeyError for no such name."""
        member = {item.name: item for item in self.members}[name]
        around = f"{self.payload}/{member.payload}".rpartition("/")[0]
        inside = f"{self.payload}/{member.payload}"
        files = (
            replace(entry, path=entry.path.removeprefix(f"{around}/"))
            for entry in self.files
            if entry.path == inside or entry.path.startswith(f"{inside}/")
        )
        return replace(
            self,
            source=member.source,
            payload=member.payload.rpartition("/")[2],
            files=tuple(files),
            measures=member.measures,
            scope=member.scope,
            data_as_of=member.data_as_of,
            origin=None,
            selection=member.selection,
            assertions=(),
            members=(),
            extra={SEQUENCE_KEY: self.sequence, "capture": member.method, **member.extra},
        )

    def renamed(self, payload: str) -> Self:
        """Return the manifest of the same backup under another name."""
        files = (replace(entry, path=f"{payload}{entry.path[len(self.payload) :]}") for entry in self.files)
        return replace(self, payload=payload, files=tuple(files))

    def lost_from(self, sizes: Mapping[str, int]) -> list[str]:
        """Return the files of the payload that are not listed with the size that was recorded; `sizes`: bytes by key."""
        return [entry.path for entry in self.files if sizes.get(entry.path) != entry.size]

    @property
    def size(self) -> int:
        """Bytes of the payload."""
        return sum(entry.size for entry in self.files)

    @property
    def name(self) -> str:
        """The name that `backup.list` prints: the payload's."""
        return self.payload

    @property
    def sequence(self) -> int:
        """Return what the backups of a source are ordered by, whatever their clocks said.

        Microseconds since 1970 in good times; one that records none counts by its time.
        """
        found = self.extra.get(SEQUENCE_KEY)
        if isinstance(found, int) and not isinstance(found, bool) and found >= 0:
            return found
        return microseconds(self.created_at)


@dataclass(frozen=True, slots=True)
class Captured:
    """What a source's capture produced.

    `files` have paths relative to the payload's folder (for a payload of one file: its name, whatever it is).
    `measures` are of the snapshot that was captured, `data_as_of` its moment. `extra` are further entries for
    the manifest, which `load` gets back. `findings` are what was noticed without being a reason to stop. `members`: see
    `Manifest`.
    """

    files: tuple[FileEntry, ...]
    data_as_of: datetime
    method: str
    measures: Measures
    extra: Mapping[str, object] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    members: tuple[Member, ...] = ()

    @property
    def rows(self) -> int:
        """All rows of all tables, those of members included."""
        return self.measures.rows + sum(member.measures.rows for member in self.members)


@dataclass(frozen=True, slots=True)
class Payload:
    """A payload on this machine that is what its manifest says: where it lies, the folder around it, and what it needs.

    `path`: the file or folder. `folder`: private, and may be filled, unless the payload is looked at where the store has it.
    `needed`: payloads of the backups without which this one cannot be restored; they are only read.
    """

    path: Path
    folder: Path
    manifest: Manifest
    needed: tuple[Payload, ...] = ()

    def member(self, name: str, folder: Path) -> Payload:
        """Return the payload of one member, which may fill the private `folder`."""
        inside = {item.name: item.payload for item in self.manifest.members}[name]
        return Payload(self.path / inside, folder, self.manifest.member(name))
