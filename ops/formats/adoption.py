"""Records of series that were adopted <-> JSON. Pure.

Each lies below the store's own prefix, once, and is never changed: what was said last counts, by `order`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from ops.driverkit.row_digest import SEAL, document_seal, require_sealed
from ops.errors import BackupError
from ops.formats.wrong import in_words
from ops.units import format_time, parse_time

VERSION: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptionRecord:
    """The word that one series is the former part of another, or (`undone`) is so no longer.

    `by`: the place of the source that adopts (`Whose.place`); `adopted_place`: that of the series (empty in version 1).
    `order`: one more than that of every record of the series that was known. `newest`: the sequence of the last backup that
    the series had then: whatever it gets later is written by a machine that lives. `asked`: whether an operator said it.
    """

    adopted: str
    adopted_place: str
    by: str
    source: str
    order: int
    newest: int
    undone: bool
    asked: bool
    recorded_at: datetime
    host: str
    job_id: str


def to_json(record: AdoptionRecord) -> bytes:
    """Return the record as it is stored."""
    document = {
        "version": VERSION,
        "adopted": record.adopted,
        "adopted_place": record.adopted_place,
        "by": record.by,
        "source": record.source,
        "order": record.order,
        "newest": record.newest,
        "undone": record.undone,
        "asked": record.asked,
        "recorded_at": format_time(record.recorded_at),
        "host": record.host,
        "job_id": record.job_id,
    }
    return json.dumps({**document, SEAL: document_seal(document)}, indent=2).encode("ascii") + b"\n"


def from_json(content: bytes, name: str) -> AdoptionRecord:
    """Return the record that `content` holds; raises BackupError (`series.record_invalid`) for anything else."""
    try:
        document: dict[str, Any] = json.loads(content)
        require_sealed(document, VERSION)
        return AdoptionRecord(
            adopted=str(document["adopted"]),
            adopted_place=str(document["adopted_place"]),
            by=str(document["by"]),
            source=str(document["source"]),
            order=int(document["order"]),
            newest=int(document["newest"]),
            undone=bool(document["undone"]),
            asked=bool(document["asked"]),
            recorded_at=parse_time(document["recorded_at"]),
            host=str(document["host"]),
            job_id=str(document["job_id"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        message = f"the record {name} of an adopted series cannot be read: {in_words(error)}"
        hint = (
            "remove that one file, then run backup.adopt again; until then the series is not counted as ours"
        )
        raise BackupError(message, code="series.record_invalid", hint=hint) from error
