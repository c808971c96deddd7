"""The files of a payload that are ours: the list of objects beside the archive, and every file's digest."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ops.errors import BackupError
from ops.fsio.atomic import PRIVATE_FILE, PRIVATE_FOLDER
from ops.fsio.copy import sha256_of
from ops.model.manifest import FileEntry
from ops.proc import worker_count
from ops.sources.postgres.catalog.definitions.definitions import Definitions
from ops.sources.postgres.catalog.objects import DatabaseObject
from ops.sources.postgres.dump.archive import OBJECTS_FILE


@dataclass(frozen=True, slots=True)
class Described:
    """What a payload says of the source: its objects, and their definitions (None: an earlier version wrote it)."""

    objects: Sequence[DatabaseObject] = ()
    definitions: Definitions | None = None


def write_objects(payload: Path, described: Described) -> None:
    """Keep the list of objects and their definitions beside the archive."""
    document: dict[str, object] = {
        "objects": [[item.type, item.identity, item.owner] for item in described.objects]
    }
    if described.definitions is not None:
        document["definitions"] = described.definitions.to_document()
    (payload / OBJECTS_FILE).write_text(json.dumps(document, indent=0) + "\n", "ascii")


def read_objects(payload: Path) -> Described:
    """The objects that were in the source; raises BackupError when their list can not be read."""
    try:
        document = json.loads((payload / OBJECTS_FILE).read_bytes())
        objects = [
            DatabaseObject(str(kind), str(name), str(owner)) for kind, name, owner in document["objects"]
        ]
        definitions = document.get("definitions")
        return Described(objects, None if definitions is None else Definitions.of_document(definitions))
    except (OSError, ValueError, KeyError, TypeError) as error:
        message = f"{OBJECTS_FILE} of the payload can not be read: {error}"
        raise BackupError(message, code="backup.archive_unreadable", hint="use another backup") from error


def hash_files(folder: Path, done: Callable[[Path, FileEntry], None]) -> list[FileEntry]:
    """Every file below `folder` with its size and digest, by path; hashed in parallel, and each handed to `done` then."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    for path in folder.rglob("*"):
        # Whatever the umask of a program was.
        path.chmod(PRIVATE_FOLDER if path.is_dir() else PRIVATE_FILE)
    with ThreadPoolExecutor(worker_count()) as pool:
        entries = []
        for path, entry in zip(paths, pool.map(lambda path: _hash_file(path, folder), paths), strict=True):
            done(path, entry)
            entries.append(entry)
        return entries


def _hash_file(path: Path, folder: Path) -> FileEntry:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        digest, size = sha256_of(descriptor)
    finally:
        os.close(descriptor)
    return FileEntry(str(path.relative_to(folder)), size, digest)
