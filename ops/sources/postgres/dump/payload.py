"""The files of a payload that are ours: the list of objects beside the archive, and every file's digest."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ops.errors import BackupError
from ops.fsio.atomic import PRIVATE_FILE, PRIVATE_FOLDER
from ops.fsio.copy import sha256_of
from ops.model.manifest import FileEntry
from ops.proc import worker_count
from ops.sources.postgres.catalog.definitions.definitions import Definitions
from ops.sources.postgres.catalog.objects import DatabaseObject
from ops.sources.postgres.dump.archive import OBJECTS_FILE

_ROWS: Final = re.compile(r"(blob_)?\d+\.dat(\.\w+)?\Z")
"""Files of rows and of large objects in the directory format of pg_dump; all others are written at its end."""


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
    """The objects that were in the source; raises BackupError when their list cannot be read."""
    try:
        document = json.loads((payload / OBJECTS_FILE).read_bytes())
        objects = [
            DatabaseObject(str(kind), str(name), str(owner)) for kind, name, owner in document["objects"]
        ]
        definitions = document.get("definitions")
        return Described(objects, None if definitions is None else Definitions.of_document(definitions))
    except (OSError, ValueError, KeyError, TypeError) as error:
        message = f"{OBJECTS_FILE} of the payload cannot be read: {error}"
        raise BackupError(message, code="backup.archive_unreadable", hint="use another backup") from error


class Hashing:
    """The digests of a payload's files: of data files as soon as pg_dump has closed them, of the rest when all is done.

    `done`: called with each file once, from one thread at a time.
    """

    def __init__(self, folder: Path, done: Callable[[Path, FileEntry], None]) -> None:
        self.folder, self._done = folder, done
        self._known: dict[Path, tuple[tuple[int, ...], FileEntry]] = {}

    def closed(self, path: Path) -> None:
        """Hash a file that is final: pg_dump opens those of rows once, and its tables of contents at the end."""
        if _ROWS.match(path.name):
            path.chmod(PRIVATE_FILE)
            stamp, entry = _stamp_of(path), _hash_file(path, self.folder)
            self._known[path] = stamp, entry
            self._done(path, entry)

    def rest(self) -> list[FileEntry]:
        """Every file with its size and digest, by path; those that were not told yet, or changed since, are now."""
        paths = sorted(path for path in self.folder.rglob("*") if path.is_file())
        for path in self.folder.rglob("*"):
            # Whatever the umask of a program was.
            path.chmod(PRIVATE_FOLDER if path.is_dir() else PRIVATE_FILE)
        left = [path for path in paths if self._known.get(path, (None,))[0] != _stamp_of(path)]
        with ThreadPoolExecutor(worker_count()) as pool:
            for path, entry in zip(
                left, pool.map(lambda path: _hash_file(path, self.folder), left), strict=True
            ):
                self._known[path] = _stamp_of(path), entry
                self._done(path, entry)
        return [self._known[path][1] for path in paths]


def _stamp_of(path: Path) -> tuple[int, ...]:
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


def _hash_file(path: Path, folder: Path) -> FileEntry:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        digest, size = sha256_of(descriptor)
    finally:
        os.close(descriptor)
    return FileEntry(str(path.relative_to(folder)), size, digest)
