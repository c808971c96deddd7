"""What seems damaged in a store is read a second time before that is said; an empty listing is believed only with proof."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import BinaryIO

import pytest

from ops.errors import BackupError, StoreError
from ops.formats.names import manifest_key
from ops.model.findings import Severity
from ops.ports.store import StoredFile
from ops.repository.catalog import read_catalogue, read_manifest
from ops.repository.identity import IDENTITY_KEY, ensure_identity, read_identity
from ops.repository.listing import list_backups
from ops.repository.listing_row import NOT_WHOLE
from ops.stores.memory import MemoryStore
from tests.histories import stored_backup

NOW = datetime(2026, 6, 30, tzinfo=UTC)


@dataclass(slots=True)
class Damaging(MemoryStore):
    """A store that damages its next answers about these keys."""

    damaged: dict[str, int] = field(default_factory=dict)
    blind: bool = False

    def open(self, key: str) -> BinaryIO:
        """The content, or half of it."""
        with MemoryStore.open(self, key) as file:
            content = file.read()
        if self.damaged.get(key, 0):
            self.damaged[key] -= 1
            content = content[: len(content) // 2]
        return io.BytesIO(content)

    def list(self, prefix: str = "") -> Iterator[StoredFile]:
        """What is there, or nothing."""
        return iter(()) if self.blind else iter([*MemoryStore.list(self, prefix)])


def test_a_manifest_that_came_damaged_once_is_read() -> None:
    """One damaged answer is not a damaged manifest; two are."""
    store = Damaging()
    backup = stored_backup(store, NOW)
    key = manifest_key(backup.name)
    store.damaged[key] = 1
    assert read_manifest(store, key) == backup.manifest
    store.damaged[key] = 2
    with pytest.raises(BackupError) as caught:
        read_manifest(store, key)
    assert caught.value.code == "backup.manifest_invalid"


def test_an_identity_that_came_damaged_once_is_read() -> None:
    """The same for what the store says of itself."""
    store = Damaging()
    identity = ensure_identity(store)
    store.damaged[IDENTITY_KEY] = 1
    assert read_identity(store) == identity
    store.damaged[IDENTITY_KEY] = 2
    with pytest.raises(StoreError) as caught:
        read_identity(store)
    assert caught.value.code == "store.identity_invalid"


def test_a_listing_that_hides_everything_is_not_believed() -> None:
    """A store that is there and lists nothing at all is not an empty one; one without backups is."""
    store = Damaging()
    assert read_catalogue(store).backups == ()
    ensure_identity(store)
    assert read_catalogue(store).backups == ()
    assert list_backups(store, None).rows.as_list() == []
    stored_backup(store, NOW)
    store.blind = True
    for look in (read_catalogue, lambda one: list_backups(one, None)):
        with pytest.raises(StoreError) as caught:
            look(store)
        assert caught.value.code == "store.bad_listing"


@dataclass(slots=True)
class Hiding(MemoryStore):
    """A store whose listings hide a file, and which may not have it either."""

    hidden: str = ""

    def list(self, prefix: str = "") -> Iterator[StoredFile]:
        """All but that."""
        return iter([stored for stored in MemoryStore.list(self, prefix) if stored.key != self.hidden])


def test_a_payload_that_is_not_listed_is_asked_for() -> None:
    """What no listing shows and the store has is not called gone, in a catalogue and in a list; what it has not, is."""
    store = Hiding()
    backup = stored_backup(store, NOW)
    store.hidden = backup.name
    for findings in (read_catalogue(store).findings, list_backups(store, None).findings):
        assert {(item.code, item.severity) for item in findings} == {("store.unstable", Severity.WARNING)}
    assert list_backups(store, None).rows.as_list()[0].verified == ""
    del store.files[backup.name]
    for findings in (read_catalogue(store).findings, list_backups(store, None).findings):
        assert {(item.code, item.severity) for item in findings} == {
            ("backup.payload_missing", Severity.CRITICAL)
        }
    assert list_backups(store, None).rows.as_list()[0].verified == NOT_WHOLE
