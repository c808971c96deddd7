"""Whether a store is the one that this machine knew at its place: a switch of the whole process, like its umask.

Every verb reads a store's identity first, and there it is compared with what the state folder remembers. A disk that is
not mounted leaves an empty folder, which would else be taken for a store without backups, and filled.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Final

from ops.errors import StoreError
from ops.host.mounts import mount_of
from ops.host.seen_stores import SeenStore, forget_store, recall_store, remember_store
from ops.host.state_dir import StateDir
from ops.model.findings import Finding, Severity
from ops.ports.store import LocalFiles, Store

MISSING: Final = "store.missing"
"""The code of the error that another place than before is where a store should be."""
SHOWN_DIGITS: Final = 8
"""So much of a store's id is shown."""


@dataclass(slots=True)
class StoreWatch:
    """What one run knows of stores; `writes`: whether it may remember more; `rotated`: names of stores of several disks.

    `said`: what there is to say of stores that were read.
    """

    state: StateDir
    writes: bool = False
    rotated: frozenset[str] = frozenset()
    said: list[Finding] = field(default_factory=list)

    def compare(self, store: Store, found: str | None) -> None:
        """Compare the id that was found with what is remembered; remember it where that may be.

        Raises StoreError (`store.missing`) where there is none, and the place is another one than it was, or such a store
        is not always here.
        """
        seen = recall_store(self.state, store.location)
        if found is None:
            if store.name in self.rotated:
                raise _absent(store)
            if seen is not None and not self._was_deleted(store, seen):
                raise _missing(store, seen)
            if seen is not None and not self.writes:
                self._say(_deleted(store, seen))
            return
        rotated = store.name in self.rotated
        if seen is not None and found not in seen.ids and not rotated:
            self._say(_exchanged(store, seen.ids[-1], found))
        if self.writes:
            self._remember(store, seen, found, rotated=rotated)

    def made_anew(self, store: Store, new: str) -> list[Finding]:
        """Remember a store that was made a moment ago; what to say where another one was there before."""
        seen = recall_store(self.state, store.location)
        self._remember(store, seen, new, rotated=store.name in self.rotated)
        if seen is None or store.name in self.rotated:
            return []
        message = (
            f"store {store.name!r} ({store.location}) was made anew: the one that this machine knew there"
            f" ({seen.ids[-1][:SHOWN_DIGITS]}) was deleted, with all backups in it"
        )
        return [_finding(Severity.OK, "store.made_anew", message, store.name)]

    def newest_of(self, store: Store, source: str) -> datetime | None:
        """Return when the newest backup of the source was made that the store is known to have had."""
        seen = recall_store(self.state, store.location)
        return None if seen is None else seen.newest.get(source)

    def remember_newest(self, store: Store, source: str, made_at: datetime) -> None:
        """Keep when the newest backup of the source was made that the store has now."""
        seen = recall_store(self.state, store.location)
        if seen is not None and self.writes and seen.newest.get(source) != made_at:
            remember_store(self.state, replace(seen, newest={**seen.newest, source: made_at}))

    def forget(self, store: Store) -> bool:
        """Forget the store, so that it may be made anew; return whether its disk seems not mounted. Raises StateError."""
        seen = recall_store(self.state, store.location)
        forget_store(self.state, store.location)
        before = None if seen is None else seen.mount
        now = mount_of(folder_of(store)) if isinstance(store, LocalFiles) else None
        return before is not None and now is not None and Path(now.point) in Path(before.point).parents

    def _was_deleted(self, store: Store, seen: SeenStore) -> bool:
        """Whether the folder lies where it lay: then it was deleted, and its disk is there."""
        if not isinstance(store, LocalFiles) or seen.mount is None:
            return False
        now = mount_of(folder_of(store))
        return now is not None and now.is_same(seen.mount)

    def _remember(self, store: Store, seen: SeenStore | None, found: str, *, rotated: bool) -> None:
        mount = mount_of(folder_of(store)) if isinstance(store, LocalFiles) else None
        ids: tuple[str, ...] = (found,)
        if seen is not None and rotated:
            ids = (*(item for item in seen.ids if item != found), found)
        newest = seen.newest if seen is not None and (rotated or found in seen.ids) else {}
        now = SeenStore(location=store.location, ids=ids, mount=mount, newest=newest)
        if now != seen:
            remember_store(self.state, now)

    def _say(self, finding: Finding) -> None:
        if finding not in self.said:
            self.said.append(finding)


_WATCHES: Final[list[StoreWatch]] = []


@contextlib.contextmanager
def watching_stores(watch: StoreWatch) -> Iterator[StoreWatch]:
    """Have every store that is read while the block runs compared with what is remembered, in all threads."""
    _WATCHES.append(watch)
    try:
        yield watch
    finally:
        _WATCHES.remove(watch)


def current_watch() -> StoreWatch | None:
    """Return what compares stores now; None where nothing does."""
    return _WATCHES[-1] if _WATCHES else None


def folder_of(store: LocalFiles) -> Path:
    """Return the folder of a store that has its files here."""
    return store.path_of("payload").parent


def _missing(store: Store, seen: SeenStore) -> StoreError:
    if isinstance(store, LocalFiles):
        now, before = mount_of(folder_of(store)), seen.mount
        why = f"the folder lies on another disk than it did (now {now}; before {before})"
        hint = "mount its disk, or correct the path, and run it again"
    else:
        why = "the bucket or the prefix was emptied, or is another one"
        hint = "correct bucket and prefix, and run it again"
    message = (
        f"store {store.name!r} ({store.location}) is not the one that was there: its .drillbook/store.json is gone, and {why}."
        " Nothing was made"
    )
    return StoreError(message, code=MISSING, hint=f"{hint}. {_begin_anew(store)}")


def _absent(store: Store) -> StoreError:
    message = f"store {store.name!r} ({store.location}) is not here: it is offline, and has no .drillbook/store.json there now"
    return StoreError(message, code=MISSING, hint=f"bring its disk or tape. {_begin_anew(store)}")


def _begin_anew(store: Store) -> str:
    """In words, and not as the command to run next: with the disk away it would make a store below its mount point."""
    return f"Only where a new, empty store is to begin there: store.check --store {store.name} --create"


def _deleted(store: Store, seen: SeenStore) -> Finding:
    message = (
        f"store {store.name!r} ({store.location}) was deleted: the one that this machine knew there"
        f" ({seen.ids[-1][:SHOWN_DIGITS]}) is gone, with all backups in it; the next backup makes it anew"
    )
    return _finding(Severity.WARNING, "store.deleted", message, store.name)


def _exchanged(store: Store, before: str, now: str) -> Finding:
    message = (
        f"store {store.name!r} ({store.location}) is another one ({now[:SHOWN_DIGITS]}) than this machine knew there"
        f" ({before[:SHOWN_DIGITS]}): see which disk is mounted there, or which bucket it is"
    )
    return _finding(Severity.WARNING, "store.exchanged", message, store.name)


def _finding(severity: Severity, code: str, message: str, where: str) -> Finding:
    return Finding(severity=severity, code=code, message=message, where=where)
