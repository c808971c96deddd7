"""Frozen values that cross layers. No behaviour beyond small questions about themselves; imports only errors.

Sizes are bytes, durations milliseconds (`_ms`) or seconds (`_s`), times timezone-aware UTC.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta


class Severity(enum.StrEnum):
    """How bad one finding is."""

    OK = "ok"
    WARNING = "warning"
    CRITICAL = "critical"


class Verdict(enum.StrEnum):
    """What a verify or drill says about a backup."""

    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"


class Level(enum.StrEnum):
    """How deep a verify looks: `quick` reads the stored files, `full` restores them into a scratch place."""

    QUICK = "quick"
    FULL = "full"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at, and what was there.

    `blocking` marks a warning that leaves the question open (no verdict can be reached), as a missing
    SQLite module does. `inherited` marks what is true of the source as well: the copy is faithful, and that
    is no reason to refuse a restore in an emergency.
    """

    severity: Severity
    code: str
    message: str
    where: str = ""
    expected: str = ""
    found: str = ""
    blocking: bool = False
    inherited: bool = False


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """Comparable facts about a live or restored source.

    `digest_algorithm` names how `TableMeasure.digest` was made; digests of different algorithms are not
    compared. `facts` are further scalar facts of the kind (for SQLite: `schema`, `user_version`, …) that
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
class Manifest:
    """All that is recorded with a backup; see `docs/operations/manifest.md` for the file form.

    `data_as_of` is the moment of the snapshot: every commit that ended before it is in the backup.
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
    extra: Mapping[str, object] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes of the payload."""
        return sum(entry.size for entry in self.files)

    @property
    def name(self) -> str:
        """The name that `backup.list` prints: the payload's."""
        return self.payload


@dataclass(frozen=True, slots=True)
class Copied:
    """A payload of one file that is final and not measured yet: size and digest, the moment that it shows, how it was made."""

    file: FileEntry
    data_as_of: datetime
    method: str


@dataclass(frozen=True, slots=True)
class Captured:
    """What a source's capture produced.

    `files` have paths relative to the payload's folder (for a payload of one file: its name, whatever it is).
    `measures` are of the snapshot that was captured, `data_as_of` its moment. `extra` are further entries for
    the manifest, which `load` gets back. `findings` are what was noticed without being a reason to stop.
    """

    files: tuple[FileEntry, ...]
    data_as_of: datetime
    method: str
    measures: Measures
    extra: Mapping[str, object] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """One timed step of a drill: fetch, load, check or assert."""

    name: str
    duration_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One verify or drill of one backup, as it is kept beside the backup."""

    action: str
    level: str
    job_id: str
    backup: str
    source: SourceInfo
    payload_sha256: str
    started_at: datetime
    finished_at: datetime
    duration_ms: int
    verdict: Verdict
    findings: tuple[Finding, ...]
    phases: tuple[Phase, ...] = ()
    rto_ms: int | None = None
    rpo_ms: int | None = None
    rto_objective_ms: int | None = None
    rpo_objective_ms: int | None = None
    rows: int = 0
    size: int = 0
    tool: Mapping[str, str] = field(default_factory=dict)
    host: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """Somebody's word that a backup must stay: why, and until when (None: until it is released)."""

    backup: str
    reason: str
    until: datetime | None
    pinned_at: datetime
    job_id: str
    host: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Assertion:
    """One expectation of the operator about restored data; exactly one of the four kinds is set."""

    row_count: str | None = None
    fresh: str | None = None
    query: str | None = None
    command: tuple[str, ...] | None = None
    min: int | None = None
    max: int | None = None
    tolerance: float | None = None
    max_age: timedelta | None = None
    expect: str | float | int | bool | None = None
    timeout: timedelta = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Objectives:
    """What the operator promised about a source; None where nothing was promised."""

    every: timedelta | None = None
    verify_every: timedelta | None = None
    drill_every: timedelta | None = None
    rpo: timedelta | None = None
    rto: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreOptions:
    """What of a backup is restored, and how. A kind refuses what it can not do.

    `tables`: only these, into a target that is there; `truncate`: in the place of the rows that such a table
    has. `schema_only`: structure without rows. `no_owner`, `no_acl`: everything belongs to who restores it,
    with default rights.
    """

    tables: tuple[str, ...] = ()
    truncate: bool = False
    schema_only: bool = False
    no_owner: bool = False
    no_acl: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptTarget:
    """How the data that a restore replaces is kept.

    `safety` is the manifest of its verified safety backup, `mark` the target's change mark before that was
    taken; `damaged` is where it is kept instead when it can not be backed up any more.
    """

    safety: Manifest | None = None
    mark: str | None = None
    damaged: str | None = None


def worst(findings: tuple[Finding, ...] | list[Finding]) -> Severity:
    """The most serious severity among findings; OK when there are none."""
    found = {finding.severity for finding in findings}
    for severity in (Severity.CRITICAL, Severity.WARNING):
        if severity in found:
            return severity
    return Severity.OK


def verdict_of(findings: tuple[Finding, ...] | list[Finding]) -> Verdict:
    """FAILED when a finding is critical, else INCONCLUSIVE when one leaves the question open, else PASSED."""
    if worst(findings) is Severity.CRITICAL:
        return Verdict.FAILED
    if any(finding.blocking for finding in findings):
        return Verdict.INCONCLUSIVE
    return Verdict.PASSED
