"""A store as Drillbook uses it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ops.host.state_dir import StateDir
from ops.model.series import Machine
from ops.ports.cipher import Cipher
from ops.ports.store import Store
from ops.repository.retention import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """One store, and what this machine was told of it; the functions of this folder take it, actions pass it on.

    `policy`: retention of the store's own (None: each source's); `policies`: those that a backup may name; `limit`: bytes that it may hold. `encryption`: the
    cipher for everything that is put there, `decryptors` those that may open what is there;
    `plain_measures`: what tells of the content of encrypted backups stays plain in their manifests. `scratch`: the folder in
    which temporary folders are made. `plain_store`: makes a store of such a folder, where the plain backup is captured
    and verified before it is encrypted. `cache`: the folder in which listings remember what they read. `machine`:
    this one; `state`: where its locks are (None for a store that no other run can know).
    """

    store: Store
    policy: Policy | None = None
    policies: Mapping[str, Policy] = field(default_factory=dict)
    limit: int | None = None
    encryption: Cipher | None = None
    decryptors: tuple[Cipher, ...] = ()
    plain_measures: bool = False
    scratch: Path = field(default_factory=lambda: Path(tempfile.gettempdir()))
    plain_store: Callable[[Path], Store] | None = None
    cache: Path | None = None
    machine: Machine = field(default_factory=Machine)
    state: StateDir | None = None

    @property
    def name(self) -> str:
        """The store's configured name."""
        return self.store.name

    @property
    def location(self) -> str:
        """Where the store is, for people, free of secrets."""
        return self.store.location
