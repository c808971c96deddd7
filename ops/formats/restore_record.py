"""Records of restores over the live data of a source <-> JSON. Pure.

Each is below the store's own prefix, once, and is never changed: of a series the one with the greatest `order` counts.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from ops.driverkit.row_digest import SEAL, document_seal, require_sealed
from ops.units import format_time, parse_time

VERSION: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreRecord:
    """The word that a backup was put in the place of the live data of a series.

    `backup`, `backup_job_id`: which one. `newest`: the sequence of the last backup, safety backups included, that the
    series had then: what a later backup has before itself tells whether the restore came in between, whatever clocks say.
    """

    series: str
    backup: str
    backup_job_id: str
    newest: int
    recorded_at: datetime
    host: str
    job_id: str

    @property
    def order(self) -> tuple[int, datetime]:
        """Return what records of one series are ordered by."""
        return self.newest, self.recorded_at


def to_json(record: RestoreRecord) -> bytes:
    """Return the record as it is stored."""
    document = {
        "version": VERSION,
        "series": record.series,
        "backup": record.backup,
        "backup_job_id": record.backup_job_id,
        "newest": record.newest,
        "recorded_at": format_time(record.recorded_at),
        "host": record.host,
        "job_id": record.job_id,
    }
    return json.dumps({**document, SEAL: document_seal(document)}, indent=2).encode("ascii") + b"\n"


def from_json(content: bytes) -> RestoreRecord | None:
    """Return the record that `content` holds; None for anything else: what cannot be read excuses nothing."""
    try:
        document: dict[str, Any] = json.loads(content)
        require_sealed(document, VERSION)
        return RestoreRecord(
            series=str(document["series"]),
            backup=str(document["backup"]),
            backup_job_id=str(document["backup_job_id"]),
            newest=int(document["newest"]),
            recorded_at=parse_time(document["recorded_at"]),
            host=str(document["host"]),
            job_id=str(document["job_id"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
