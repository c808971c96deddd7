"""How old the backups of a source are, and its last proof, against what was promised."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from ops.errors import BackupError
from ops.model.evidence import Evidence
from ops.model.findings import Finding, Severity, Verdict
from ops.model.requests import Objectives
from ops.model.series import Whose
from ops.ports.store import Store
from ops.repository.backup import Backup
from ops.repository.catalog import read_named
from ops.repository.find import newest_readable
from ops.repository.integrity import check_sizes
from ops.repository.listing import Listing, unread_manifests
from ops.repository.listing_row import Listed
from ops.repository.own import of_source
from ops.repository.wrong_clocks import FUTURE
from ops.units import format_duration

_IN_A_ROW: Final = 3
"""Drills without a verdict that are more than bad luck."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupAges:
    """The newest backup of a source, the moment of its data, the last backup that was proven, and when; None: never.

    `findings`: what of that is not as promised.
    """

    source: str
    store: str
    newest: Backup | None
    proven: Backup | None
    proven_at: datetime | None
    objectives: Objectives
    findings: tuple[Finding, ...]


def ages_of(
    whose: Whose, store: Store, listing: Listing, objectives: Objectives, now: datetime
) -> BackupAges:
    """Return what is known of the backups of a source in the store in which they are made, with its `listing`."""
    source, of = whose.name, of_source(listing, store, whose, now)
    mine, problems = known_backups(of.rows, store)
    unread = [] if mine else unread_manifests(listing)
    proven = next((backup for backup in mine if backup.proven and not check_sizes(backup)), None)
    drill = proven.proof if proven else None
    return BackupAges(
        source=source,
        store=store.name,
        newest=mine[0] if mine else None,
        proven=proven,
        proven_at=drill.finished_at if drill else None,
        objectives=objectives,
        findings=(
            *problems,
            *of.said,
            *(_promised(source, mine, objectives, now) if mine or not (unread or of.others) else unread),
            *examine_undecided(store, of.rows),
        ),
    )


def known_backups(rows: Sequence[Listed], store: Store) -> tuple[list[Backup], list[Finding]]:
    """Return the newest backup of a source and the newest that is proven, newest first, read from their own files.

    `rows`: its own, newest first. Beside the backups what could not be read on the way.
    """
    newest, findings = newest_readable(store, (row.name for row in rows))
    proven, more = newest_readable(store, (row.name for row in rows if row.drilled == Verdict.PASSED))
    found = {backup.name: backup for backup in (newest, proven) if backup is not None}
    return list(found.values()), list(dict.fromkeys((*findings, *more)))


def _promised(source: str, mine: list[Backup], objectives: Objectives, now: datetime) -> list[Finding]:
    """What is not as it was promised; where nothing was, nothing is."""
    if not mine:
        if objectives.every is None:
            return []
        return [_warning("doctor.no_backup", f"{source}: there is no backup yet", source)]
    findings = [*examine_age(mine[0], objectives.every, now)]
    findings += examine_verified(mine[0], objectives.verify_every, now)
    if objectives.drill_every is not None:
        findings.append(examine_proven(mine, objectives.drill_every, now))
    data_age = now - mine[0].manifest.data_as_of
    if objectives.rpo is not None and data_age > objectives.rpo:
        found, expected = (format_duration(age.total_seconds()) for age in (data_age, objectives.rpo))
        message = f"the newest data in a backup is {found} old, and {expected} was promised"
        findings.append(_warning("backup.rpo_exceeded", message, mine[0].name))
    return [
        replace(item, message=f"{source}: {item.message}")
        for item in findings
        if item.severity is not Severity.OK
    ]


def examine_age(newest: Backup, every: timedelta | None, now: datetime) -> list[Finding]:
    """Whether the newest backup is as young as was promised, not from the future, and whole by names and sizes."""
    created = newest.manifest.created_at
    age = format_duration(max(0.0, (now - created).total_seconds()))
    others = [*check_sizes(newest), *_failed(newest)]
    if created > now:
        message = f"{newest.name} is from the future: is the clock right?"
        others.insert(0, _warning("clock.behind", message, "clock"))
    if overdue(created, every, now):
        message = f"the newest backup is {age} old"
        return [_overdue("backup.overdue", message, newest.name, (created, every, now)), *others]
    return [_ok("doctor.backup", f"the newest backup, {newest.name}, is {age} old"), *others]


