"""Everything that would make the next backup, restore or drill fail, looked for now."""

from __future__ import annotations

import platform
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Final

from ops import DISTRIBUTION
from ops.actions.copy import Home, missing_copies
from ops.errors import OpsError, StateError
from ops.formats.encrypted_manifest import is_closed
from ops.fsio.scratch import scratch_folder
from ops.fsio.space import free_bytes
from ops.host.state_dir import StateDir
from ops.model.complaints import Known
from ops.model.findings import Finding, Severity
from ops.model.requests import Objectives
from ops.model.series import Whose
from ops.ports.source import Source
from ops.repository.backup import Backup, Catalogue
from ops.repository.catalog import has_whole
from ops.repository.dependencies import needed_backups
from ops.repository.examine import examine_folder, examine_lock, examine_room
from ops.repository.freshness import (
    examine_age,
    examine_proven,
    examine_undecided,
    examine_verified,
    known_backups,
)
from ops.repository.integrity import critical
from ops.repository.listing import Listing, list_backups, unread_manifests
from ops.repository.own import of_source, own_backups
from ops.repository.private_memory import known_manifest
from ops.repository.repository import Repository
from ops.repository.retention import Policy
from ops.units import format_size


@dataclass(frozen=True, slots=True)
class Patient:
    """One source, where its backups are made, and what was promised about it; `series`: the operator's word for it."""

    source: Source
    repository: Repository
    objectives: Objectives
    min_free: int | None
    series: str = ""

    @property
    def whose(self) -> Whose:
        """Whose the backups are."""
        return Whose.of(self.source, self.repository.machine, self.series)


def examine_machine(scratch: Path, state: StateDir) -> list[Finding]:
    """Versions, whether scratch places can be made, and whether this machine can remember anything."""
    message = f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    findings = [_ok("doctor.versions", message)]
    try:
        with scratch_folder(scratch) as folder:
            (folder / "probe").write_bytes(b"x")
    except (OpsError, OSError) as error:
        message = f"no scratch place can be made in {scratch}: {error}"
        return [*findings, _critical("doctor.scratch", message, str(scratch)), _examine_state(state)]
    findings += _examine_namesakes()
    message = f"scratch places in {scratch}: {format_size(free_bytes(scratch))} free"
    return [*findings, _ok("doctor.scratch", message), _examine_state(state)]


def _examine_state(state: StateDir) -> Finding:
    try:
        return _ok("doctor.state", f"state folder {state.probe()}")
    except StateError as error:
        return _warning("state.unusable", f"{error.message}; {error.hint}", "state_dir")


def _examine_namesakes() -> list[Finding]:
    """Whether another distribution has put files into our package, or will with its next update."""
    others = sorted(set(packages_distributions().get("ops", ())) - {DISTRIBUTION})
    if not others:
        return []
    message = (
        f"distribution {', '.join(others)} installs a package 'ops' into this environment as well, and its next update"
        " will damage Drillbook: install Drillbook in an environment of its own (pipx, or python3 -m venv)"
    )
    return [_warning("doctor.namesake", message)]


def examine(patient: Patient, scratch: Path, now: datetime, listing: Listing | None = None) -> list[Finding]:
    """All that stands in the way of the next backup, restore or drill of one source.

    `listing`: what is in its store, where the caller has it.
    """
    (findings, estimate), repository = _examine_source(patient.source), patient.repository
    try:
        listing = listing or list_backups(repository.store, repository.cache)
        of = of_source(listing, repository.store, patient.whose, now)
        mine, problems = known_backups(of.rows, repository.store)
    except OpsError as error:
        return [*findings, critical(error, repository.name)]
    unread = [*problems, *unread_manifests(listing)]
    return [
        *findings,
        *_examine_store(patient, estimate),
        *listing.findings,
        *problems,
        *of.said,
        # Where the only manifest is damaged, it would be wrong to say that there is no backup yet.
        *(_examine_history(patient, mine, scratch, now) if mine or not unread else []),
        *examine_undecided(repository.store, of.rows),
    ]


def examine_known(known: Iterable[Known], today: date) -> list[Finding]:
    """A warning for each entry of what is known that has ended, and so counts for nothing."""
    return [
        _warning(
            "known.ended",
            f"known: {item.code} in {item.where} ({item.reason}) has ended on {item.until}: mend it, or say for how much longer",
            item.where,
        )
        for item in known
        if item.ended(today)
    ]


_SEEN_BY_SIZE: Final = frozenset(("backup.payload_missing", "backup.size_mismatch"))
"""What is told of the copies by how many are not whole."""


