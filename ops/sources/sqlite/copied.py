"""A copy of a database that is final and not measured yet."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ops.model.findings import Finding
from ops.model.manifest import FileEntry, Measures


@dataclass(frozen=True, slots=True)
class Copied:
    """Size and digest of the copied file, the moment that it shows, and how it was made.

    `complaints`: what SQLite found wrong with the source itself at that moment. `measures`: of the copy, where they were
    taken while it was still being hashed.
    """

    file: FileEntry
    data_as_of: datetime
    method: str
    complaints: tuple[Finding, ...] = ()
    measures: Measures | None = None
