"""A copy that its disk loses while a backup is made says nothing about the database."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ops.actions.backup import take_backup
from ops.actions.begin_backup import BackupRequest
from ops.errors import StoreError
from ops.model.manifest import Captured
from ops.repository.repository import Repository
from ops.run.job import Job
from ops.run.progress import Progress
from ops.sources.sqlite.copied import Copied
from ops.sources.sqlite.source import SqliteSource
from ops.stores.local.store import LocalStore

LOSSES: dict[str, Callable[[Path], None]] = {
    "gone": Path.unlink,
    "empty": lambda path: os.truncate(path, 0),
    "half": lambda path: os.truncate(path, 4096),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_the_copy_is_blamed(
    source: SqliteSource, store: LocalStore, monkeypatch: pytest.MonkeyPatch, loss: str
) -> None:
    """Whatever happens to the half-written file before it is measured, it is named, and nobody is told to restore."""
    really = SqliteSource._measured

    def lost(self: SqliteSource, copied: Copied, payload: Path, progress: Progress) -> Captured:
        LOSSES[loss](payload)
        return really(self, copied, payload, progress)

    monkeypatch.setattr(SqliteSource, "_measured", lost)
    with pytest.raises(StoreError) as caught:
        take_backup(source, Repository(store=store), BackupRequest(), Job())
    assert caught.value.code == "store.changed"
    assert f"{store.options.path}/.tmp-backup-" in caught.value.message
    assert "restore" not in f"{caught.value.message} {caught.value.hint}"
    assert list(store.list()) == []


def test_the_copy_is_blamed_when_it_is_published(
    source: SqliteSource, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same for one that goes after it was measured."""
    really = SqliteSource._measured

    def lost(self: SqliteSource, copied: Copied, payload: Path, progress: Progress) -> Captured:
        captured = really(self, copied, payload, progress)
        payload.unlink()
        return captured

    monkeypatch.setattr(SqliteSource, "_measured", lost)
    with pytest.raises(StoreError) as caught:
        take_backup(source, Repository(store=store), BackupRequest(), Job())
    assert caught.value.code == "store.changed"
    assert f"{store.options.path}/.tmp-backup-" in caught.value.message
    assert list(store.list()) == []
