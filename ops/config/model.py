"""What a configuration says, once it is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ops.errors import ConfigError
from ops.model import Assertion, Objectives
from ops.ports import Source, Store


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfiguredSource:
    """One entry of the artefact catalogue: the built source, and what the operator promised about it.

    `stores` are names; backups are made in the first.
    """

    source: Source
    stores: tuple[str, ...]
    objectives: Objectives
    assertions: tuple[Assertion, ...]
    tags: tuple[str, ...]
    min_free: int | None
    owner: str
    description: str

    @property
    def name(self) -> str:
        """The configured name."""
        return self.source.info.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Everything that was configured. `path` is the file, or None when the environment alone was used."""

    path: Path | None
    sources: Mapping[str, ConfiguredSource]
    stores: Mapping[str, Store]
    scratch: Path

    def source(self, name: str) -> ConfiguredSource:
        """The source of that name; raises ConfigError that lists the names there are."""
        if name not in self.sources:
            hint = f"configured: {', '.join(sorted(self.sources)) or 'none'}"
            raise ConfigError(f"no source {name!r}", code="config.unknown_source", hint=hint)
        return self.sources[name]

    def home_of(self, source: ConfiguredSource) -> Store:
        """The store in which the source's backups are made."""
        return self.stores[source.stores[0]]
