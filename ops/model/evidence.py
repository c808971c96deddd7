"""What a verify or drill came to, and pins that keep a backup.

Durations are milliseconds (`_ms`), times timezone-aware UTC.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from ops.model.complaints import unproven_damage
from ops.model.findings import Finding, Severity, Verdict, verdict_of
from ops.model.manifest import Manifest, SourceInfo

_EXPECTATION: Final = "assert."
"""What codes of findings about expectations begin with."""
_READ: Final = "backup.checksum"


class Level(enum.StrEnum):
    """How deep a verify looks: `quick` reads the stored files, `full` restores them into a scratch place."""

    QUICK = "quick"
    FULL = "full"


ONLY_TABLES: Final = "tables"
"""The level of a drill that brings back single tables."""
PARTIAL: Final = "partial"
"""The action of a drill of some tables: not `drill`, so that no version of this program takes it for a proof."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """One timed step of a drill: fetch, load, check or assert."""

    name: str
    duration_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How long a drill took, phase by phase, and what was promised; milliseconds, None where nothing was measured."""

    phases: tuple[Phase, ...] = ()
    rto_ms: int | None = None
    rpo_ms: int | None = None
    rto_objective_ms: int | None = None
    rpo_objective_ms: int | None = None


@dataclass(frozen=True, slots=True)
class MemberVerdict:
    """What a look at a backup of several sources says of one of them; `rows`: None where that is not told."""

    name: str
    kind: str
    verdict: Verdict
    rows: int | None


def member_verdicts(manifest: Manifest, findings: Sequence[Finding]) -> tuple[MemberVerdict, ...]:
    """Return the verdict on each member: what was said of no member in particular holds for all."""
    return tuple(
        MemberVerdict(
            member.name,
            member.source.kind,
            verdict_of([item for item in findings if item.member in {"", member.name}]),
            member.measures.rows,
        )
        for member in manifest.members
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One verify or drill of one backup, as it is kept beside the backup.

    `order`: one more than that of every look at the backup that was known when it was kept, whatever the clock said; 0 for
    those of before. `series`, `store`: whose backup it is, and the id of the store that it was read from (empty: not
    known). `about`: what auditors ask for beside it, see `docs/operations/drill.md`. `members`: the verdict on each source of
    a backup of several.
    """

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
    rows: int | None = 0
    size: int = 0
    tool: Mapping[str, str] = field(default_factory=dict)
    host: str = ""
    order: int = 0
    series: str = ""
    store: str = ""
    about: Mapping[str, object] = field(default_factory=dict)
    members: tuple[MemberVerdict, ...] = ()

    @property
    def integrity(self) -> Verdict:
        """Return the verdict on the backup itself, whatever the operator's assertions expected of its data."""
        rest = [item for item in self.findings if not item.code.startswith(_EXPECTATION)]
        return self.verdict if len(rest) == len(self.findings) else verdict_of(rest)

    @property
    def proves(self) -> bool:
        """Return whether it is a drill that passed, and found no damage but such as the operator knows of."""
        passed = self.action == "drill" and self.verdict is Verdict.PASSED
        return passed and not unproven_damage(self.findings)

    @property
    def read_whole(self) -> bool:
        """Return whether every stored byte was read and is as recorded, however the look went on."""
        return any(item.code == _READ and item.severity is Severity.OK for item in self.findings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """Somebody's word that a backup must stay: why, and until when (None: until it is released)."""

    backup: str
    reason: str
    until: datetime | None
    pinned_at: datetime
    job_id: str
    host: str
