"""Leases: word in a store that somebody reads a backup, or deletes backups, for stores in which nothing can be locked.

A lease is a small file of its own; nobody ever replaces another's. Its owner renews it at a third of its length under
the next name. Who waits for it takes it for dead when it did not change for its whole length by the clock of its own
process, so that the times of two machines are never compared. Where a store keeps every version, a lease is written
once, and dead when it is older than a day by the store's own times.

Correctness does not hang on it: a reader finds out that its backup is gone, and a deleter whose lease was taken away while
it slept stops.
"""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from ops.errors import LockHeldError, OpsError, StoreError, StoreRefusedError
from ops.formats.lease import DELETING, READING, Note, lease_name, parse_lease_name, to_json
from ops.ports.store import OWN_PREFIX, Store
from ops.repository.notes import active, is_gone, new_note, read_note
from ops.repository.transfer import put_new
from ops.run.job import Job

UNRENEWED: Final = timedelta(days=1)
"""How long a note holds that is written once."""
_RENEWALS: Final = 3
"""How often a lease is renewed within its length."""
_LOOKS: Final = 20
"""How often a lease is looked at within its length, by somebody who waits for it."""
_SETTLE_S: Final = 2.0
"""How long one of two that began together waits for the other to step back."""


def _time_s() -> float:
    """Seconds that also count while the machine sleeps, where it has such a clock."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


@dataclass(slots=True)
class Lease:
    """A lease that this process holds below `folder`; `count` is how often it was renewed."""

    store: Store
    folder: str
    note: Note
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    count: int = 0
    _renewed_at: float = field(default_factory=_time_s)
    _over: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def key(self) -> str:
        """Return where it lies now."""
        return f"{self.folder}{lease_name(self.id, self.count)}"

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold it while the block runs; raises what the store raises when it cannot be written."""
        thread = threading.Thread(target=self._renew, name="lease", daemon=True)
        with active(self.id):
            put_new(self.store, self.key, to_json(self.note))
            thread.start()
            try:
                yield
            finally:
                self._over.set()
                thread.join()
                with contextlib.suppress(OpsError):
                    self.store.delete(self.key)

    def _renew(self) -> None:
        while not self._over.wait(self.note.length_s / _RENEWALS) and self.note.renewed:
            # What cannot be renewed now is tried again; whoever waits for it takes it for dead in the end.
            with contextlib.suppress(OpsError):
                self._renew_once()

    def _renew_once(self) -> None:
        with self._lock:
            former = self.key
            if not self._is_there(former):
                return  # taken for dead: it does not come back to life
            put_new(self.store, f"{self.folder}{lease_name(self.id, self.count + 1)}", to_json(self.note))
            self.count += 1
            self._renewed_at = _time_s()
            try:
                self.store.delete(former)
            except StoreRefusedError:
                self._say_last()
            except StoreError:
                pass

    def _say_last(self) -> None:
        """Write it once more, for a day: with keys that may not delete, every further renewal would stay."""
        self.note = self.note.unrenewed(UNRENEWED)
        put_new(self.store, f"{self.folder}{lease_name(self.id, self.count + 1)}", to_json(self.note))
        self.count += 1

    def _is_there(self, key: str) -> bool:
        return any(stored.key == key for stored in self.store.list(key))

    def require(self) -> None:
        """Return when nobody can have taken the lease for dead; raises LockHeldError when somebody did."""
        with self._lock:
            fresh = _time_s() - self._renewed_at < self.note.length_s / 2
            if fresh or self._is_there(self.key):
                return
        message = f"the lease on {self.note.subject!r} in store {self.store.name!r} was taken for dead while this run slept"
        raise LockHeldError(message, hint="nothing more was deleted; run it again")


@contextlib.contextmanager
def read_lease(store: Store, payload: str, verb: str, job: Job) -> Iterator[None]:
    """Say that `payload` is read while the block runs; raises what the store raises when that cannot be written."""
    with Lease(
        store, f"{OWN_PREFIX}{READING}{payload}/", _fitting(store, new_note(verb, payload, job))
    ).held():
        yield


@contextlib.contextmanager
def delete_lease(store: Store, place: str, note: Note, wait_s: float) -> Iterator[Lease | None]:
    """Be the only one that deletes backups of the source at `place` in `store` while the block runs.

    Yields None where the store shows no leases. Raises LockHeldError when another run is at work after `wait_s` seconds.
    """
    folder, until = f"{OWN_PREFIX}{DELETING}{place}/", time.monotonic() + wait_s
    while True:
        lease = Lease(store, folder, _fitting(store, note))
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(lease.held())
            except OpsError:
                yield None
                return
            found = _ids(store, folder)
            if lease.id not in found:
                yield None
                return
            other = _standing_in_the_way(store, folder, lease.id)
            if other is None:
                yield lease
                return
        if time.monotonic() >= until:
            message = f"backups of source {note.subject!r} in store {store.name!r} are being deleted by another run: {other}"
            raise LockHeldError(message, hint="let it finish, or wait for it with --wait SECONDS")
        time.sleep(secrets.randbelow(1000) / 1000)


