"""What the configuration says of snapshots: where they are, how long they stay, and what they are of."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ops.config.tables import Place, build, expand_variables
from ops.errors import ConfigError
from ops.model.close_names import close_or_all
from ops.snapshots.definition import BUILT_IN, Definition

KEYS: Final = ("snapshot", "snapshot_dir", "snapshot_retention_days")
"""What stands at the top of a file about snapshots."""
_DAYS: Final = range(36501)


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotSettings:
    """The folder of snapshots, the days that they stay at least, and their definitions by name."""

    folder: Path = Path("snapshots")
    retention_days: int = 90
    definitions: Mapping[str, Definition] = field(default_factory=lambda: dict(BUILT_IN))

    def definition(self, name: str) -> Definition:
        """The definition of that name; raises ConfigError that lists the names there are."""
        if name not in self.definitions:
            hint = f"there are: {', '.join(sorted(self.definitions))}; add [snapshot.{name}]"
            raise ConfigError(f"no snapshot {name!r}", code="config.unknown_snapshot", hint=hint)
        return self.definitions[name]

    def definition_of_file(self, name: str) -> Definition:
        """The definition by which a file of that name was written: its beginning says so, or it is of prices."""
        fitting = [key for key in self.definitions if name.startswith(f"{key.replace('.', '_')}-")]
        return self.definitions[max(fitting, key=len, default="prices")]


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotTable:
    """The keys of `[snapshot.NAME]`; see `Definition`."""

    source: str | None = None
    table: str | None = None
    key: str | None = None
    suffix: str | None = None
    order: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()


def read_snapshots(
    document: dict[str, Any],
    tables: Collection[tuple[str, dict[str, Any]]],
    environ: Mapping[str, str],
    place: Place,
    sources: Collection[str],
) -> SnapshotSettings:
    """What a configuration says of snapshots, with `SNAPSHOT_DIR` and `SNAPSHOT_RETENTION_DAYS` where it says nothing."""
    folder = document.get("snapshot_dir", "${SNAPSHOT_DIR:-./snapshots}")
    folder = expand_variables(folder, environ, place)
    if not isinstance(folder, str) or not folder or "\0" in folder:
        raise ConfigError(f"{place.at('snapshot_dir')}: {folder!r} is no text like a path")
    days = document.get("snapshot_retention_days", "${SNAPSHOT_RETENTION_DAYS:-90}")
    return SnapshotSettings(
        folder=place.folder / Path(folder).expanduser(),
        retention_days=_days(expand_variables(days, environ, place), place),
        definitions={
            **BUILT_IN,
            **{name: _definition(name, table, environ, place, sources) for name, table in tables},
        },
    )


def _days(value: object, place: Place) -> int:
    text = str(value)
    if isinstance(value, bool) or not (text.isascii() and text.isdigit()) or int(text) not in _DAYS:
        message = (
            f"{place}, snapshot_retention_days (SNAPSHOT_RETENTION_DAYS): {value!r} is no number of days"
        )
        raise ConfigError(message, hint="like 90")
    return int(text)


def _definition(
    name: str, table: dict[str, Any], environ: Mapping[str, str], place: Place, sources: Collection[str]
) -> Definition:
    here = place.of(f"snapshot.{name}")
    values = {key: expand_variables(value, environ, here) for key, value in table.items()}
    given = build(SnapshotTable, values, here)
    if given.source is not None and given.source not in sources:
        hint = close_or_all(given.source, sorted(sources), "configured")
        raise ConfigError(
            f"{here.near('source')}: unknown source {given.source!r}", code="config.unknown_source", hint=hint
        )
    for key in ("order", "columns"):
        if len(set(getattr(given, key))) < len(getattr(given, key)):
            raise ConfigError(f"{here.at(key)}: a column is named twice")
    base = BUILT_IN.get(name, Definition(name=name, table=name))
    said = {key: getattr(given, key) for key in table}
    needed = given.columns or base.needed
    return dataclasses.replace(base, **said, needed=needed)
