"""The manifest inside the archive of an event log, as that log's own program writes and reads it. Pure.

It lies beside the archive too, byte for byte, because the program's own restore looks for it there. All that is in it
stands in our manifest as well, so that it can be made again wherever that one can be read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from ops.driverkit.json_text import indented_json
from ops.errors import BackupError
from ops.formats.dependencies import KEY as NEEDS
from ops.formats.names import own_manifest_key
from ops.formats.wrong import in_words
from ops.model.manifest import FileEntry, Manifest
from ops.units import format_time

KEY: Final = "own_manifest"
"""What our manifest records of it: size and SHA-256."""
STORED: Final = "own_manifest_stored"
"""The same of the encrypted one beside an encrypted backup, in the open part of the manifest."""
_PLAIN: Final = ".tar.gz"
_VERSION: Final = 1
_MEMBERS: Final = "members"
_ABOUT: Final = ("source_dir", "eventlog_summary", "chain_valid_at_backup")


def own_manifest(moment: datetime, document: Mapping[str, Any]) -> bytes:
    """Return it for a log as it was at `moment`; `document` holds what our manifest keeps of it.

    Its keys, in their order: version, created_at, source_dir, files, eventlog_summary, chain_valid_at_backup, and of an
    incremental backup `needs`.
    """
    source_dir, summary, valid = (document[key] for key in _ABOUT)
    return indented_json(
        {
            "version": _VERSION,
            "created_at": format_time(moment),
            "source_dir": source_dir,
            "files": document[_MEMBERS],
            "eventlog_summary": summary,
            "chain_valid_at_backup": valid,
            **({NEEDS: document[NEEDS]} if NEEDS in document else {}),
        }
    )


def about(content: bytes) -> dict[str, object]:
    """Return what our manifest records of it."""
    return {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def recorded(manifest: Manifest) -> FileEntry | None:
    """Return name, size and digest of the one that lies beside the plain payload; None for backups without one.

    Raises BackupError (`backup.manifest_invalid`) when what is recorded cannot be read.
    """
    return _entry(manifest, KEY) if manifest.payload.endswith(_PLAIN) else None


def recorded_as_stored(manifest: Manifest) -> FileEntry | None:
    """Return the same of the one that lies beside an encrypted payload; raises as `recorded` does."""
    return _entry(manifest, STORED)


def with_stored(manifest: Manifest, content: bytes) -> Manifest:
    """Return the manifest of an encrypted backup with what is recorded of the encrypted one beside it."""
    return replace(manifest, extra={**manifest.extra, STORED: about(content)})


def _entry(manifest: Manifest, recorded_as: str) -> FileEntry | None:
    key, said = own_manifest_key(manifest.payload), manifest.extra.get(recorded_as)
    if key is None or said is None:
        return None
    try:
        return FileEntry(key, int(said["size"]), str(said["sha256"]))  # type: ignore[index]
    except (KeyError, TypeError, ValueError) as error:
        message = f"the manifest of {manifest.payload} does not say what lies beside it: {in_words(error)}"
        raise BackupError(message, code="backup.manifest_invalid", hint="use another backup") from error


def made_again(manifest: Manifest) -> tuple[str, bytes] | None:
    """Return name and content of the one of a plain backup, made from our manifest; None for backups without one.

    Raises BackupError (`backup.manifest_invalid`) when that is not what was recorded.
    """
    entry = recorded(manifest)
    if entry is None:
        return None
    try:
        content = own_manifest(manifest.data_as_of, manifest.extra)
    except KeyError as error:
        raise _other(manifest) from error
    if about(content) != {"size": entry.size, "sha256": entry.sha256}:
        raise _other(manifest)
    return entry.path, content


def _other(manifest: Manifest) -> BackupError:
    message = f"the manifest of {manifest.payload} contradicts itself about the one that lies beside it"
    return BackupError(message, code="backup.manifest_invalid", hint="use another backup, or another copy")