def _standing_in_the_way(store: Store, folder: str, own: str) -> Note | None:
    """The living lease of another run; None when we are the only one.

    Of two that began together the one with the smaller id stays: the other steps back when it sees that.
    """
    settled = time.monotonic() + _SETTLE_S
    while True:
        living = Observer(store).living(folder, own)
        if not living:
            return None
        if any(other < own for other in living) or time.monotonic() >= settled:
            return next(iter(living.values()))
        time.sleep(_SETTLE_S / 10)


def _fitting(store: Store, note: Note) -> Note:
    """The note, which is never renewed where the store would keep each renewal."""
    return note if store.keeps_versions() is False else note.unrenewed(UNRENEWED)


def _ids(store: Store, folder: str) -> dict[str, tuple[int, str]]:
    """By id the count and key of each lease below `folder`; of one that is being renewed the newer."""
    found: dict[str, tuple[int, str]] = {}
    for stored in store.list(folder):
        name = parse_lease_name(stored.key.rpartition("/")[2])
        if name is not None and name[1] >= found.get(name[0], (-1, ""))[0]:
            found[name[0]] = (name[1], stored.key)
    return found


@dataclass(slots=True)
class Observer:
    """Tells living leases from dead ones, and remembers which are dead for as long as this process runs."""

    store: Store
    _dead: set[str] = field(default_factory=set)

    def living(self, folder: str, own: str = "", among: Collection[str] = ()) -> dict[str, Note]:
        """Return by id the leases below `folder` whose owners live, but for our `own`; dead ones are removed.

        `among`: only those that lie in these folders below it. Takes up to the length of a lease where nothing else can
        be known of its owner.
        """
        seen = {
            lease_id: (count, key)
            for lease_id, (count, key) in _ids(self.store, folder).items()
            if lease_id != own and (not among or key.removeprefix(folder).rpartition("/")[0] in among)
        }
        living: dict[str, Note] = {}
        unknown: dict[str, Note] = {}
        for lease_id, (_, key) in seen.items():
            note = read_note(self.store, key)
            if lease_id in self._dead or self._is_dead(note, lease_id, key):
                self._bury(lease_id, key)
            elif note is not None:
                known = not note.renewed or is_gone(note, lease_id) is False
                (living if known else unknown)[lease_id] = note
        return {**living, **self._watched(folder, seen, unknown)}

    def _is_dead(self, note: Note | None, lease_id: str, key: str) -> bool:
        """Whether the owner is surely gone; a lease that cannot be read is as long as any."""
        if is_gone(note, lease_id):
            return True
        if note is not None and note.renewed:
            return False
        age = self.store.age(key)
        return age is not None and age >= (UNRENEWED if note is None else note.length)

    def _bury(self, lease_id: str, key: str) -> None:
        self._dead.add(lease_id)
        with contextlib.suppress(OpsError):
            for stored in list(self.store.list(f"{key.rpartition('/')[0]}/{lease_id}.")):
                self.store.delete(stored.key)

    def _watched(
        self, folder: str, seen: dict[str, tuple[int, str]], unknown: dict[str, Note]
    ) -> dict[str, Note]:
        """Those of `unknown` that changed within their length; the others are dead."""
        started, living = time.monotonic(), dict[str, Note]()
        while waiting := {one: note for one, note in unknown.items() if one not in living}:
            now = _ids(self.store, folder)
            passed = time.monotonic() - started
            for lease_id, note in waiting.items():
                count, key = now.get(lease_id, (None, ""))
                if count is None:
                    unknown.pop(lease_id)  # its owner is done
                elif count != seen[lease_id][0]:
                    living[lease_id] = note
                elif passed > note.length_s:
                    self._bury(lease_id, key)
                    unknown.pop(lease_id)
            time.sleep(min((note.length_s for note in waiting.values()), default=0) / _LOOKS)
        return living

    def watch_readers(self, payloads: Collection[str]) -> None:
        """Find out at once which leases of readers of the `payloads` are dead."""
        if payloads:
            self.living(f"{OWN_PREFIX}{READING}", among=set(payloads))

    def readers(self, payload: str) -> list[Note]:
        """Return who reads `payload` now, without waiting: a lease that was not known to be dead lives."""
        folder, found = f"{OWN_PREFIX}{READING}{payload}/", []
        for lease_id, (_, key) in _ids(self.store, folder).items():
            note = read_note(self.store, key)
            if lease_id in self._dead or self._is_dead(note, lease_id, key):
                self._bury(lease_id, key)
            elif note is not None:
                found.append(note)
        return found


def all_notes(store: Store, most: int = 50) -> list[Note]:
    """Return who says that he is at work in `store`, at most so many; of owners that are gone nothing."""
    notes = []
    for kind in (READING, DELETING):
        for lease_id, (_, key) in list(_ids(store, f"{OWN_PREFIX}{kind}").items())[:most]:
            note = read_note(store, key)
            if note is not None and not is_gone(note, lease_id):
                notes.append(note)
    return notes
