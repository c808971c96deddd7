"""Whose a new backup is: of the series of before, of a new one, or of none that may be told."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Final

from ops.errors import RefusedError
from ops.formats.adoption import AdoptionRecord
from ops.formats.names import manifest_key
from ops.model.findings import Finding, Severity
from ops.model.manifest import Manifest, Origin
from ops.model.series import Identified, Whose
from ops.repository.adoptions import put_record, read_records
from ops.repository.catalog import read_manifest
from ops.repository.listing import list_backups
from ops.repository.listing_row import Listed
from ops.repository.newest import Newest, newest_of
from ops.repository.repository import Repository
from ops.repository.series import SHOWN_DIGITS, Mark, two_machines
from ops.run.job import Job

SWAPPED: Final = "source.swapped"


@dataclass(frozen=True, slots=True)
class Settled:
    """Whose the new backup is, the newest backups of its series, and what was noticed."""

    origin: Origin
    newest: Newest
    findings: tuple[Finding, ...]


def settle_origin(whose: Whose, identified: Identified, to: Repository, job: Job, *, aside: bool) -> Settled:
    """Return whose a backup is that is about to be made of a source that said this of itself.

    `aside`: it is one that a restore makes of what it replaces, and belongs to the source's series whatever it holds. A
    source whose identity was given to it for the first time takes its former series along; that is recorded.
    """
    origin = whose.origin(identified)
    newest = newest_of(to.store, whose, to.cache)
    before = newest.own.current if newest.own else None
    if before is not None and before != origin.series:
        if aside or _could_not_be_told(newest.marks, before, identified):
            origin = replace(origin, series=before)
        else:
            newest = newest_of(to.store, whose, to.cache, origin.series)
    if aside or newest.own is None or any(mark.series == origin.series for mark in newest.marks):
        return Settled(origin, newest, ())
    own = newest.own.ids | {origin.series}
    others = [
        mark
        for mark in newest.marks
        if mark.source == whose.name and mark.series not in own and not _is_of_same_source(whose, mark)
    ]
    if not others:
        return Settled(origin, newest, ())
    former = _former(whose, origin, others, to, job)
    if former is None:
        return Settled(origin, newest, (_new_series(whose, origin, others),))
    put_record(to.store, _adoption(whose, former, job))
    again = newest_of(to.store, whose, to.cache, origin.series)
    return Settled(origin, again, (_taken_along(whose, former),))


def _is_of_same_source(whose: Whose, mark: Mark) -> bool:
    """Whether a backup is of a part of this source, or this is a part of that backup's source, or both are parts of one."""
    if mark.whole:
        return mark.whole in {whose.place, whose.whole}
    return bool(whose.whole) and mark.place == whose.whole


def _could_not_be_told(marks: Collection[Mark], series: str, identified: Identified) -> bool:
    """Whether one of the two could not say which server it is on, so that address and database alone are compared."""
    system = next(mark.system for mark in marks if mark.series == series)
    return bool(identified.system) != bool(system)


def _former(whose: Whose, origin: Origin, others: list[Mark], to: Repository, job: Job) -> Listed | None:
    """The newest backup of the one series that this source was until it got a `host` or a `series` of its own.

    None where that is not plain: the last backup of it was not made here since the machine started, two machines write
    it, or another source has adopted it.
    """
    if not (whose.declared or whose.machine.given):
        return None
    found = {
        mark.series
        for mark in others
        if _was(whose, mark) and (not mark.system or mark.system == origin.system)
    }
    if len(found) != 1 or any(item.adopted in found for item in read_records(to.store).in_force):
        return None
    rows = [
        row
        for row in list_backups(to.store, to.cache).rows.as_list()
        if row.source == whose.name and row.series in found and not row.is_safety
    ]
    if not rows or two_machines(rows, job.clock()):
        return None
    return rows[0] if _made_in_this_boot(rows[0], whose) else None


def _made_in_this_boot(row: Listed, whose: Whose) -> bool:
    """Whether nobody else can have made it: in version 1, and where no boot was recorded, the place alone decides."""
    boot = replace(whose, declared="").boot or ""
    return not row.by or row.boot == boot[: len(row.boot)]


