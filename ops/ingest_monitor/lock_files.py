"""The lock files of ingest jobs, one a ticker, looked at without touching any lock.

To try a lock would be to hold it for a moment, in which a job that does not wait gives up. Linux says in /proc/locks who
holds which file (proc(5)); elsewhere it is not known whether a lock file that lies there is held.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

_SUFFIX: Final = ".lock"
_LINE: Final = re.compile(
    r"\d+: (?:FLOCK|POSIX|OFDLCK)\s+\S+\s+\S+\s+(?P<pid>-?\d+) (?P<major>[0-9a-f]+):(?P<minor>[0-9a-f]+):(?P<inode>\d+) "
)
_KERNEL: Final = Path("/proc/locks")


@dataclass(frozen=True, slots=True)
class IngestLock:
    """A lock file: whether it is held (None: nobody says), by which process, and when the file was last written."""

    ticker: str
    held: bool | None
    pid: int | None
    since: datetime


def find_locks(folder: Path | None, tickers: Collection[str]) -> Mapping[str, IngestLock]:
    """The lock files of these tickers in `folder`, by ticker; nothing where there is no such folder."""
    if folder is None:
        return {}
    holders = _holders()
    found = {
        ticker: _look(folder / f"{ticker}{_SUFFIX}", ticker, holders)
        for ticker in tickers
        if _is_name(ticker)
    }
    return {ticker: lock for ticker, lock in found.items() if lock is not None}


def _is_name(ticker: str) -> bool:
    return "/" not in ticker and "\0" not in ticker and ticker not in {"", ".", ".."}


def _look(path: Path, ticker: str, holders: Mapping[tuple[int, int, int], int] | None) -> IngestLock | None:
    try:
        there = path.lstat()
    except OSError:
        return None
    since = datetime.fromtimestamp(there.st_mtime, UTC)
    if holders is None:
        return IngestLock(ticker, None, None, since)
    pid = holders.get((os.major(there.st_dev), os.minor(there.st_dev), there.st_ino))
    if pid is None and any(inode == there.st_ino for _, _, inode in holders):
        # Some file systems (btrfs, overlays) have another device for stat() than for locks: it may be this one.
        return IngestLock(ticker, None, None, since)
    return IngestLock(ticker, pid is not None, pid, since)


def _holders() -> dict[tuple[int, int, int], int] | None:
    """By device and inode the process that holds a lock on it; None where the kernel does not say."""
    try:
        lines = _KERNEL.read_text("ascii", "replace").splitlines()
    except OSError:
        return None
    found = {}
    for line in lines:
        # A line with an arrow is of one who waits.
        match = None if "->" in line else _LINE.match(line)
        if match:
            place = int(match["major"], 16), int(match["minor"], 16), int(match["inode"])
            found[place] = int(match["pid"])
    return found
