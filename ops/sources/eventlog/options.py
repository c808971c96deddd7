"""What the table of an event log in `ops.toml` may hold."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class EventLogOptions:
    """What the table of an event log may say beside what every source may.

    `path`: the data folder that holds `event-log/`. `incremental`: whether segments that an earlier backup in the same
    store holds unchanged are left to it. `full_every`: how old the oldest backup may be that a new one needs.
    `retention_segments`: how many segments the program keeps when it prunes, which tells a pruned log from a cut one.
    """

    path: Path
    incremental: bool = False
    full_every: timedelta = timedelta(days=30)
    retention_segments: int | None = None