def _was(whose: Whose, mark: Mark) -> bool:
    """Whether a series is of the same configuration without the name of its own, from this machine or from none."""
    if mark.by:
        return mark.place in whose.former_places - {whose.place}
    same = (mark.kind, mark.scope, mark.location) == (whose.kind, whose.scope, whose.location)
    return same and (not mark.host or mark.host in whose.machine.names)


def _adoption(whose: Whose, former: Listed, job: Job) -> AdoptionRecord:
    return AdoptionRecord(
        adopted=former.series,
        adopted_place=former.place,
        by=whose.place,
        source=whose.name,
        order=1,
        newest=former.sequence,
        undone=False,
        asked=False,
        recorded_at=job.clock(),
        host=whose.machine.host,
        job_id=job.job_id,
    )


def _taken_along(whose: Whose, former: Listed) -> Finding:
    message = (
        f"{whose.name!r} has a name of its own now (series or host), and takes its former backups along"
        f" (series {former.series[:SHOWN_DIGITS]}): they count as before"
    )
    return Finding(severity=Severity.OK, code="series.adopted", message=message, where=whose.name)


def _new_series(whose: Whose, origin: Origin, others: list[Mark]) -> Finding:
    shown = "; ".join(
        f"series {mark.series[:SHOWN_DIGITS]}, {mark.host or 'host not recorded'}, {mark.location or 'place encrypted'}, because {why}"
        for mark in {mark.series: mark for mark in reversed(others)}.values()
        for why in [_difference(whose, origin, mark)]
    )
    message = (
        f"this is the first backup of a new series of {whose.name!r} ({origin.series[:SHOWN_DIGITS]}): the others of that"
        f" name are not counted, pruned or used as ours ({shown}). Where one is this source before it was moved or"
        " renamed, see backup.list and backup.adopt"
    )
    return Finding(severity=Severity.WARNING, code="backup.other_series", message=message, where=whose.name)


def _difference(whose: Whose, origin: Origin, other: Mark) -> str:
    """Why another series is not this source, by the first thing that differs."""
    if other.kind != whose.kind or other.scope != whose.scope:
        return f"its kind and scope are {other.kind}, {other.scope}"
    if other.system and origin.system and other.system != origin.system:
        return "it is another server (made anew, or upgraded)"
    if other.system and other.system == origin.system:
        return "its address or its database is another (a clone, a server that moved, or a database that was renamed)"
    if other.location != whose.location:
        return "its place is another"
    if other.host != whose.host:
        return "its host is another"
    return "the source is told apart in another way (series, host, selection, or where a link leads)"


def examine_member(
    origin: Origin, former: Manifest | None, to: Repository, *, restored: bool, accepted: Collection[str]
) -> list[Finding]:
    """Return what is said where the source is another part of the same server than it was; `restored`: a restore made it.

    Raises RefusedError (`source.swapped`) where another configured name had that part, unless that is accepted.
    """
    before = former.origin if former else None
    if before is None or not origin.member or not origin.system or restored:
        return []
    if before.system != origin.system or before.member == origin.member:
        return []
    other = _name_of(origin, to)
    if other is None:
        message = (
            f"the database is another one of the same name than before (number {origin.member}, was {before.member}):"
            " it was dropped and made anew, or renamed"
        )
        return [_recreated("source.recreated", message, origin)]
    message = f"the database is the one that source {other!r} had (number {origin.member}): two names were exchanged"
    if SWAPPED in accepted:
        return [_recreated(SWAPPED, f"{message}, which is accepted", origin)]
    hint = f"nothing was backed up; where that is meant, run backup.create --accept {SWAPPED}"
    raise RefusedError(message, code=SWAPPED, hint=hint)


def _recreated(code: str, message: str, origin: Origin) -> Finding:
    return Finding(severity=Severity.WARNING, code=code, message=message, where=origin.text)


def _name_of(origin: Origin, to: Repository) -> str | None:
    """The other source whose newest backup is of that very part of the server."""
    newest: dict[tuple[str, str], Listed] = {}
    for row in list_backups(to.store, to.cache).rows.as_list():
        if row.system == origin.system and not row.is_safety:
            newest.setdefault((row.source, row.series), row)
    for (source, series), row in newest.items():
        if series == origin.series:
            continue
        found = read_manifest(to.store, manifest_key(row.name)).origin
        if found is not None and found.member == origin.member and found.text != origin.text:
            return source
    return None
