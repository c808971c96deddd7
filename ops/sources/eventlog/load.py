"""A fetched log as usable data."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Final

from ops.fsio.space import room_to_restore
from ops.model.manifest import Manifest, Payload
from ops.run.progress import Progress
from ops.sources.eventlog.archive.inspect import unpack
from ops.sources.eventlog.archive.shared_segments import members_of
from ops.sources.eventlog.copy import UNDECIDED, LogCopy
from ops.sources.eventlog.log.log import read_log

_FOLDER_FOR_A_LOG: Final = "log"


@contextlib.contextmanager
def loaded_log(payload: Payload, progress: Progress) -> Iterator[LogCopy]:
    """Yield the log unpacked in the payload's folder, each file as recorded, and its chain walked.

    Raises SourceError when a file is not as recorded.
    """
    folder, manifest = payload.folder / _FOLDER_FOR_A_LOG, payload.manifest
    progress.step("unpacking the log", manifest.size)
    unpack(payload, folder)
    progress.step("checking the chain")
    was_broken = str(manifest.measures.facts.get("first_broken", ""))
    yield LogCopy(read_log(folder), was_broken, bool(manifest.extra.get(UNDECIDED)))


def room_to_load(manifest: Manifest) -> int:
    """Return how many bytes the archive, what is in it, and a tenth more take."""
    return room_to_restore(manifest.size + sum(entry.size for entry in members_of(manifest).values()))
