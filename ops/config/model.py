"""What a configuration says, once it is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from ops.config.ingest import IngestConfig
from ops.config.snapshots import SnapshotSettings
from ops.errors import ConfigError
from ops.host.state_dir import StateDir
from ops.model.close_names import close_or_all
from ops.model.complaints import Known
from ops.model.requests import Assertion, Objectives
from ops.model.series import Machine, Whose
from ops.ports.cipher import Cipher
from ops.ports.source import Source
from ops.ports.store import Store
from ops.repository.retention import DEFAULT_POLICY, Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfiguredSource:
    """One entry of the artefact catalogue: the built source, and what the operator promised about it.

    `stores` are names; backups are made in the first. `by_scope`: policies for backups that hold only a part.
    `series`: the operator's word for whose the backups are (empty: told by host and place). `asserted`: the assertions as their tables have them.
    `known`: what is known to be wrong with its data.
    """

    source: Source
    stores: tuple[str, ...]
    objectives: Objectives
    assertions: tuple[Assertion, ...]
    tags: tuple[str, ...]
    min_free: int | None
    owner: str
    description: str
    policy: Policy = DEFAULT_POLICY
    by_scope: Mapping[str, Policy] = field(default_factory=dict)
    series: str = ""
    asserted: tuple[Mapping[str, object], ...] = ()
    known: tuple[Known, ...] = ()

    @property
    def name(self) -> str:
        """The configured name."""
        return self.source.info.name

    def whose(self, machine: Machine) -> Whose:
        """Return whose backups are its own on this machine."""
        return Whose.of(self.source, machine, self.series)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSettings:
    """What was said of a store beside where it is.

    Its own retention (None: each source's), how much it may hold, and what copies in it are sealed with. `offline`: it is
    not always here, and should get copies `every` so often.
    """

    policy: Policy | None = None
    limit: int | None = None
    cipher: Cipher | None = None
    plain_measures: bool = False
    offline: bool = False
    every: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Everything that was configured. `path` is the file, or None when the environment alone was used; `host` may be empty."""

    path: Path | None
    sources: Mapping[str, ConfiguredSource]
    stores: Mapping[str, Store]
    scratch: Path
    state: StateDir
    host: str = ""
    store_settings: Mapping[str, StoreSettings] = field(default_factory=dict)
    ciphers: Mapping[str, Cipher] = field(default_factory=dict)
    policies: Mapping[str, Policy] = field(default_factory=dict)
    ingest: IngestConfig = field(default_factory=IngestConfig)
    snapshots: SnapshotSettings = field(default_factory=SnapshotSettings)

    def source(self, name: str) -> ConfiguredSource:
        """The source of that name; raises ConfigError that lists the names there are."""
        if name not in self.sources:
            hint = close_or_all(name, sorted(self.sources), "configured")
            raise ConfigError(f"no source {name!r}", code="config.unknown_source", hint=hint)
        return self.sources[name]

    def store(self, name: str) -> Store:
        """The store of that name; raises ConfigError that lists the names there are."""
        if name not in self.stores:
            hint = close_or_all(name, sorted(self.stores), "configured")
            raise ConfigError(f"no store {name!r}", code="config.unknown_store", hint=hint)
        return self.stores[name]

    def settings_of(self, store: str) -> StoreSettings:
        """What was said of the store of that name."""
        return self.store_settings.get(store, StoreSettings())

    def policy_of(self, source: ConfiguredSource, store: str) -> Policy:
        """What keeps the source's backups in that store: the store's own policy before the source's."""
        return self.settings_of(store).policy or source.policy

    @property
    def offline(self) -> frozenset[str]:
        """The names of the stores that are not always here."""
        return frozenset(name for name, said in self.store_settings.items() if said.offline)

    def further_stores(self, source: ConfiguredSource) -> list[str]:
        """The stores that get copies of the source's backups."""
        return list(source.stores[1:])

    def home_of(self, source: ConfiguredSource) -> Store:
        """The store in which the source's backups are made."""
        return self.stores[source.stores[0]]
