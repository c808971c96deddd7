"""What stores have in common: how long backups stay, how much may be held, and what copies are sealed with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any, Final

from ops.config.model import StoreSettings
from ops.config.tables import Place, build
from ops.errors import ConfigError
from ops.model.close_names import close_or_all
from ops.ports.cipher import Cipher
from ops.repository.retention import Policy
from ops.units import Size

STORE_KEYS: Final = frozenset(("kind", "policy", "limit", "encrypt", "plain_measures", "offline", "every"))
"""The keys that every store may have; its kind adds its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _StoreTable:
    policy: str | None = None
    limit: Size | None = None
    encrypt: str | None = None
    plain_measures: bool = False
    offline: bool = False
    every: timedelta | None = None


def read_policy(name: str, table: dict[str, Any], place: Place) -> Policy:
    """The policy that `[policy.NAME]` means; raises ConfigError for one that keeps nothing."""
    here = place.of(f"policy.{name}")
    policy = build(Policy, table, here)
    if policy.keep_last < 0:
        raise ConfigError(f"{here.at('keep_last')}: {policy.keep_last} is no number of backups")
    if not policy.keeps_something:
        hint = "say at least one of keep_last, keep_hourly, keep_daily, keep_weekly, keep_monthly, keep_yearly, forever"
        raise ConfigError(f"{here}: this policy keeps nothing", code="config.missing_key", hint=hint)
    return policy


@dataclass(frozen=True, slots=True)
class Named:
    """What tables may refer to by name."""

    policies: Mapping[str, Policy]
    ciphers: Mapping[str, Cipher]


def read_store_settings(name: str, table: dict[str, Any], place: Place, named: Named) -> StoreSettings:
    """What `[store.NAME]` says beside its kind's own keys."""
    here = place.of(f"store.{name}")
    keys = [field.name for field in fields(_StoreTable)]
    common = build(_StoreTable, {key: table[key] for key in keys if key in table}, here)
    policy = None if common.policy is None else known_policy(common.policy, named.policies, here)
    cipher = None if common.encrypt is None else _known_cipher(common.encrypt, named.ciphers, here)
    if common.offline != (common.every is not None):
        hint = "a store that is not always here says both: after `every` without a copy there, doctor warns"
        missing = "every" if common.offline else "offline"
        raise ConfigError(f"{here}: key {missing!r} is needed", code="config.missing_key", hint=hint)
    return StoreSettings(
        policy=policy,
        limit=common.limit,
        cipher=cipher,
        plain_measures=common.plain_measures,
        offline=common.offline,
        every=common.every,
    )


def _known_cipher(name: str, ciphers: Mapping[str, Cipher], place: Place) -> Cipher:
    if name not in ciphers:
        hint = close_or_all(name, sorted(ciphers), "configured")
        raise ConfigError(
            f"{place.near('encrypt')}: unknown cipher {name!r}", code="config.unknown_cipher", hint=hint
        )
    return ciphers[name]


def known_policy(name: str, policies: Mapping[str, Policy], place: Place) -> Policy:
    """The policy of that name; raises ConfigError that lists those there are."""
    if name not in policies:
        hint = close_or_all(name, sorted(policies), "configured")
        raise ConfigError(
            f"{place.near('policy')}: unknown policy {name!r}", code="config.unknown_policy", hint=hint
        )
    return policies[name]
