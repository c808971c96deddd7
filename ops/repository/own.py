"""What a listing says of one source: its own backups, and other series of its name."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from ops.errors import BackupError, OpsError, RefusedError
from ops.formats.adoption import AdoptionRecord
from ops.formats.dependencies import Need, needs_of
from ops.model.findings import Finding
from ops.model.series import Whose
from ops.ports.store import Store
from ops.repository.adoptions import Records, read_records
from ops.repository.backup import Backup, Catalogue, series_of
from ops.repository.catalog import read_catalogue
from ops.repository.listing import Listing
from ops.repository.listing_row import Listed, listed
from ops.repository.series import (
    SHOWN_DIGITS,
    Foreign,
    Mark,
    Own,
    foreign_series,
    marks_of,
    own_rows,
    own_series,
    said_of_others,
    watched_for,
    written_in_mixed_time,
)
from ops.repository.series_alarms import alarms_of


@dataclass(frozen=True, slots=True)
class OfSource:
    """What a listing says of one source: its own rows, newest first and without those that a restore made, and others'.

    `findings`: what of the series' records cannot be read.
    """

    whose: Whose
    rows: list[Listed]
    own: Own
    others: list[Foreign]
    findings: tuple[Finding, ...] = ()
    alarms: tuple[Finding, ...] = ()

    @property
    def said(self) -> list[Finding]:
        """What there is to say of series: what makes them doubtful, others of the name, records that cannot be read."""
        return [
            *self.alarms,
            *said_of_others(self.whose, self.others, has_own=bool(self.rows)),
            *self.findings,
        ]


def of_source(listing: Listing, store: Store, whose: Whose, now: datetime) -> OfSource:
    """Return the rows of one source in the listing of `store`, apart from other series of its name."""
    records, rows = read_records(store), listing.rows.as_list()
    own = own_series(whose, marks_of(listing.rows.column), records.in_force)
    mine = own_rows(rows, whose, own)
    return OfSource(
        whose,
        mine,
        own,
        foreign_series(whose, own, rows, now),
        records.findings,
        tuple(alarms_of(whose, own, mine, records.in_force, now)),
    )


@dataclass(frozen=True, slots=True)
class Glance:
    """What the columns of a listing tell of series at once, without a look at each row."""

    marks: Mapping[Mark, None]
    boots: Collection[tuple[str, str]]
    records: Records

    @classmethod
    def at(cls, listing: Listing, store: Store) -> Glance:
        """Look at the listing of `store`."""
        column = listing.rows.column
        boots = set(zip(column("source"), column("boot"), strict=True))
        return cls(marks_of(column), boots, read_records(store))

    def own(self, whose: Whose) -> Own:
        """Return which series are the source's own."""
        return own_series(whose, self.marks, self.records.in_force)

    def needs_a_look(self, whose: Whose) -> bool:
        """Return whether there may be more to say of a source's series than nothing."""
        own = self.own(whose)
        known = own.ids | own.parts
        foreign = any(mark.source == whose.name and mark.series not in known for mark in self.marks)
        boots = sum(source == whose.name and bool(boot) for source, boot in self.boots)
        return foreign or boots > 1 or bool(self.records.by_key or self.records.findings)


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What the other stores of a source say of adopted series; `unread`: one of them could not be read."""

    records: Records
    unread: bool = False

    @classmethod
    def of(cls, stores: Iterable[Store]) -> Elsewhere:
        """Read the records of those stores."""
        records, unread = Records({}), False
        for store in stores:
            try:
                records = records.with_those_of(read_records(store))
            except OpsError:
                unread = True
        return cls(records, unread)


@dataclass(frozen=True, slots=True)
class OwnBackups:
    """All that is in a store, and which of its series are the own ones of a source there.

    `unsure`: another store of the source, which may know more of adopted series, could not be read.
    """

    whose: Whose
    catalogue: Catalogue
    own: Own
    adoptions: tuple[AdoptionRecord, ...] = ()
    findings: tuple[Finding, ...] = ()
    unsure: bool = False

    @property
    def mine(self) -> list[Backup]:
        """Return the own backups, newest first, with those that a restore made."""
        return [item for item in self.catalogue.backups if self.has(item)]

    @property
    def with_parts(self) -> list[Backup]:
        """Return the own backups and those of a part of the source, newest first."""
        return self.among(self.catalogue)

    def among(self, other: Catalogue) -> list[Backup]:
        """Return those of another store's backups that belong to the same series, or hold a part of the source."""
        return [item for item in other.backups if self.has(item) or self.has_part(item)]

    def has(self, backup: Backup) -> bool:
        """Return whether the backup is one of the own series."""
        return backup.manifest.source.name == self.whose.name and series_of(backup) in self.own.ids

    def has_part(self, backup: Backup) -> bool:
        """Return whether the backup holds a part of the source, and was made as such."""
        return backup.manifest.source.name == self.whose.name and series_of(backup) in self.own.parts

    def others(self, now: datetime) -> list[Foreign]:
        """Return the other series of the name."""
        return foreign_series(self.whose, self.own, map(listed, self.catalogue.backups), now)

    def alarms(self, now: datetime) -> list[Finding]:
        """Return what makes the own backups doubtful."""
        rows = [row for row in map(listed, self.mine) if not row.is_safety]
        return alarms_of(self.whose, self.own, rows, self.adoptions, now)

    def mixed(self, now: datetime) -> set[str]:
        """Return the names of what two machines wrote under one name, for as long as it is kept for that."""
        rows = self._current_rows()
        names = written_in_mixed_time(rows)
        last = max((row.created_at for row in rows if row.name in names), default=None)
        return names if last is not None and now - last < watched_for(rows) + MIXED_KEPT else set()

    def _current_rows(self) -> list[Listed]:
        rows = (listed(item) for item in self.mine if series_of(item) == self.own.current)
        return [row for row in rows if not row.is_safety]