def examine_copies(
    home: Home,
    further: Mapping[str, tuple[Catalogue, Policy | None]],
    named: Mapping[str, Policy],
    now: datetime,
) -> list[Finding]:
    """For each further store, by its name, whether the backups of a source are there that should be.

    Each comes with its catalogue, and with its own policy where it has one. `named`: the policies that a backup may name
    itself.
    """
    findings = []
    for name, (away, policy) in further.items():
        findings += [
            replace(item, message=f"store {name!r}: {item.message}")
            for item in away.findings
            if (item.severity is Severity.CRITICAL or item.blocking) and item.code not in _SEEN_BY_SIZE
        ]
        missing = len(missing_copies(home, away, policy, now, named))
        there = {item.manifest.job_id for item in away.backups if has_whole(away, item)}
        here = home.here.with_parts
        wanted = missing + sum(item.manifest.job_id in there for item in here)
        bad = [item.name for item in home.here.among(away) if item.good is False]
        if bad:
            message = f"{len(bad)} copies in store {name!r} failed their last look ({bad[0]}): delete them, then store.push"
            findings.append(_critical("copy.failed_look", message, name))
        if lost := [item.name for item in home.here.among(away) if not has_whole(away, item)]:
            message = (
                f"{len(lost)} copies in store {name!r} are not whole there any more ({lost[0]}): run store.push, and look at"
                " who deletes or changes files in it"
            )
            findings.append(_critical("copy.not_whole", message, name))
        if missing:
            message = f"{missing} of {wanted} backups are not in store {name!r} yet: run store.push"
            findings.append(_warning("copy.missing", message, name))
        else:
            message = f"store {name!r} has all {wanted} backups that should be there"
            findings.append(_ok("copy.complete", message))
    return findings


def examine_only_copies(whose: Whose, further: Iterable[Repository]) -> list[Finding]:
    """Return a warning for each further store that has backups of a source of which none is where they are made."""
    findings = []
    for to in further:
        if mine := own_backups(whose, to.store).mine:
            message = (
                f"store {to.name!r} has {len(mine)} backups of this source, and where they are made there is none:"
                f" bring them back with store.pull {to.name}:latest"
            )
            findings.append(_warning("copy.only", message, to.name))
    return findings


def _ok(code: str, message: str) -> Finding:
    return Finding(severity=Severity.OK, code=code, message=message)


def _warning(code: str, message: str, where: str = "") -> Finding:
    return Finding(severity=Severity.WARNING, code=code, message=message, where=where)


def _critical(code: str, message: str, where: str = "") -> Finding:
    return Finding(severity=Severity.CRITICAL, code=code, message=message, where=where)


def _examine_source(source: Source) -> tuple[list[Finding], int | None]:
    """Read the source the way a backup does, into nothing that stays; how large a payload would be, where that is known."""
    try:
        probe = source.probe()
    except OpsError as error:
        return [critical(error, source.info.name)], None
    message = f"{source.info.location} can be read ({format_size(probe.estimate)}, {probe.text})"
    return [_ok("doctor.source", message), *probe.findings], probe.estimate


def _examine_store(patient: Patient, estimate: int | None) -> list[Finding]:
    reserve = None
    if estimate is not None:
        reserve = 2 * estimate if patient.min_free is None else max(patient.min_free, estimate)
    return [*examine_folder(patient.repository, reserve), *examine_lock(patient.repository, patient.whose)]


def _examine_loading(patient: Patient, newest: Backup, scratch: Path) -> list[Finding]:
    """Whether the newest backup could be drilled here: room, and whatever its kind needs."""
    source, manifest = patient.source, known_manifest(newest.manifest, patient.repository)
    findings = _examine_needed(newest)
    if is_closed(manifest):
        message = f"what {newest.name} needs to be drilled is encrypted, and no key is here: not looked at"
        return [*findings, _ok("doctor.encrypted", message)]
    findings += [examine_room(scratch, source.room_to_load(manifest), "the next drill")]
    try:
        findings += source.require_loadable(manifest)
    except OpsError as error:
        findings.append(critical(error, newest.name))
    return findings


def _examine_needed(newest: Backup) -> list[Finding]:
    """Whether what it needs is there: without that nothing can restore it."""
    try:
        needed_backups(newest)
    except OpsError as error:
        return [critical(error, newest.name)]
    return []


def _examine_history(patient: Patient, mine: list[Backup], scratch: Path, now: datetime) -> list[Finding]:
    if not mine:
        return [_warning("doctor.no_backup", "there is no backup yet: run backup.create --verify")]
    objectives = patient.objectives
    return [
        *_examine_loading(patient, mine[0], scratch),
        *examine_age(mine[0], objectives.every, now),
        *examine_verified(mine[0], objectives.verify_every, now),
        examine_proven(mine, objectives.drill_every, now),
    ]
