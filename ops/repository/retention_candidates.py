"""Stored backups as retention sees them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from ops.errors import BackupError
from ops.formats.dependencies import Need, needs_of
from ops.formats.encrypted_manifest import is_closed
from ops.formats.names import SAFETY_TAG
from ops.repository.backup import Backup
from ops.repository.retention import Candidate
from ops.repository.series import SHOWN_DIGITS

POLICY_KEY: Final = "policy"
"""The key of a manifest with the policy that a backup was taken for."""


class Group(NamedTuple):
    """Backups that retention counts together: of one kind, scope and part, by one policy (empty: the source's or store's).

    `part`: the series of backups that hold a part of the source: two selections of tables never stand for each other.
    """

    kind: str
    scope: str
    policy: str
    part: str = ""

    @classmethod
    def of(cls, backup: Backup) -> Group:
        """Return the group of a backup."""
        manifest = backup.manifest
        named = manifest.extra.get(POLICY_KEY)
        origin = manifest.origin
        part = origin.series if origin is not None and origin.whole else ""
        return cls(manifest.source.kind, manifest.scope, named if isinstance(named, str) else "", part)

    def __str__(self) -> str:
        """For people."""
        part = f" {self.part[:SHOWN_DIGITS]}" if self.part else ""
        return f"{self.kind}, {self.scope}{part}{f', policy {self.policy}' if self.policy else ''}"


def candidates_of(
    backups: Iterable[Backup], stored: Mapping[str, int], *, held_at: datetime | None = None
) -> list[Candidate]:
    """What retention needs to know of the backups of one store, in their order; with `held_at`, what holds them then.

    `stored`: sizes by key. One whose files, or those of backups that it needs, are not all there in full is not good.
    """
    known = list(backups)
    by_identity = defaultdict(list)
    for item in known:
        by_identity[item.plain.payload, item.manifest.job_id].append(item)
    return [_candidate(item, stored, by_identity, held_at) for item in known]


def _candidate(
    backup: Backup,
    stored: Mapping[str, int],
    by_identity: Mapping[tuple[str, str], Sequence[Backup]],
    held_at: datetime | None,
) -> Candidate:
    whole, needed = not backup.manifest.lost_from(stored), list[str]()
    for need in _needs(backup):
        found = by_identity.get(need.identity, ()) if need else ()
        whole = whole and any(not item.manifest.lost_from(stored) for item in found)
        needed += [item.name for item in found]
    return Candidate(
        name=backup.name,
        created_at=backup.manifest.created_at,
        sequence=backup.manifest.sequence,
        size=backup.manifest.size,
        good=backup.good if whole else False,
        proven=backup.proven and whole,
        aside=SAFETY_TAG in backup.manifest.tags,
        tags=backup.manifest.tags,
        held=backup.held_by(held_at) if held_at else (),
        needs=tuple(needed),
        tables=None
        if is_closed(backup.manifest)
        else {name: table.rows for name, table in backup.manifest.tables.items()},
    )


def _needs(backup: Backup) -> Sequence[Need | None]:
    """What it needs; nothing that could be found where that cannot be read."""
    try:
        return needs_of(backup.manifest)
    except BackupError:
        return (None,)
