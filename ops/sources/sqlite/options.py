"""What the table of an SQLite source in `ops.toml` may hold."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from ops.sources.sqlite.complain import ForeignKeys
from ops.sources.sqlite.other_names import OtherNames


@dataclass(frozen=True, slots=True, kw_only=True)
class SqliteOptions:
    """What the table of an SQLite source may say beside what every source may.

    `path`: the database file. `busy_timeout`: how long to wait for a lock. `foreign_keys`: whether a reference to a row that
    is not there fails a drill (`check`), is only shown (`warn`), or is not looked for (`ignore`). `load_extension`: shared
    libraries that SQLite loads, so that what needs their modules, functions or collations can be checked. `other_names`: whether a
    file in WAL mode with a second name is refused, since its log may lie beside that. `digests`: of earlier versions; it is
    read and has no effect.
    """

    path: Path
    busy_timeout: timedelta = timedelta(seconds=30)
    load_extension: tuple[Path, ...] = ()
    other_names: OtherNames = "refuse"
    digests: bool | None = None
    foreign_keys: ForeignKeys = "check"

    @classmethod
    def of_location(cls, location: str) -> SqliteOptions:
        """Default options for the database file at `location`."""
        return cls(path=Path(location))
