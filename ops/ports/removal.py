"""What keeps stored files from being removed, and what is left of them: as stores tell it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class BucketProtection:
    """What a bucket does with what is removed from it; each `…_known` is false where the keys may not ask.

    `versioning`: whether it keeps what is removed as a version; None: unknown. `retention`: for how long it locks
    each new object by itself. `old_versions_end_after`: after which time a rule of the bucket removes what was removed
    from it; None: no rule does. `expires_after`: after which time a rule removes what nobody removed; None: none does.
    """

    versioning: bool | None
    retention: timedelta | None
    retention_known: bool
    old_versions_end_after: timedelta | None
    lifecycle_known: bool
    expires_after: timedelta | None = None


@dataclass(frozen=True, slots=True)
class ObjectProtection:
    """What keeps one object: until when it is locked (UTC, None: it is not), and whether a legal hold is on it."""

    until: datetime | None
    held: bool

    @property
    def holds(self) -> bool:
        """Return whether it may not be removed now."""
        return self.held or (self.until is not None and self.until > datetime.now(UTC))


@runtime_checkable
class Protecting(Protocol):
    """A store that can keep files from being removed, or keep what was removed."""

    def bucket_protection(self) -> BucketProtection:
        """Return what it does with what is removed; raises StoreError."""

    def protection_of(self, key: str) -> ObjectProtection:
        """Return what keeps `key`, of a folder the latest of its files; raises StoreError."""


def protection_of_all(store: Protecting, keys: Sequence[str]) -> ObjectProtection:
    """Return what keeps any of the `keys`."""
    found = [store.protection_of(key) for key in keys]
    until = max((each.until for each in found if each.until is not None), default=None)
    return ObjectProtection(until, any(each.held for each in found))
