"""Pins <-> JSON: somebody's word that a backup must stay, kept as a file beside it. Pure."""

from __future__ import annotations

import json
from typing import Any, Final

from ops.driverkit.row_digest import SEAL, document_seal, require_sealed
from ops.errors import BackupError
from ops.formats.wrong import in_words
from ops.model.evidence import Pin
from ops.units import format_time, parse_time

VERSION: Final = 1


def to_document(pin: Pin) -> dict[str, object]:
    """The pin as plain JSON values."""
    return {
        "version": VERSION,
        "backup": pin.backup,
        "reason": pin.reason,
        "until": None if pin.until is None else format_time(pin.until),
        "pinned_at": format_time(pin.pinned_at),
        "job_id": pin.job_id,
        "host": pin.host,
    }


def to_json(pin: Pin) -> bytes:
    """The pin as it is stored."""
    document = to_document(pin)
    return json.dumps({**document, SEAL: document_seal(document)}, indent=2).encode("ascii") + b"\n"


def from_json(content: bytes, name: str) -> Pin:
    """The pin that `content` holds; raises BackupError (`backup.pin_invalid`) when it is not readable as such."""
    try:
        document: dict[str, Any] = json.loads(content)
        require_sealed(document, VERSION)
        return Pin(
            backup=str(document["backup"]),
            reason=str(document["reason"]),
            until=None if document["until"] is None else parse_time(document["until"]),
            pinned_at=parse_time(document["pinned_at"]),
            job_id=str(document["job_id"]),
            host=str(document["host"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        message = f"pin {name} cannot be read: {in_words(error)}"
        raise BackupError(
            message, code="backup.pin_invalid", hint="it keeps its backup until it is removed"
        ) from error
