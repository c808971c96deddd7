"""The newest backups of a source, found without a look at what is known already.

Names and the stamps of manifests tell which backups there are; what earlier listings read of them tells whose they are
and when they were made. Records (evidence, pins) say nothing about that, and are not looked at.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from ops.errors import OpsError
from ops.formats.names import MANIFEST_SUFFIX, SAFETY_TAG, manifest_key
from ops.model.findings import Finding
from ops.model.moment import microseconds, moment_of
from ops.ports.stamps import WIDTH, Stamped, Stamps
from ops.ports.store import Store
from ops.repository.catalog import read_manifest
from ops.repository.identity import read_identity
from ops.repository.integrity import critical
from ops.repository.listing import list_backups, unread_manifests
from ops.repository.listing_cache import Memory, Remembered

_FEW: Final = 50
"""As many new manifests are read again each time; with more the whole listing is renewed, and remembers them."""
_STAMP: Final = 8 * WIDTH


class Named(NamedTuple):
    """One backup: its place in the order, when it was made (microseconds since 1970), whether it is one of a restore."""

    name: str
    sequence: int
    created: int
    is_safety: bool

    @property
    def created_at(self) -> datetime:
        """When it was made."""
        return moment_of(self.created)


@dataclass(frozen=True, slots=True)
class Newest:
    """The backups of a source, newest first, each made when it is asked for; what could not be read on the way."""

    backups: Iterator[Named]
    findings: tuple[Finding, ...]


def newest_of(store: Store, source: str | None, cache: Path | None) -> Newest:
    """Return the backups of the source in `store` (None: of all), with help of what listings kept in `cache`.

    The same, and in the same order, as in a listing. Raises StoreError when the store cannot be read.
    """
    if not isinstance(store, Stamped):
        return _of_listing(store, source, cache)
    read_identity(store)
    memory = Memory(cache, store.location)
    known = memory.recall()
    found = store.stamps(MANIFEST_SUFFIX, lambda: known.keys)
    others = _others(found, known)
    if len(others) > _FEW:
        return _of_listing(store, source, cache)
    new, findings = list[Named](), list[Finding]()
    for key in sorted(others):
        try:
            manifest = read_manifest(store, key)
        except OpsError as error:
            findings.append(critical(error, key))
            continue
        if source in {None, manifest.source.name}:
            made = microseconds(manifest.created_at)
            new.append(Named(manifest.payload, manifest.sequence, made, SAFETY_TAG in manifest.tags))
    there = set(found.keys).difference(others)
    before = (item for item in _chosen(known.rows.column, source) if manifest_key(item.name) in there)
    return Newest(heapq.merge(before, sorted(new, key=_order), key=_order), tuple(findings))


def _of_listing(store: Store, source: str | None, cache: Path | None) -> Newest:
    listing = list_backups(store, cache)
    return Newest(_chosen(listing.rows.column, source), tuple(unread_manifests(listing)))


def _others(found: Stamps, known: Remembered) -> list[str]:
    """The manifests that are not those which were read before."""
    at = dict(zip(known.keys, range(0, len(known.numbers), _STAMP), strict=True))
    numbers, before = found.numbers(), known.numbers
    return [
        key
        for key, place in zip(found.keys, range(0, len(numbers), _STAMP), strict=True)
        if numbers[place : place + _STAMP] != before[(then := at.get(key, len(before))) : then + _STAMP]
    ]


def _chosen(column: Callable[[str], Sequence[Any]], source: str | None) -> Iterator[Named]:
    """Those of one source, or of all, in the order of the columns, which is newest first."""
    fields = ("name", "sequence", "created", "source", "tags")
    for name, sequence, created, owner, tags in zip(*map(column, fields), strict=True):
        if source in {None, owner}:
            yield Named(name, sequence, created, SAFETY_TAG in tags)


def _order(item: Named) -> tuple[int, int, str]:
    return -item.sequence, -item.created, manifest_key(item.name)
