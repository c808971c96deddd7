"""The newest backups of a source are those that a listing without any memory would name."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO

import pytest

from ops.errors import StoreError
from ops.formats import manifest as manifest_files
from ops.formats.names import manifest_key
from ops.fsio import file_stamps as stamps
from ops.ports.store import OWN_PREFIX, Store
from ops.repository import newest as module
from ops.repository.find import find_backup
from ops.repository.listing import list_backups
from ops.repository.newest import newest_of
from ops.stores.local.store import LocalOptions, LocalStore
from ops.stores.memory import MemoryStore
from tests.histories import WHOSE, looked_at, put, stored_backup
from tests.listings import day, put_all_kinds

pytestmark = pytest.mark.long


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """Where listings are remembered."""
    return tmp_path / "cache" / "drillbook"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files count as settled as soon as they are written."""
    monkeypatch.setattr(stamps, "_SETTLED_AFTER_NS", -(10**12))


def require_as_listed(store: Store, cache: Path | None) -> None:
    """For each source and for all it names what a fresh listing has, in that order, with what cannot be read."""
    fresh = list_backups(store, None)
    rows = fresh.rows.as_list()
    for source in {None, "nobody", *(row.source for row in rows)}:
        whose = replace(WHOSE, name=source) if source else None
        found = newest_of(store, whose, cache)
        expected = [
            (row.name, row.sequence, row.created, row.is_safety)
            for row in rows
            if source is None or (source, WHOSE.kind) == (row.source, row.kind)
        ]
        assert [tuple(item) for item in found.backups] == expected
        unread = {item.where for item in fresh.findings if item.where.endswith(".manifest.json")}
        assert {item.where for item in found.findings} == unread


def rename(store: LocalStore) -> None:
    """Another source's manifest takes the place of one, as when two stores are merged."""
    old = stored_backup(MemoryStore(), day(1), source="other")
    path = store.options.path / manifest_key(old.name)
    path.unlink()
    put(store, manifest_key(old.name), manifest_files.to_json(old.manifest))


def rewrite(store: LocalStore) -> None:
    """A manifest is written anew in place."""
    new = stored_backup(MemoryStore(), day(2), source="prices", tags=("safety",))
    path = store.options.path / manifest_key(new.name)
    path.chmod(0o600)
    path.write_bytes(manifest_files.to_json(new.manifest))


def delete_all(store: LocalStore) -> None:
    """Every manifest is gone."""
    for path in store.options.path.glob(manifest_key("*")):
        path.unlink()


def add_many(store: LocalStore) -> None:
    """More new backups than are read each time."""
    for number in range(module._FEW + 1):
        stored_backup(store, day(100 + number))


CHANGES: list[Callable[[LocalStore], object]] = [
    lambda _store: None,
    lambda store: stored_backup(store, day(50)),
    lambda store: stored_backup(store, day(-50)),
    lambda store: stored_backup(store, day(1) + timedelta(seconds=1), source="prices", tags=("safety",)),
    delete_all,
    lambda store: (store.options.path / "odd.db.manifest.json").write_bytes(b"{}"),
    rename,
    rewrite,
    add_many,
]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("remembered", ["all", "nothing", "no folder"])
def test_as_listed(
    store: LocalStore, cache: Path, change: Callable[[LocalStore], object], remembered: str
) -> None:
    """Whatever was remembered, and whatever happened since."""
    put_all_kinds(store)
    for number in range(3):
        looked_at(stored_backup(store, day(60 + number)))
    if remembered == "all":
        list_backups(store, cache)
    change(store)
    require_as_listed(store, None if remembered == "no folder" else cache)


def test_same_time(store: LocalStore, cache: Path) -> None:
    """Of two that were made at one time the order is that of the listing, though only one is remembered."""
    stored_backup(store, day(1), files=2)
    list_backups(store, cache)
    stored_backup(store, day(1))
    require_as_listed(store, cache)


def test_empty_and_not_there(tmp_path: Path, cache: Path) -> None:
    """An empty store and one that is not there have none."""
    for folder in (tmp_path, tmp_path / "nowhere"):
        found = newest_of(LocalStore("s", LocalOptions(path=folder)), None, cache)
        assert (list(found.backups), found.findings) == ([], ())


def test_without_stamps(cache: Path) -> None:
    """A store that cannot tell what changed is read whole."""
    store = MemoryStore()
    put_all_kinds(store)
    require_as_listed(store, cache)


def test_store_that_cannot_be_read(tmp_path: Path, cache: Path) -> None:
    """It is an error, never an empty store."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreError):
        newest_of(LocalStore("s", LocalOptions(path=tmp_path / "file")), None, cache)


def test_reads_what_is_new(store: LocalStore, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Known manifests are not opened, and neither is any evidence; `latest` opens the files of one backup."""
    for number in range(20):
        looked_at(stored_backup(store, day(number)))
    list_backups(store, cache)
    newest = stored_backup(store, day(30))
    opened: list[str] = []
    really = LocalStore.open

    def counting(store: LocalStore, key: str) -> BinaryIO:
        if not key.startswith(OWN_PREFIX):
            opened.append(key)
        return really(store, key)

    monkeypatch.setattr(LocalStore, "open", counting)
    assert next(newest_of(store, WHOSE, cache).backups).name == newest.name
    assert opened == [manifest_key(newest.name)]
    os.unlink(store.options.path / manifest_key(newest.name))
    opened.clear()
    assert find_backup(store, "latest", whose=WHOSE, cache=cache).manifest.created_at == day(19)
    assert len(opened) == 2


def test_many_new_ones_are_remembered(
    store: LocalStore, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So many new manifests are read once, and not again by the next run."""
    stored_backup(store, day(0))
    list_backups(store, cache)
    add_many(store)
    newest_of(store, None, cache)
    monkeypatch.setattr(module, "read_manifest", lambda *_: pytest.fail("it was read again"))
    assert len(list(newest_of(store, None, cache).backups)) == module._FEW + 2
