"""What writers that died left half done in a folder, and what of that is removed: nothing that is not surely ours."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from ops.errors import OpsError
from ops.formats import manifest as manifest_files
from ops.formats.names import checksum_key, is_manifest_key, manifest_key, own_manifest_key
from ops.fsio.atomic import STAGED_PREFIX
from ops.fsio.copy import sha256_of
from ops.fsio.leftovers import FolderClock, Leftover, claimed_leftover, leftover_at, name_in_mark
from ops.fsio.remove import remove_tree
from ops.model.manifest import FileEntry, Manifest
from ops.ports.store import OWN_PREFIX, StoredFile

_DEEPEST: Final = 2
"""How many folders below our own prefix hold small records that are staged; deeper ones may hold very many files."""


class Folder(Protocol):
    """As much of the store as is needed here."""

    @property
    def location(self) -> str:
        """The folder's path."""

    def path_of(self, key: str) -> Path:
        """Where the file of `key` lies."""

    def open(self, key: str) -> BinaryIO:
        """The stored file."""

    def list(self, prefix: str = "") -> Iterable[StoredFile]:
        """The files that are complete."""

    def delete(self, key: str) -> None:
        """Remove the file or folder."""


def sweep(store: Folder) -> list[str]:
    """Remove what dead writers left in the folder of `store`; the names that are gone now.

    A writer stages the manifest before it publishes the payload: a dead one's staged manifest whose final name is not
    there names a payload that is no backup. In a folder that holds no backup nothing is touched.
    """
    folder = Path(store.location)
    staged = [path for path in _staged(folder) if name_in_mark(path.name) is not None]
    if not staged or not _is_ours(folder):
        return []
    clock, removed = FolderClock(folder), list[str]()
    for path in staged:
        with claimed_leftover(path, clock) as claimed:
            if claimed:
                removed += _remove(store, path)
    return removed


def leftovers(store: Folder) -> list[Leftover]:
    """Return what is staged there, written by nobody who is known, and not removed by `sweep`."""
    folder = Path(store.location)
    clock = FolderClock(folder)
    found = (leftover_at(path, clock) for path in _staged(folder))
    return [item for item in found if item is not None]


def _staged(folder: Path) -> list[Path]:
    own = folder / OWN_PREFIX.rstrip("/")
    deeper = (path for depth in range(1, _DEEPEST + 1) for path in own.glob("/".join("*" * depth)))
    places = [folder, own, *(path for path in deeper if path.is_dir() and not path.is_symlink())]
    return sorted(path for place in places for path in _staged_in(place))


def _staged_in(folder: Path) -> Iterator[Path]:
    # Not by glob, which makes a path of every name.
    with (
        contextlib.suppress(FileNotFoundError, NotADirectoryError, PermissionError),
        os.scandir(folder) as entries,
    ):
        yield from (Path(entry.path) for entry in entries if entry.name.startswith(STAGED_PREFIX))


def _is_ours(folder: Path) -> bool:
    """Whether it holds backups of ours, or the word that it is a store."""
    if (folder / OWN_PREFIX / "store.json").exists():
        return True
    with os.scandir(folder) as entries:
        return any(
            is_manifest_key(entry.name) and not entry.name.startswith(STAGED_PREFIX) for entry in entries
        )


def _remove(store: Folder, staged: Path) -> list[str]:
    """Remove what one dead writer left; the caller holds the staged file's lock, so nobody revives it."""
    keys = []
    if is_manifest_key(name_in_mark(staged.name) or ""):
        keys = _unfinished(store, staged)
    for key in keys:
        store.delete(key)
    remove_tree(staged)
    return [*keys, staged.name]


def _unfinished(store: Folder, staged: Path) -> list[str]:
    """The published files of the backup that a staged manifest speaks of, when they are surely its own.

    Surely: byte for byte what the manifest says, and nobody else stages a manifest of that name. Anything else of the
    name belongs to somebody else.
    """
    try:
        manifest = manifest_files.from_json(staged.read_bytes(), staged.name)
        final = store.path_of(manifest_key(manifest.payload))
        if final.exists() or _has_other_writer(manifest, staged):
            return []
        if any(not _is_stored(store, entry) for entry in manifest.files):
            return []
    except (OpsError, OSError):
        return []
    payload = manifest.payload
    beside = [key for key in (own_manifest_key(payload), checksum_key(payload)) if key is not None]
    known = {entry.path for entry in manifest.files}
    if any(file.key not in known for file in store.list() if file.key.startswith(f"{payload}/")):
        return []
    return [payload, *(key for key in beside if store.path_of(key).exists())]


def _has_other_writer(manifest: Manifest, staged: Path) -> bool:
    name = f"{STAGED_PREFIX}{manifest_key(manifest.payload)}"
    return any(path != staged and path.name.startswith(name) for path in _staged_in(staged.parent))


def _is_stored(store: Folder, entry: FileEntry) -> bool:
    with store.open(entry.path) as file:
        return sha256_of(file.fileno()) == (entry.sha256, entry.size)
