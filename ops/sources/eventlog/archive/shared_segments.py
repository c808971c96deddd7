"""Which backup holds which segment: those that did not change since an earlier one are left to it. Pure.

A need names the backup whose archive really holds the segment, so that a backup needs those and never what they need.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ops.errors import BackupError
from ops.formats.dependencies import Need, needs_of
from ops.model.manifest import FileEntry, Manifest
from ops.sources.eventlog.log.layout import SNAPSHOT

_MEMBERS: Final = "members"
"""Of the manifest all files of the log, of a need those that the other backup holds."""


@dataclass(frozen=True, slots=True)
class Sharing:
    """What earlier backups hold: each segment's file, and the need that stands for the backup that has it, by path."""

    held: Mapping[str, FileEntry] = field(default_factory=dict)
    holders: Mapping[str, Need] = field(default_factory=dict)

    def needs(self, left_out: Iterable[str]) -> list[Need]:
        """What a backup needs that left these paths out; oldest first."""
        members: dict[tuple[str, str], list[str]] = {}
        for path in sorted(left_out):
            members.setdefault(self.holders[path].identity, []).append(path)
        by_identity = {need.identity: need for need in self.holders.values()}
        return [
            Need(*identity, by_identity[identity].size, {_MEMBERS: members[identity]})
            for identity in by_identity
            if identity in members
        ]


def sharing_with(base: Manifest) -> Sharing:
    """What can be left to `base` and to what it needs; raises BackupError when its manifest does not say what it holds."""
    elsewhere = held_elsewhere(base)
    held = {path: entry for path, entry in members_of(base).items() if path != SNAPSHOT}
    itself = Need(base.payload, base.job_id, base.size, {})
    return Sharing(held, {path: elsewhere.get(path, itself) for path in held})


def members_of(manifest: Manifest) -> dict[str, FileEntry]:
    """All files of the log as the manifest has them, by path; raises BackupError when it has none."""
    rows: Any = manifest.extra.get(_MEMBERS)
    if not isinstance(rows, list):
        raise _says_nothing(manifest)
    try:
        entries = [FileEntry(str(row["path"]), int(row["size"]), str(row["sha256"])) for row in rows]
    except (KeyError, TypeError, ValueError) as error:
        raise _says_nothing(manifest) from error
    return {entry.path: entry for entry in entries}


def held_elsewhere(manifest: Manifest) -> dict[str, Need]:
    """By path the needed backup that holds it; raises BackupError when the manifest contradicts itself."""
    known, found = members_of(manifest), dict[str, Need]()
    for need in needs_of(manifest):
        paths = need.entries.get(_MEMBERS)
        if not isinstance(paths, list) or not paths or not known.keys() >= set(paths):
            raise _says_nothing(manifest)
        if found.keys() & set(paths) or SNAPSHOT in paths:
            raise _says_nothing(manifest)
        found |= dict.fromkeys(paths, need)
    return found


def own_members(manifest: Manifest) -> dict[str, FileEntry]:
    """The files that are in its own archive, by path."""
    elsewhere = held_elsewhere(manifest)
    return {path: entry for path, entry in members_of(manifest).items() if path not in elsewhere}


def _says_nothing(manifest: Manifest) -> BackupError:
    message = f"the manifest of {manifest.payload} does not say what is in its archive"
    return BackupError(message, code="backup.manifest_invalid", hint="use another backup")
