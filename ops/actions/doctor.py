"""Everything that would make the next backup, restore or drill fail, looked for now."""

from __future__ import annotations

import platform
import sqlite3
import stat
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ops.actions.catalogue import Catalogue, overdue, read_catalogue
from ops.actions.inspection import critical
from ops.errors import OpsError
from ops.fsio.locking import read_holder
from ops.fsio.scratch import scratch_folder
from ops.fsio.space import free_bytes
from ops.model import Finding, Objectives, Severity
from ops.naming import SAFETY_TAG
from ops.ports import LocalFiles, Source, Store
from ops.units import format_duration, format_size


@dataclass(frozen=True, slots=True)
class Patient:
    """One source with its home store and what was promised about it."""

    source: Source
    store: Store
    objectives: Objectives
    min_free: int | None


def examine_machine(scratch: Path) -> list[Finding]:
    """Versions, and whether scratch places can be made."""
    message = f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    findings = [_ok("doctor.versions", message)]
    try:
        with scratch_folder(scratch) as folder:
            (folder / "probe").write_bytes(b"x")
    except (OpsError, OSError) as error:
        message = f"no scratch place can be made in {scratch}: {error}"
        return [*findings, _critical("doctor.scratch", message, str(scratch))]
    message = f"scratch places in {scratch}: {format_size(free_bytes(scratch))} free"
    return [*findings, _ok("doctor.scratch", message)]


def examine(patient: Patient, scratch: Path, now: datetime) -> list[Finding]:
    """All that stands in the way of the next backup, restore or drill of one source."""
    findings = _examine_source(patient.source)
    try:
        catalogue = read_catalogue(patient.store)
    except OpsError as error:
        return [*findings, critical(error, patient.store.name)]
    return [
        *findings,
        *_examine_store(patient, scratch),
        *catalogue.findings,
        *_examine_history(patient, catalogue, now),
    ]


def _ok(code: str, message: str) -> Finding:
    return Finding(severity=Severity.OK, code=code, message=message)


def _warning(code: str, message: str, where: str = "") -> Finding:
    return Finding(severity=Severity.WARNING, code=code, message=message, where=where)


def _critical(code: str, message: str, where: str = "") -> Finding:
    return Finding(severity=Severity.CRITICAL, code=code, message=message, where=where)


def _examine_source(source: Source) -> list[Finding]:
    """Read the source the way a backup does, into nothing that stays."""
    try:
        size = source.estimate()
        probe = source.probe()
    except OpsError as error:
        return [critical(error, source.info.name)]
    message = f"{source.info.location} can be read ({format_size(size)}, {probe})"
    return [_ok("doctor.source", message)]


def _examine_store(patient: Patient, scratch: Path) -> list[Finding]:
    store, findings = patient.store, []
    if not isinstance(store, LocalFiles):
        return []
    folder = store.path_of("payload").parent
    try:
        with store.stage("doctor-probe") as staged:
            staged.write_bytes(b"x")
    except (OpsError, OSError) as error:
        return [
            _critical("store.unwritable", f"store {store.name!r} can not be written: {error}", str(folder))
        ]
    if stat.S_IMODE(folder.stat().st_mode) & 0o077:
        message = f"{folder} can be read by others (mode {stat.S_IMODE(folder.stat().st_mode):04o})"
        findings.append(_warning("doctor.permissions", f"{message}; chmod 700 it", str(folder)))
    if (holder := read_holder(store.lock_path(patient.source.info.name))) is not None:
        findings.append(_ok("doctor.lock", f"locked now, or last, by {holder}"))
    try:
        estimate = patient.source.estimate()
    except OpsError:
        return findings
    for place, purpose in ((folder, "the next backup"), (scratch, "the next drill")):
        free = free_bytes(place)
        needed = max(patient.min_free or 2 * estimate, estimate) if place == folder else 2 * estimate
        text = f"{format_size(free)} free in {place}, {format_size(needed)} needed for {purpose}"
        findings.append(
            _ok("doctor.space", text) if free >= needed else _critical("space.insufficient", text, str(place))
        )
    return findings


def _examine_history(patient: Patient, catalogue: Catalogue, now: datetime) -> list[Finding]:
    mine = [
        backup
        for backup in catalogue.backups
        if backup.manifest.source.name == patient.source.info.name and SAFETY_TAG not in backup.manifest.tags
    ]
    objectives, findings = patient.objectives, []
    if not mine:
        return [_warning("doctor.no_backup", "there is no backup yet: invoke backup.create --verify")]
    newest = mine[0]
    if newest.manifest.created_at > now:
        findings.append(
            _warning("clock.behind", f"{newest.name} is from the future: is the clock right?", "clock")
        )
    age = format_duration(max(0.0, (now - newest.manifest.created_at).total_seconds()))
    every_s = objectives.every.total_seconds() if objectives.every else None
    if overdue(newest.manifest.created_at, every_s, now):
        findings.append(_warning("backup.overdue", f"the newest backup is {age} old", newest.name))
    else:
        findings.append(_ok("doctor.backup", f"the newest backup, {newest.name}, is {age} old"))
    proven = next((backup for backup in mine if backup.proven), None)
    drill = proven.last("drill") if proven else None
    drill_every_s = objectives.drill_every.total_seconds() if objectives.drill_every else None
    if proven is None or drill is None:
        findings.append(_warning("drill.overdue", "no backup of this source is proven: invoke backup.drill"))
    elif overdue(drill.finished_at, drill_every_s, now):
        findings.append(
            _warning("drill.overdue", f"the last drill that passed was {drill.finished_at:%Y-%m-%d}")
        )
    else:
        findings.append(_ok("doctor.drill", f"{proven.name} is proven"))
    return findings
