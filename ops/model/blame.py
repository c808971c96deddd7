"""Which errors say something about data that was read, and which only that nobody could look."""

from __future__ import annotations

from typing import Final

_DAMAGED: Final = frozenset(
    (
        "cipher.damaged",
        "cipher.not_encrypted",
        "source.corrupt",
        "source.encrypted",
        "source.hot_journal",
        "source.not_a_database",
        "source.not_a_file",
        "source.not_migrated",
        "source.query_failed",
    )
)
_NOT_LOOKED: Final = frozenset(
    ("backup.evidence_invalid", "backup.manifest_newer", "backup.not_found", "backup.pin_invalid")
)


def says_damage(code: str) -> bool:
    """Return whether an error of this code says that data was read and is wrong.

    A connection that was cut, a store that does not answer, credentials that expired, a full disk, a program that is
    missing or was killed say nothing of the kind, and neither does any code of a later version.
    """
    return (code.startswith("backup.") and code not in _NOT_LOOKED) or code in _DAMAGED
