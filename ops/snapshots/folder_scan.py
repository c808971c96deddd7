"""What lies in a folder, each thing as an entry of a manifest. Nothing is followed, nothing that could block is opened."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ops.errors import SnapshotError
from ops.fsio.atomic import STAGED_PREFIX
from ops.run.progress import Progress, silent
from ops.snapshots.checksum_file import digest_of
from ops.snapshots.folder_manifest import Entry

_KINDS = {stat.S_IFIFO: "pipe", stat.S_IFSOCK: "socket", stat.S_IFBLK: "device", stat.S_IFCHR: "device"}


@dataclass(frozen=True, slots=True)
class Scanned:
    """Entries by path inside the folder, and paths that could not be read, with the reason."""

    entries: dict[str, Entry]
    unreadable: dict[str, str]


def paths_in(folder: Path, unreadable: dict[str, str]) -> Iterator[str]:
    """Paths inside `folder` of all that is no folder, in order; folders that cannot be listed go to `unreadable`.

    Names are text with surrogate escapes, whatever their bytes. Files that are still being written are left out.
    """

    def complain(error: OSError) -> None:
        unreadable[os.path.relpath(error.filename, folder)] = error.strerror or str(error)

    for place, folders, files in os.walk(folder, onerror=complain):
        folders.sort()
        # os.walk lists links to folders among the folders, and does not follow them.
        links = [name for name in folders if os.path.islink(os.path.join(place, name))]  # noqa: PTH114, PTH118 - quicker
        for name in sorted([*files, *links]):
            if not name.startswith(STAGED_PREFIX):
                yield os.path.relpath(os.path.join(place, name), folder)  # noqa: PTH118 - quicker


def scan_folder(folder: Path, without: Path, progress: Progress = silent) -> Scanned:
    """All that lies in `folder` and below, but the file `without`.

    Raises SnapshotError when there is no such folder, or it cannot be read at all.
    """
    if not folder.is_dir():
        raise SnapshotError(f"there is no folder {folder}", code="snapshot.not_found")
    scanned = Scanned({}, {})
    progress.step("hashing")
    for inside in paths_in(folder, scanned.unreadable):
        path = folder / inside
        if path == without:
            continue
        try:
            scanned.entries[inside] = _entry(path, progress)
        except (OSError, SnapshotError) as error:
            if not os.path.lexists(path):
                continue  # it went while we looked: it is not there
            scanned.unreadable[inside] = (
                (error.strerror or "") if isinstance(error, OSError) else error.message
            )
    return scanned


def _entry(path: Path, progress: Progress) -> Entry:
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        return Entry(link=os.readlink(path))  # noqa: PTH115 - as text, not as a path
    if not stat.S_ISREG(status.st_mode):
        return Entry(kind=_KINDS.get(stat.S_IFMT(status.st_mode), "unknown"))
    sha256, size = digest_of(path, progress)
    return Entry(sha256=sha256, size=size)
