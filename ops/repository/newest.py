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
from ops.formats.names import MANIFEST_SUFFIX, SAFETY_TAG, is_manifest_key, manifest_key
from ops.model.findings import Finding
from ops.model.moment import moment_of
from ops.model.series import Whose
from ops.ports.stamps import PACKED_WIDTH, Stamped, Stamps
from ops.ports.store import Store
from ops.repository.adoptions import read_records
from ops.repository.backup import Backup
from ops.repository.catalog import read_manifest, with_records
from ops.repository.identity import read_identity, require_listed
from ops.repository.integrity import critical
from ops.repository.listing import list_backups, unread_manifests
from ops.repository.listing_cache import Memory, Remembered
from ops.repository.listing_row import Listed, Rows, listed
from ops.repository.series import Mark, Own, is_meant, marks_of, own_series

_FEW: Final = 50
"""As many new manifests are read again each time; with more the whole listing is renewed, and remembers them."""


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
    """The backups of a source, newest first, each made when it is asked for; what could not be read on the way.

    `own`: which series those are; `marks`: all that are in the store, newest first.
    """

    backups: Iterator[Named]
    findings: tuple[Finding, ...]
    own: Own | None = None
    marks: tuple[Mark, ...] = ()


class _Known(NamedTuple):
    """What was remembered of manifests alone: where in `numbers` the stamp of each begins, and what was read of them."""

    places: dict[str, int]
    numbers: bytes
    rows: Rows

    @classmethod
    def of(cls, remembered: Remembered) -> _Known:
        """Leave the names of records away, which are as many again: whoever makes a backup holds all of this."""
        places = zip(remembered.keys, range(0, len(remembered.numbers), PACKED_WIDTH), strict=True)
        manifests = {key: place for key, place in places if is_manifest_key(key)}
        return cls(manifests, remembered.numbers, remembered.rows)


def newest_of(store: Store, whose: Whose | None, cache: Path | None, identified: str | None = None) -> Newest:
    """Return the backups of the source in `store` (None: of all), with help of what listings kept in `cache`.

    The same, and in the same order, as in a listing. `identified`: the series that the source, which was asked, is.
    Raises StoreError when the store cannot be read.
    """
    if not isinstance(store, Stamped):
        return _of_listing(store, whose, cache, identified)
    identity = read_identity(store)
    known = _Known.of(Memory(cache, store.location).recall())
    found = store.stamps(MANIFEST_SUFFIX, lambda: [*known.places])
    if not found.keys and not found.others:
        require_listed(store, identity)
    others = _others(found, known)
    if len(others) > _FEW:
        return _of_listing(store, whose, cache, identified)
    new, findings = list[Listed](), list[Finding]()
    for key in sorted(others):
        try:
            new.append(_row(store, key))
        except OpsError as error:
            findings.append(critical(error, key))
    there = set(found.keys).difference(others)
    new.sort(key=_order)
    own, marks = None, dict[Mark, None]()
    if whose is not None:
        marks = dict.fromkeys(_marks(new, known, there))
        own = own_series(whose, marks, read_records(store).in_force, identified)
    fresh = (
        Named(row.name, row.sequence, row.created, row.is_safety)
        for row in new
        if whose is None
        or own is None
        or is_meant(row.source, row.series, "" if row.is_safety else row.scope, whose, own)
    )
    before = (item for item in _chosen(known.rows.column, whose, own) if manifest_key(item.name) in there)
    return Newest(heapq.merge(before, fresh, key=_order), tuple(findings), own, tuple(marks))


def _row(store: Store, key: str) -> Listed:
    """The row of a backup that no listing has read; of version 1 its records tell where it was made."""
    manifest = read_manifest(store, key)
    if manifest.origin is None:
        return listed(with_records(store, manifest))
    return listed(Backup(store=store, manifest=manifest))


def _marks(new: Sequence[Listed], known: _Known, there: set[str]) -> Iterator[Mark]:
    """Those of new and remembered backups that are there, newest first."""
    column = known.rows.column
    if not new and there.issuperset(map(manifest_key, column("name"))):
        yield from marks_of(column)
        return
    keys = zip(column("sequence"), column("created"), column("name"), strict=True)
    before = (
        ((-sequence, -created, manifest_key(name)), Mark._make(fields))
        for (sequence, created, name), fields in zip(
            keys, zip(*map(column, Mark._fields), strict=True), strict=True
        )
        if manifest_key(name) in there
    )
    fresh = ((_order(row), Mark.of(row)) for row in new)
    for _, mark in heapq.merge(before, fresh):
        yield mark


def _of_listing(store: Store, whose: Whose | None, cache: Path | None, identified: str | None) -> Newest:
    listing = list_backups(store, cache)
    unread, column = tuple(unread_manifests(listing)), listing.rows.column
    if whose is None:
        return Newest(_chosen(column, None, None), unread)
    marks = marks_of(column)
    own = own_series(whose, marks, read_records(store).in_force, identified)
    return Newest(_chosen(column, whose, own), unread, own, tuple(marks))


def _others(found: Stamps, known: _Known) -> list[str]:
    """The manifests that are not those which were read before."""
    numbers, before = found.numbers(), known.numbers
    place_of = known.places.get
    return [
        key
        for key, place in zip(found.keys, range(0, len(numbers), PACKED_WIDTH), strict=True)
        if numbers[place : place + PACKED_WIDTH]
        != before[(then := place_of(key, len(before))) : then + PACKED_WIDTH]
        and is_manifest_key(key)
    ]


def _chosen(column: Callable[[str], Sequence[Any]], whose: Whose | None, own: Own | None) -> Iterator[Named]:
    """Those of one source, or of all, in the order of the columns, which is newest first."""
    fields = ("name", "sequence", "created", "source", "series", "scope", "tags")
    for name, sequence, created, source, series, scope, tags in zip(*map(column, fields), strict=True):
        is_safety = SAFETY_TAG in tags
        if whose is None or own is None or is_meant(source, series, "" if is_safety else scope, whose, own):
            yield Named(name, sequence, created, is_safety)


def _order(item: Named | Listed) -> tuple[int, int, str]:
    return -item.sequence, -item.created, manifest_key(item.name)
