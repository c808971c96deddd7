"""What a run leaves in a store to say that it is at work there: who, with what, and for how long that holds. Pure.

.drillbook/leases/read/<payload>/<id>.<count>.json     somebody reads the backup: it is not deleted
.drillbook/leases/delete/<place>/<id>.<count>.json     somebody deletes backups of the source
.drillbook/writing/<payload>/<job>.json                somebody writes the payload: its name is taken
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import Any, Final, Self

READING: Final = "leases/read/"
DELETING: Final = "leases/delete/"
WRITING: Final = "writing/"
_VERSION: Final = 1
_NAME: Final = re.compile(r"(?P<id>[0-9a-f]{16})\.(?P<count>\d{1,9})\.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Who is at work: `verb` with which `subject` (a payload, or a source), since when, in which process.

    `writer`: the mark of the process; `length_s`: how long the note holds when it does not change; `renewed`: whether it
    changes while its owner lives. `resumable`: what a dead owner left is finished by a later run.
    """

    verb: str
    subject: str
    host: str
    writer: str
    job_id: str
    started_at: str
    length_s: float
    renewed: bool = True
    resumable: bool = False

    @property
    def length(self) -> timedelta:
        """Return how long the note holds when it does not change."""
        return timedelta(seconds=self.length_s)

    def unrenewed(self, length: timedelta) -> Self:
        """Return the same of an owner that writes it once, for `length`."""
        return replace(self, renewed=False, length_s=length.total_seconds())

    def __str__(self) -> str:
        """Return one phrase for a message."""
        return f"{self.verb} on {self.host} since {self.started_at} (job {self.job_id})"


def to_json(note: Note) -> bytes:
    """Return the file's content."""
    return (json.dumps({"version": _VERSION, **asdict(note)}, indent=2) + "\n").encode("ascii")


def from_json(content: bytes) -> Note | None:
    """Return what the file says, keys that are not known left aside; None for one that says nothing sensible."""
    try:
        said: Any = json.loads(content)
        note = Note(
            verb=str(said["verb"]),
            subject=str(said["subject"]),
            host=str(said["host"]),
            writer=str(said["writer"]),
            job_id=str(said["job_id"]),
            started_at=str(said["started_at"]),
            length_s=float(said["length_s"]),
            renewed=bool(said["renewed"]),
            resumable=bool(said.get("resumable", False)),
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return note if note.length_s > 0 else None


def lease_name(lease_id: str, count: int) -> str:
    """Return the last part of the key of a lease that was renewed so often."""
    return f"{lease_id}.{count}.json"


def parse_lease_name(name: str) -> tuple[str, int] | None:
    """Return id and count of a lease, from the last part of its key; None for another name."""
    found = _NAME.fullmatch(name)
    return None if found is None else (found["id"], int(found["count"]))
