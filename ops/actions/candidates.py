"""A stored backup as retention sees it."""

from __future__ import annotations

from collections.abc import Mapping

from ops.actions.catalogue import Backup
from ops.naming import SAFETY_TAG
from ops.retention import Candidate


def candidate_of(backup: Backup, stored: Mapping[str, int], *, held: tuple[str, ...] = ()) -> Candidate:
    """What retention needs to know of a backup; one whose files are not all there in full is not good."""
    whole = all(stored.get(entry.path) == entry.size for entry in backup.manifest.files)
    return Candidate(
        name=backup.name,
        created_at=backup.manifest.created_at,
        size=backup.manifest.size,
        good=backup.good if whole else False,
        proven=backup.proven and whole,
        aside=SAFETY_TAG in backup.manifest.tags,
        tags=backup.manifest.tags,
        held=held,
    )
