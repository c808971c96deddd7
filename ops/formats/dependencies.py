"""What a manifest says of other backups without which it cannot be restored. Pure.

The key `needs` lists them: the plain name of each payload, the job that made it, its size, and further entries of the kind.
Name and job are the same in every copy, sealed or not, under whatever name that lies there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ops.errors import BackupError
from ops.formats.wrong import in_words
from ops.model.manifest import Manifest

KEY: Final = "needs"


@dataclass(frozen=True, slots=True)
class Need:
    """Another backup that is needed: its plain payload's name, its job, the bytes of its payload, and the kind's entries."""

    backup: str
    job_id: str
    size: int
    entries: Mapping[str, Any]

    @property
    def identity(self) -> tuple[str, str]:
        """What is the same in each of its copies."""
        return self.backup, self.job_id


def needs_of(manifest: Manifest) -> tuple[Need, ...]:
    """The backups that it needs, oldest first; none for one that is whole by itself.

    Raises BackupError (`backup.manifest_invalid`) when that cannot be read.
    """
    rows: Any = manifest.extra.get(KEY, [])
    try:
        return tuple(Need(str(row["backup"]), str(row["job_id"]), int(row["size"]), row) for row in rows)
    except (KeyError, TypeError, ValueError) as error:
        message = f"the manifest of {manifest.payload} does not say which backups it needs: {in_words(error)}"
        raise BackupError(message, code="backup.manifest_invalid", hint="use another backup") from error


def needs_document(needs: Iterable[Need]) -> list[dict[str, Any]]:
    """The value of the key `needs`."""
    return [
        {"backup": need.backup, "job_id": need.job_id, "size": need.size, **need.entries} for need in needs
    ]
