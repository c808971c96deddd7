"""Which files of a data folder belong to the log. Pure."""

from __future__ import annotations

import re
from typing import Final

FOLDER: Final = "event-log"
SNAPSHOT: Final = "event-log-snapshot.json"
LEGACY: Final = "event-log.json"
_SEGMENT: Final = re.compile(r"segment-(\d{6})\.json", re.ASCII)
_LIKE_A_SEGMENT: Final = re.compile(r"segment-.*\.json", re.DOTALL)


def segment_number(name: str) -> int | None:
    """The number of the segment that a file of that name is; None when the program that writes the log ignores it."""
    match = _SEGMENT.fullmatch(name)
    return int(match[1]) if match else None


def segment_path(number: int) -> str:
    """Where the segment of that number lies in a data folder."""
    return f"{FOLDER}/segment-{number:06}.json"


def looks_like_a_segment(name: str) -> bool:
    """Whether somebody may take it for a segment that is none: the program that writes the log does not see it."""
    return segment_number(name) is None and _LIKE_A_SEGMENT.fullmatch(name) is not None
