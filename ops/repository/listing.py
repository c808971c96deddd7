"""What lies in a store: files that did not change are not read again.

Every verb finds its backups here. What is remembered only says which files to read: whatever is restored, proven or
said of a backup comes from the files themselves, and verbs that delete read all of them.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ops.formats.names import (
    CHECKSUM_SUFFIX,
    MANIFEST_SUFFIX,
    OTHER_CHECKSUM_SUFFIX,
    TOMBSTONE_SUFFIX,
    is_manifest_key,
    named_like_payload,
    payload_of_evidence,
    payload_of_pin,
    top_name,
)
from ops.model.findings import Finding, Severity
from ops.model.manifest import FileEntry
from ops.ports.stamps import ABSENT, NO_FILE, NOT_A_FILE, PACKED_WIDTH, UNSETTLED, Stamped, Stamps, packed
from ops.ports.store import LocalFiles, Store
from ops.repository.backup import Backup, Catalogue
from ops.repository.catalog import incomplete, read_backup, read_catalogue, unlisted
from ops.repository.identity import read_identity, require_listed
from ops.repository.integrity import wrong_size
from ops.repository.listing_cache import Memory, Remembered, can_be_remembered, fingerprint
from ops.repository.listing_row import NOT_WHOLE, Listed, Rows, listed

_SUFFIX: Final = ".json"
"""All that is read for a listing ends with it: manifests, evidence, pins."""
_READERS: Final = 8
_FEW: Final = 50
_GONE: Final = packed(NO_FILE)
_UNSETTLED: Final = packed(UNSETTLED)
_NEVER: Final = ""
"""Remembered as the fingerprint of what else was there, it is never that: a finding is worked out anew each time."""


@dataclass(frozen=True, slots=True)
class Listing:
    """The backups of a store, newest first by the sequence in their manifests, and what else lies there.

    A row whose payload is gone, or has another size than was recorded, says so in place of its verdicts.
    """

    rows: Rows
    findings: tuple[Finding, ...]


def list_backups(store: Store, cache: Path | None) -> Listing:
    """What is in `store`, with help of what earlier listings kept in the folder `cache`; the same as without.

    Raises StoreError when the store cannot be read.
    """
    identity = read_identity(store)
    if not isinstance(store, Stamped):
        catalogue = read_catalogue(store)
        whole = Rows.of([listed(backup) for backup in catalogue.backups])
        sizes = _sizes_by_top_name(store)
        return _truthful(
            store,
            Listing(whole, catalogue.findings),
            lambda names: [sizes.get(name, ABSENT) for name in names],
        )
    memory = Memory(cache, store.location)
    recall = functools.cache(memory.recall)
    found = store.stamps(_SUFFIX, lambda: recall().keys)
    known = recall()
    numbers = found.numbers()
    if not found.keys and not found.others:
        require_listed(store, identity)
    others = fingerprint(found.others)
    if (found.keys, others, numbers) == (known.keys, known.others, known.numbers) and found.keys:
        return _truthful(store, Listing(known.rows, ()), found.sizes)
    lacking = _incomplete(store, found)
    renewal = _Renewal(store, known, found.keys, numbers)
    try:
        rows, findings = renewal.read()
    finally:
        # Also what was read until somebody lost patience.
        renewal.remember(memory, _NEVER if lacking else others)
    return _truthful(store, Listing(rows, (*findings, *lacking)), found.sizes)


def _sizes_by_top_name(store: Store) -> dict[str, int]:
    return {
        top_name(stored.key): stored.size if top_name(stored.key) == stored.key else NOT_A_FILE
        for stored in store.list()
    }


def _truthful(store: Store, listing: Listing, sizes: Callable[[Sequence[str]], Sequence[int]]) -> Listing:
    """The listing, in which nothing is called verified or proven that is not there, or has another size."""
    names, recorded = listing.rows.column("name"), listing.rows.column("size")
    amiss = {
        name: _payload_amiss(store, name, size, now)
        for name, size, now in zip(names, recorded, sizes(names), strict=True)
        if now not in (size, NOT_A_FILE)
    }
    if not amiss:
        return listing
    lost = {name for name, finding in amiss.items() if finding.severity is Severity.CRITICAL}
    rows = [
        row._replace(verified=NOT_WHOLE, drilled=NOT_WHOLE) if row.name in lost else row
        for row in listing.rows.as_list()
    ]
    return Listing(Rows.of(rows), tuple(dict.fromkeys((*listing.findings, *amiss.values()))))


def _payload_amiss(store: Store, name: str, size: int, now: int) -> Finding:
    return unlisted(store, name) if now == ABSENT else wrong_size(FileEntry(name, size, ""), now)


def unread_manifests(there: Listing | Catalogue) -> list[Finding]:
    """Return what is told of manifests that cannot be read: nobody knows whose backups they are."""
    return [item for item in there.findings if is_manifest_key(item.where)]


def _incomplete(store: Store, found: Stamps) -> list[Finding]:
    """What misses its manifest or its payload. The names are looked at closely only when something does."""
    whole = {key.removesuffix(MANIFEST_SUFFIX) for key in found.keys if is_manifest_key(key)}
    suffixes = (CHECKSUM_SUFFIX, OTHER_CHECKSUM_SUFFIX)
    payloads = {key.rsplit(".", 1)[0] for key in found.others if key.endswith(suffixes)}
    payloads |= {key for key in set(found.others) - whole if named_like_payload(key)}
    gone = whole.difference(found.others, found.keys)
    if not gone and payloads <= whole and not any(key.endswith(TOMBSTONE_SUFFIX) for key in found.keys):
        return []
    return incomplete({top_name(stored.key) for stored in store.list()}, store)


def _payload_of(key: str) -> str | None:
    """Which backup a small file is read for."""
    if is_manifest_key(key):
        return key.removesuffix(MANIFEST_SUFFIX)
    return payload_of_evidence(key) or payload_of_pin(key)


class _Renewal:
    """Reading what is new or another, and forgetting what is gone."""

    def __init__(self, store: Store, known: Remembered, keys: Sequence[str], numbers: bytes) -> None:
        self._store, self._known, self._keys, self._numbers = store, known, keys, numbers
        # Of very many files only one table is held: where the remembered stamp of each is.
        before, touched = known.places(), set[str | None]()
        for key, stamp in self._found():
            place = before.pop(key, len(known.numbers))
            if stamp == _UNSETTLED or known.numbers[place : place + PACKED_WIDTH] != stamp:
                touched.add(_payload_of(key))
        touched.update(map(_payload_of, before))
        self._touched = {payload for payload in touched if payload is not None}
        del before
        self._near = self._files_of_touched()
        self._sure: list[Listed] = []

    def _found(self) -> Iterator[tuple[str, bytes]]:
        """Each file that is there now, with its stamp."""
        places = range(0, len(self._numbers), PACKED_WIDTH)
        for key, place in zip(self._keys, places, strict=True):
            stamp = self._numbers[place : place + PACKED_WIDTH]
            if stamp != _GONE:
                yield key, stamp

    def _files_of_touched(self) -> dict[str, str]:
        """Each file of a backup that must be read, with the name of that backup."""
        some = tuple(self._touched)
        keys = (key for key, _ in self._found() if len(some) > _FEW or key.startswith(some))
        return {key: payload for key in keys if (payload := _payload_of(key)) in self._touched and payload}

    def read(self) -> tuple[Rows, list[Finding]]:
        """All rows as they are now, and what cannot be read."""
        records: dict[str, list[str]] = {payload: [] for payload in self._touched}
        for key in sorted(self._near):
            if not is_manifest_key(key):
                records[self._near[key]].append(key)
        wanted = sorted(filter(is_manifest_key, self._near))
        rows, findings = list[Listed](), list[Finding]()
        jobs = [(key, records[self._near[key]]) for key in wanted]
        with contextlib.closing(_read_all(self._store, jobs)) as read:
            for backup, problems in read:
                findings += problems
                if backup is not None:
                    rows.append(listed(backup))
                    if not problems and can_be_remembered(rows[-1]):
                        self._sure.append(rows[-1])
        return self._known.rows.changed(self._touched, rows), findings

    def remember(self, memory: Memory, others: str) -> None:
        """Keep what was read whole from files that cannot change unseen."""
        settled = {row.name: row for row in self._sure}
        for key, stamp in self._found():
            if stamp == _UNSETTLED and key in self._near:
                settled.pop(self._near[key], None)
        keys, numbers = list[str](), bytearray()
        for key, stamp in self._found():
            if stamp != _UNSETTLED and (key not in self._near or self._near[key] in settled):
                keys.append(key)
                numbers += stamp
        rows = self._known.rows.changed(self._touched, [*settled.values()])
        now = Remembered(keys, bytes(numbers), others, rows)
        before = self._known
        if (now.keys, now.numbers, now.others) != (before.keys, before.numbers, before.others):
            memory.remember(now)


def _read_all(
    store: Store, wanted: Sequence[tuple[str, list[str]]]
) -> Generator[tuple[Backup | None, list[Finding]], None, None]:
    """Each manifest with its records, in that order; several at once where each is a question to a server."""

    def read(one: tuple[str, list[str]]) -> tuple[Backup | None, list[Finding]]:
        return read_backup(store, *one)

    if isinstance(store, LocalFiles):
        yield from map(read, wanted)
        return
    pool = ThreadPoolExecutor(_READERS, "listing")
    try:
        yield from pool.map(read, wanted)
    finally:
        pool.shutdown(cancel_futures=True)