def _failed(newest: Backup) -> list[Finding]:
    """A critical finding when the newest backup is known to be bad: what is older is all that there is."""
    if newest.good is not False:
        return []
    message = f"the newest backup, {newest.name}, failed its last verify or drill: take a new one"
    return [Finding(severity=Severity.CRITICAL, code="backup.failed", message=message, where=newest.name)]


def examine_verified(newest: Backup, verify_every: timedelta | None, now: datetime) -> list[Finding]:
    """Nothing unless regular verifying was promised; a drill looks deeper than a verify and counts as one."""
    looks = [item.finished_at for item in (newest.last("verify"), newest.last("drill")) if item is not None]
    last = max(looks, default=None)
    if not overdue(last, verify_every, now):
        return []
    message = "the newest backup was not verified in time: run backup.verify"
    since = newest.manifest.created_at if last is None else last
    return [_overdue("verify.overdue", message, newest.name, (since, verify_every, now))]


def examine_proven(mine: list[Backup], drill_every: timedelta | None, now: datetime) -> Finding:
    """Whether a backup is proven, as lately as was promised."""
    proven = next((backup for backup in mine if backup.proven and not check_sizes(backup)), None)
    drill = proven.proof if proven else None
    if proven is None or drill is None:
        return _warning("drill.overdue", "no backup of this source is proven: run backup.drill")
    if overdue(drill.finished_at, drill_every, now):
        message = f"the last drill that passed was {drill.finished_at:%Y-%m-%d}"
        return _overdue("drill.overdue", message, "", (drill.finished_at, drill_every, now))
    return _ok("doctor.drill", f"{proven.name} is proven")


def examine_undecided(store: Store, rows: Sequence[Listed]) -> list[Finding]:
    """A critical finding when the last three drills of a source reached no verdict; `rows`: its backups, newest first."""
    drilled = [row.name for row in rows if row.drilled][:_IN_A_ROW]
    drills: list[Evidence] = []
    for name in reversed(drilled):
        with contextlib.suppress(BackupError):
            mine = [item for item in read_named(store, name).evidence if item.action == "drill"]
            drills += sorted(mine, key=lambda item: (item.order, item.started_at))
    last = drills[-_IN_A_ROW:]
    if len(last) < _IN_A_ROW or any(item.verdict is not Verdict.INCONCLUSIVE for item in last):
        return []
    why = next((item.message for item in last[-1].findings if item.blocking), "nobody knows why")
    message = (
        f"the last {_IN_A_ROW} drills of {last[-1].source.name} reached no verdict, the newest because {why}"
    )
    return [
        Finding(severity=Severity.CRITICAL, code="drill.undecided", message=message, where=last[-1].backup)
    ]


def _overdue(
    code: str, message: str, where: str, when: tuple[datetime, timedelta | None, datetime]
) -> Finding:
    """A warning; critical when it lasts: later than twice as long as was promised."""
    moment, every, now = when
    if moment - now > FUTURE:
        message = f"{message}, as a clock that was wrong said ({moment:%Y-%m-%d})"
    if every is None or now - moment <= 2 * every:
        return _warning(code, message, where)
    message = f"{message}; more than twice as late as was promised"
    return Finding(severity=Severity.CRITICAL, code=code, message=message, where=where)


def _ok(code: str, message: str) -> Finding:
    return Finding(severity=Severity.OK, code=code, message=message)


def _warning(code: str, message: str, where: str = "") -> Finding:
    return Finding(severity=Severity.WARNING, code=code, message=message, where=where)


def overdue(moment: datetime | None, every: timedelta | None, now: datetime) -> bool:
    """Whether something that should happen `every` so often last happened too long ago, never, or in the future."""
    return every is not None and (moment is None or now - moment > every or moment - now > FUTURE)
