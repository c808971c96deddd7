"""What tests of captures share: a capture, what is in an archive, and a listener that acts at a point of the work."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from ops.run.progress import Progress, silent
from ops.sources.eventlog.archive.pack import PackedLog, pack_log

MOMENT = datetime(2026, 3, 15, 8, 15, tzinfo=UTC)


@dataclass
class Hook:
    """A listener that does something when the reading begins, or when so many segments were read."""

    act: Callable[[], object]
    after: int = 0
    seen: int = field(default=0, init=False)

    def step(self, what: str, total: int | None = None) -> None:
        """The reading begins, perhaps again."""
        self.seen = 0
        self._look()

    def advance(self, count: int) -> None:
        """One more segment was read."""
        self.seen += 1
        self._look()

    def _look(self) -> None:
        if self.seen == self.after:
            self.act()


def once(act: Callable[[], object]) -> Callable[[], None]:
    """The same for the first call only."""
    calls: list[int] = []

    def first_only() -> None:
        if not calls:
            calls.append(1)
            act()

    return first_only


def packed(folder: Path, into: Path, progress: Progress = silent) -> PackedLog:
    """The log in an archive, with an empty manifest."""
    into.write_bytes(b"")
    return pack_log(folder, into, lambda found: b"{}", lambda: MOMENT, progress)


def contents(archive: Path) -> dict[str, bytes]:
    """Each member's content, as Python's own tarfile reads it."""
    with tarfile.open(archive) as tar:
        return {member.name: (tar.extractfile(member) or io.BytesIO()).read() for member in tar}


def segment(folder: Path, number: int) -> Path:
    """Where a segment lies."""
    return folder / f"event-log/segment-{number:06}.json"


def files_of(folder: Path) -> dict[str, bytes]:
    """The files of a data folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.json")}