MIXED_KEPT: Final = timedelta(days=30)
"""What two machines wrote under one name stays so long after that is no longer told."""
ADOPTED_KEPT: Final = timedelta(days=30)
"""So long nothing of a series that was adopted is pruned."""
OTHER_BOOT_KEPT: Final = timedelta(days=7)
"""So long a container, which has no name of its own, leaves alone what another boot wrote."""


def held_in(own: OwnBackups, backups: Iterable[Backup], now: datetime) -> dict[str, str]:
    """Return why retention leaves backups alone for a while because of whose they are, by name."""
    adopted = {
        record.adopted: record.recorded_at
        for record in own.adoptions
        if now - record.recorded_at < ADOPTED_KEPT
    }
    mixed, boot = own.mixed(now), own.whose.boot
    found = _needed_by_others(own, backups)
    for item in backups:
        origin, age = item.manifest.origin, now - item.manifest.created_at
        if item.name in mixed:
            found[item.name] = "written while two machines had one name"
        elif series_of(item) in adopted:
            found[item.name] = _stays(adopted[series_of(item)])
        elif own.unsure and series_of(item) in {record.adopted for record in own.adoptions}:
            found[item.name] = (
                "adopted, and a store that may have the word that separates it could not be read"
            )
        elif boot and not own.whose.host and origin and origin.boot != boot and age < OTHER_BOOT_KEPT:
            found[item.name] = "written by another machine, or before a restart, within 7 days"
    return found


def _needed_by_others(own: OwnBackups, backups: Iterable[Backup]) -> dict[str, str]:
    """Why backups stay that those of another series need: increments may build on what was adopted for a while."""
    mine = {(item.plain.payload, item.manifest.job_id): item.name for item in backups}
    names, found = set(mine.values()), {}
    for other in own.catalogue.backups:
        for need in _needs(other) if other.name not in names else ():
            if need.identity in mine:
                found[mine[need.identity]] = f"needed by {other.name}"
    return found


def _needs(backup: Backup) -> Sequence[Need]:
    try:
        return needs_of(backup.manifest)
    except BackupError:
        return ()  # a manifest that cannot be read stops the whole prune


def _stays(recorded: datetime) -> str:
    try:
        return f"adopted: stays until {recorded + ADOPTED_KEPT:%Y-%m-%d}"
    except OverflowError:
        return "adopted"


def own_backups(
    whose: Whose, store: Store, catalogue: Catalogue | None = None, elsewhere: Elsewhere | None = None
) -> OwnBackups:
    """Read the whole store (or take its `catalogue`), and say which backups are the own ones.

    `elsewhere`: what the source's other stores say of adopted series.
    """
    catalogue = catalogue or read_catalogue(store)
    records = read_records(store)
    if elsewhere is not None:
        records = records.with_those_of(elsewhere.records)
    marks = (Mark.of(listed(item)) for item in catalogue.backups)
    own = own_series(whose, marks, records.in_force)
    unsure = elsewhere is not None and elsewhere.unread
    return OwnBackups(whose, catalogue, own, tuple(records.in_force), records.findings, unsure)


def is_part(backup: Backup) -> bool:
    """Return whether only a part of the source was asked for when the backup was made."""
    return backup.manifest.origin is not None and bool(backup.manifest.origin.whole)


def is_own(backup: Backup, here: OwnBackups) -> bool:
    """Return whether a backup, of whichever store, is one of the own series; also where the store knows none yet."""
    origin, whose = backup.manifest.origin, here.whose
    if here.has(backup):
        return True
    if origin is not None:
        placed = origin.place == whose.place or origin.series == whose.real_series
        return placed and not here.own.rivals
    mark = Mark.of(listed(backup))
    return mark.series in own_series(whose, [mark]).ids


def backups_to_clear(own: OwnBackups, digits: str, now: datetime) -> list[Backup]:
    """Return the backups of one other series of the name, whose source is gone; an empty list where this store has none.

    Raises RefusedError where it may still be written, or is an own one.
    """
    if any(series.startswith(digits) for series in own.own.ids) or len(digits) < SHOWN_DIGITS:
        message = f"{digits!r} is not another series of {own.whose.name!r}"
        hint = f"{SHOWN_DIGITS} digits, as backup.list shows them; own backups are pruned without --series"
        raise RefusedError(message, code="refused.other_series", hint=hint)
    holder = next((item for item in own.adoptions if item.adopted.startswith(digits)), None)
    if holder is not None:
        message = f"series {digits} was adopted by source {holder.source!r} on {holder.host or 'a container'}"
        hint = "nothing was deleted; prune it there, or separate it first (backup.adopt --undo)"
        raise RefusedError(message, code="refused.other_series", hint=hint)
    found = [item for item in own.others(now) if item.series.startswith(digits)]
    for item in found:
        if item.lives:
            message = f"series {item.shown} ({item.where}) may still be written: its newest backup is {item.rows[0].name}"
            hint = "nothing was deleted; prune it on the machine that writes it"
            raise RefusedError(message, code="refused.other_series", hint=hint)
    wanted = {item.series for item in found}
    return [item for item in own.catalogue.backups if series_of(item) in wanted]
