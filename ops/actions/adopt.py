"""Adopting a series: the backups of a source before it was moved or renamed become its own ones."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ops.errors import ConfigError, OpsError, RefusedError
from ops.formats.adoption import AdoptionRecord
from ops.model.findings import Finding, Severity
from ops.model.series import Whose
from ops.repository.adoptions import Records, put_record, read_records
from ops.repository.listing import list_backups
from ops.repository.own import OfSource, of_source
from ops.repository.repository import Repository
from ops.repository.series import SHOWN_DIGITS, Foreign
from ops.run.job import Job


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptRequest:
    """Which series (its first digits) becomes a part of whose; `stores`: those of the source, the first one first.

    `undo`: it is separated again; `yes`: also a series that may still live.
    """

    series: str
    whose: Whose
    stores: tuple[Repository, ...]
    undo: bool = False
    yes: bool = False


def adopt(request: AdoptRequest, job: Job) -> list[Finding]:
    """Record it in every store of the source; a warning for each that cannot be reached, which gets it later.

    Raises RefusedError where the series lives, belongs to another one, or has this one in it; ConfigError where no series
    has these digits; and StoreError where no store can be read.
    """
    known, problems = _read(request, job)
    record = _undone(request, known, job) if request.undo else _adopted(request, known, job)
    said = _said(request, record)
    for repository in request.stores:
        try:
            put_record(repository.store, record)
        except OpsError as error:
            message = f"store {repository.name!r} does not have the record yet: {error.message}; the next backup.create or store.push brings it"
            problems.append(
                Finding(
                    severity=Severity.WARNING,
                    code="series.not_recorded",
                    message=message,
                    where=repository.name,
                )
            )
    return [said, *problems]


@dataclass(frozen=True, slots=True)
class _Known:
    """What the stores that could be read say: their records together, and what each has of the source."""

    records: list[AdoptionRecord]
    in_force: list[AdoptionRecord]
    sources: list[OfSource]


def _read(request: AdoptRequest, job: Job) -> tuple[_Known, list[Finding]]:
    records, sources, failed = Records({}), list[OfSource](), list[OpsError]()
    for repository in request.stores:
        try:
            listing = list_backups(repository.store, repository.cache)
            records = records.with_those_of(read_records(repository.store))
            sources.append(of_source(listing, repository.store, request.whose, job.clock()))
        except OpsError as error:
            failed.append(error)
    if not sources:
        raise failed[0]
    return _Known(list(records.by_key.values()), records.in_force, sources), list(records.findings)


def _adopted(request: AdoptRequest, known: _Known, job: Job) -> AdoptionRecord:
    whose, found = request.whose, _foreign(request, known)
    row = found.rows[0]
    own = [item for source in known.sources for item in source.rows]
    mine = [item for item in own if item.series == known.sources[0].own.current]
    if (row.kind, row.scope) != (whose.kind, whose.scope):
        raise _refused(found, f"it is of another kind or scope ({row.kind}, {row.scope}) than the source")
    holder = next(
        (item for item in known.in_force if item.adopted == found.series and item.by != whose.place), None
    )
    if holder is not None:
        raise _refused(
            found, f"source {holder.source!r} on {holder.host or 'a container'} adopted it already"
        )
    if row.place and any(
        item.adopted_place == whose.place and item.by == row.place for item in known.in_force
    ):
        raise _refused(found, "it adopted this source before, and both cannot be in each other")
    began = min((item.sequence for item in mine), default=None)
    if began is not None and row.sequence > began and not whose.declared:
        raise _refused(
            found,
            f"it got a backup ({row.name}) after the first one of this source: it lives. Give one of the two a `host` or a `series`",
        )
    if found.lives and not request.yes:
        raise RefusedError(
            f"the newest backup of series {found.shown} ({found.where}) is young: {row.created_at:%Y-%m-%d %H:%M}Z."
            " Another machine may still write it",
            code="refused.interactive_only",
            hint="where it is this source before it was moved or renamed, add --yes",
        )
    return _record(request, (found.series, row.place, row.sequence), known, job)


def _foreign(request: AdoptRequest, known: _Known) -> Foreign:
    wanted = request.series
    # A store that gets copies may lack the newest ones: the one that has the last backup tells whether the series lives.
    every = sorted((item for source in known.sources for item in source.others), key=_last_sequence)
    others = {item.series: item for item in every}
    found = [
        item for series, item in others.items() if len(wanted) >= SHOWN_DIGITS and series.startswith(wanted)
    ]
    if len(found) == 1:
        return found[0]
    if any(series.startswith(wanted) for source in known.sources for series in source.own.ids):
        raise ConfigError(f"series {wanted} is one of this source's own already", code="usage.bad_value")
    shown = ", ".join(f"{item.shown} ({item.where})" for item in others.values()) or "none"
    message = f"no other series of {request.whose.name!r} begins with {wanted!r}"
    raise ConfigError(
        message, code="usage.bad_value", hint=f"{SHOWN_DIGITS} digits, as backup.list shows them: {shown}"
    )


def _last_sequence(series: Foreign) -> int:
    return series.rows[0].sequence


def _undone(request: AdoptRequest, known: _Known, job: Job) -> AdoptionRecord:
    place, wanted = request.whose.place, request.series
    names = request.whose.machine.names
    # Also the word of this very machine, when its source had another `series` or `host`.
    mine = [
        item
        for item in known.in_force
        if item.by == place or (item.source == request.whose.name and item.host in names)
    ]
    found = [item for item in mine if item.adopted.startswith(wanted)]
    if len(found) != 1 or len(wanted) < SHOWN_DIGITS:
        shown = ", ".join(item.adopted[:SHOWN_DIGITS] for item in mine) or "none"
        message = f"source {request.whose.name!r} has adopted no series {wanted!r}"
        raise ConfigError(message, code="usage.bad_value", hint=f"it has adopted: {shown}")
    series = found[0].adopted, found[0].adopted_place, found[0].newest
    return replace(_record(request, series, known, job), by=found[0].by, order=found[0].order + 1)


def _record(request: AdoptRequest, about: tuple[str, str, int], known: _Known, job: Job) -> AdoptionRecord:
    """The record of a series: which, its place, and the sequence of its newest backup."""
    series, place, newest = about
    same = [item for item in known.records if (item.adopted, item.by) == (series, request.whose.place)]
    return AdoptionRecord(
        adopted=series,
        adopted_place=place,
        by=request.whose.place,
        source=request.whose.name,
        order=1 + max((item.order for item in same), default=0),
        newest=newest,
        undone=request.undo,
        asked=True,
        recorded_at=job.clock(),
        host=request.whose.machine.host,
        job_id=job.job_id,
    )


def _refused(found: Foreign, why: str) -> RefusedError:
    message = f"series {found.shown} ({found.where}) cannot be adopted: {why}"
    hint = "nothing was changed; see the page on several machines and one store"
    return RefusedError(message, code="refused.other_series", hint=hint)


def _said(request: AdoptRequest, record: AdoptionRecord) -> Finding:
    shown = record.adopted[:SHOWN_DIGITS]
    message = (
        f"series {shown} is separate again: its backups are no longer counted as ours"
        if request.undo
        else f"series {shown} is a part of {request.whose.name!r} now, before its own backups; nothing of it is pruned for 30 days"
    )
    return Finding(severity=Severity.OK, code="series.adopted", message=message, where=request.whose.name)
