"""What this machine has seen of each store, kept in its state folder: which one was there, on which disk, what it holds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from ops.errors import OpsError
from ops.fsio.atomic import make_private_folder, replace_durably, staged_file, write_all
from ops.host.mounts import Mount
from ops.host.state_dir import StateDir

_FOLDER: Final = "stores"
_VERSION: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenStore:
    """One store, by its location: the ids that were there (the latest last), on which mount (None: not a folder).

    `newest`: the time of the newest backup that it had of each source, by the source's name.
    """

    location: str
    ids: tuple[str, ...]
    mount: Mount | None = None
    newest: Mapping[str, datetime] = field(default_factory=dict)


def recall_store(state: StateDir, location: str) -> SeenStore | None:
    """Return what is remembered of the store there; None where that is nothing, or cannot be read."""
    try:
        document: Any = json.loads(_path(state.usable(make=False), location).read_bytes())
        mount = document["mount"]
        seen = SeenStore(
            location=str(document["location"]),
            ids=tuple(map(str, document["ids"])),
            mount=None if mount is None else Mount(**mount),
            newest={str(name): datetime.fromisoformat(at) for name, at in document["newest"].items()},
        )
    except (OSError, OpsError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return seen if seen.location == location and seen.ids else None


def remember_store(state: StateDir, seen: SeenStore) -> None:
    """Keep what was seen; where that cannot be, nothing is kept, and doctor says what is wrong with the state folder."""
    document = {
        "version": _VERSION,
        "location": seen.location,
        "ids": list(seen.ids),
        "mount": None if seen.mount is None else asdict(seen.mount),
        "newest": {name: at.isoformat() for name, at in seen.newest.items()},
    }
    try:
        path = _path(state.usable(), seen.location)
        make_private_folder(path.parent)
        with staged_file(path.parent, path.name) as staged:
            write_all(staged, json.dumps(document).encode("ascii"))
            replace_durably(staged.path, path)
    except (OSError, OpsError):
        return


def forget_store(state: StateDir, location: str) -> None:
    """Forget the store there; raises StateError when the state folder cannot be used."""
    _path(state.usable(), location).unlink(missing_ok=True)


def _path(folder: Path, location: str) -> Path:
    name = hashlib.sha256(location.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return folder / _FOLDER / f"{name}.json"
