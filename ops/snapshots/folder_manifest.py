"""A manifest of checksums, `checksums.json`: what files a folder holds, each with its SHA-256.

    {"generated_at": "2026-01-02T03:04:05.000Z", "files": {"snapshots/PETR4-20260102.csv": {"sha256": "…", …}}}

Read are also a bare mapping without the level `files`, digests that are bare texts, and keys that are absolute paths
or begin at the folder's parent, at the folder, or are names alone. Written are keys that begin at the parent of the
folder of snapshots, and for any other folder at itself.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any, Final

from ops.errors import SnapshotError, StoreError
from ops.fsio.atomic import replace_durably, translated_write_errors, write_all
from ops.fsio.durable import fsync_descriptor
from ops.fsio.leftovers import staged_beside
from ops.fsio.output import opened_file
from ops.units import format_time

FILE_NAME: Final = "checksums.json"
_SHA256: Final = re.compile(r"[0-9A-Fa-f]{64}")
_LARGEST: Final = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What is recorded of one thing in a folder.

    A file has `sha256` in small letters and perhaps its size in bytes; a symbolic link has `link`, where it points;
    everything else has `kind`: `pipe`, `socket`, `device`. Of a snapshot also its first line and its last lines,
    so that a later verify can tell what is another.
    """

    sha256: str | None = None
    size: int | None = None
    link: str | None = None
    kind: str | None = None
    header: str | None = None
    tail: tuple[str, ...] = ()

    @property
    def identity(self) -> tuple[str | None, str | None, str | None]:
        """What must be equal for the thing to be the same."""
        return self.sha256, self.link, self.kind


@dataclass(frozen=True, slots=True)
class Placed:
    """Entries by the path of the file inside the folder, the keys that mean no one file in it with why, and all keys.

    `paths`: key -> path inside the folder.
    """

    entries: Mapping[str, Entry]
    strange: Mapping[str, str]
    paths: Mapping[str, str]


def read_manifest(path: Path) -> dict[str, Entry]:
    """Key -> entry, as the file has them.

    Raises SnapshotError (`snapshot.not_found`, `snapshot.unreadable`, `snapshot.manifest_invalid`), also for a key that
    stands there twice: which of the two holds cannot be known.
    """
    text = _content(path)
    try:
        document = json.loads(text, object_pairs_hook=_without_duplicates)
        files = document["files"] if isinstance(document.get("files"), dict) else document
        return {
            key: _entry(key, value)
            for key, value in files.items()
            if files is not document or key not in _OWN
        }
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        message = f"{path} cannot be read as a manifest of checksums: {error}"
        hint = "restore it from version control, or write it anew with --update once you know that the files are right"
        raise SnapshotError(message, code="snapshot.manifest_invalid", hint=hint) from error


_OWN: Final = frozenset(("generated_at", "version"))


def _content(path: Path) -> bytes:
    if not os.path.lexists(path):
        hint = "take one with --update"
        raise SnapshotError(f"there is no manifest {path}", code="snapshot.not_found", hint=hint)
    try:
        with opened_file(path) as descriptor, open(descriptor, "rb", closefd=False) as file:
            return file.read(_LARGEST)
    except (OSError, StoreError) as error:
        why = error.strerror if isinstance(error, OSError) else error.message
        raise SnapshotError(f"{path} cannot be read: {why}", code="snapshot.unreadable") from error


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"{key!r} stands there twice")
        found[key] = value
    return found


def _entry(key: str, value: Any) -> Entry:  # noqa: ANN401 - whatever JSON holds
    fields = {"sha256": value} if isinstance(value, str) else value
    sha256, link, kind = (fields.get(name) for name in ("sha256", "link", "kind"))
    texts = [item for item in (sha256, link, kind) if isinstance(item, str)]
    if len(texts) != 1 or (sha256 is not None and not _SHA256.fullmatch(str(sha256))):
        raise ValueError(f"{key!r} has no SHA-256 of 64 hexadecimal digits")
    tail = fields.get("tail", [])
    header, size = fields.get("header"), fields.get("size")
    return Entry(
        sha256=None if sha256 is None else sha256.lower(),
        size=size if isinstance(size, int) else None,
        link=link,
        kind=kind,
        header=header if isinstance(header, str) else None,
        tail=tuple(line for line in tail if isinstance(line, str)) if isinstance(tail, list) else (),
    )


def place_entries(entries: Mapping[str, Entry], folder: Path, there: Collection[str]) -> Placed:
    """The entries of snapshots by path inside `folder`; `there` are the paths of the snapshots that lie in it.

    Where all keys begin with the folder's name, they begin at its parent. Other keys mean what lies there under the
    same path, else under the same name, since the manifest may have been written elsewhere. Where a name fits several
    files, or two keys mean one, they are strange.
    """
    names: dict[str, list[str]] = {}
    for inside in there:
        names.setdefault(PurePosixPath(inside).name, []).append(inside)
    above = all(key.startswith(f"{folder.name}/") for key in entries)
    placed: dict[str, Entry] = {}
    strange: dict[str, str] = {}
    paths: dict[str, str] = {}
    for key, entry in entries.items():
        path, is_foreign = _inner(key, folder, there, above=above)
        by_name = names.get(PurePosixPath(path).name, []) if is_foreign else []
        found = by_name[0] if by_name else path
        if len(by_name) > 1:
            strange[key] = "its name fits several files"
        elif found in placed:
            strange[key] = f"another key means {found}, too"
        else:
            placed[found], paths[key] = entry, found
    return Placed(placed, strange, paths)


def _inner(key: str, folder: Path, there: Collection[str], *, above: bool) -> tuple[str, bool]:
    """The path inside the folder that a key means, never one outside, and whether its name alone is to be trusted."""
    pure = PurePosixPath(key)
    if ".." in pure.parts:
        return pure.name, True
    if pure.is_absolute():
        is_here = pure.is_relative_to(folder)
        return (pure.relative_to(folder).as_posix(), False) if is_here else (pure.name, True)
    path = pure.relative_to(folder.name).as_posix() if above else pure.as_posix()
    return path, not above and path not in there


def place_in_folder(entries: Mapping[str, Entry]) -> Placed:
    """The entries of any folder: keys are paths inside it, and nothing else."""
    strange = {
        key: "it leads out of the folder"
        for key in entries
        if PurePosixPath(key).is_absolute() or ".." in PurePosixPath(key).parts
    }
    placed = {key: entry for key, entry in entries.items() if key not in strange}
    return Placed(placed, strange, {key: key for key in placed})


def write_manifest(path: Path, prefix: str, entries: Mapping[str, Entry], now: datetime) -> None:
    """Put a manifest of `entries` in the place of the one at `path`, durably, in one step; keys get `prefix` in front.

    Raises SpaceError or StoreError; then the former one is as it was.
    """
    files = {f"{prefix}{inside}": _document(entries[inside]) for inside in sorted(entries)}
    document = {"generated_at": format_time(now), "files": files}
    with staged_beside(path.parent, path.name) as staged:
        write_all(staged, json.dumps(document, indent=2).encode("ascii") + b"\n")
        with translated_write_errors(path):
            fsync_descriptor(staged.descriptor)
        replace_durably(staged.path, path)


def _document(entry: Entry) -> dict[str, object]:
    fields = {
        "sha256": entry.sha256,
        "link": entry.link,
        "kind": entry.kind,
        "size": entry.size,
        "header": entry.header,
        "tail": list(entry.tail) or None,
    }
    return {name: value for name, value in fields.items() if value is not None}
