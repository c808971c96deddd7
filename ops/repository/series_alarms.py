"""What makes the backups of a series doubtful: two machines under one name, or an adopted series that still lives. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from ops.formats.adoption import AdoptionRecord
from ops.model.findings import Finding, Severity
from ops.model.series import Whose
from ops.repository.listing_row import Listed
from ops.repository.series import SHOWN_DIGITS, Own, two_machines


def alarms_of(
    whose: Whose, own: Own, rows: Sequence[Listed], adoptions: Iterable[AdoptionRecord], now: datetime
) -> list[Finding]:
    """Return a critical finding for each reason not to delete, and not to take the latest for granted.

    `rows`: the own ones, newest first, without those that a restore made; `adoptions`: those in force.
    """
    known = list(adoptions)
    found = [_two(whose)] if two_machines([row for row in rows if row.series == own.current], now) else []
    for record in known:
        if record.adopted == own.current and record.by != whose.place:
            found.append(_claimed(whose, record))
        lively = (
            _lively(rows, record) if record.adopted in own.ids and record.adopted != own.current else None
        )
        if lively is not None:
            found.append(_lives(whose, record, lively))
    return found


def _lively(rows: Sequence[Listed], record: AdoptionRecord) -> Listed | None:
    """The newest backup of an adopted series, where it was made after that was recorded; by the order, not by clocks."""
    newest = next((row for row in rows if row.series == record.adopted), None)
    return newest if newest is not None and newest.sequence > record.newest else None


def _two(whose: Whose) -> Finding:
    message = (
        f"two machines write backups of {whose.name!r} as {whose.host or 'a container'}, {whose.location}: their backups"
        " cannot be told apart. Give each machine a `host` of its own, or, where they stand in for each other, the"
        " source a `series`"
    )
    return _critical("series.two_machines", message, whose)


def _lives(whose: Whose, record: AdoptionRecord, newest: Listed) -> Finding:
    shown = record.adopted[:SHOWN_DIGITS]
    message = (
        f"series {shown}, which {whose.name!r} adopted, still gets backups ({newest.name}, from"
        f" {newest.host or 'an unrecorded host'}): its machine lives. Separate it again: backup.adopt {shown}"
        f" --source {whose.name} --undo"
    )
    return _critical("series.adopted_lives", message, whose)


def _claimed(whose: Whose, record: AdoptionRecord) -> Finding:
    if record.source == whose.name and record.host in whose.machine.names:
        message = (
            f"the backups of {whose.name!r} were taken along when it had a `series` or `host` of its own, which the"
            " configuration has no more: write that back, or separate the two: backup.adopt"
            f" {record.adopted[:SHOWN_DIGITS]} --source {whose.name} --undo"
        )
        return _critical("series.adopted_lives", message, whose)
    message = (
        f"the backups of {whose.name!r} were adopted on {record.host or 'a container'} as those of its source"
        f" {record.source!r}, and count there too. Where this machine goes on, have them separated there: backup.adopt"
        f" {record.adopted[:SHOWN_DIGITS]} --source {record.source} --undo"
    )
    return _critical("series.adopted_lives", message, whose)


def _critical(code: str, message: str, whose: Whose) -> Finding:
    return Finding(severity=Severity.CRITICAL, code=code, message=message, where=whose.name)
