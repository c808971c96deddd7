"""What `backup.drill` does with its flags."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

from ops.actions.drill import DrillRequest, run_drill
from ops.config.assertions import expectations_of
from ops.errors import OpsError, RefusedError
from ops.fsio.atomic import make_private_folder, replace_durably, write_all
from ops.fsio.leftovers import staged_beside
from ops.model.evidence import Evidence
from ops.model.findings import Finding, Verdict
from ops.model.requests import Objectives
from ops.report.results.looks import BackupsDrilled
from ops.repository.backup import Backup
from ops.repository.encrypt import opened_where_possible
from ops.repository.freshness import examine_undecided
from ops.repository.listing import list_backups
from ops.repository.own import is_part, of_source
from ops.tasks.backup.commands import Drill
from ops.tasks.session import Session

_START: Final = 500
"""Bytes in which a JUnit report says what it is."""


def run(session: Session, wanted: Drill) -> None:
    """Drill the chosen backups, all of them, whatever is found; one table at the end."""
    report = Path(wanted.junit).absolute() if wanted.junit else None
    if report is not None:
        require_report(report)
    drills = []
    for backup in _chosen(session, wanted):
        try:
            drills.append(_drill_one(session, backup, wanted))
        except OpsError as error:
            session.outcome.fail(error, backup.manifest.source.name)
    result = BackupsDrilled(tuple(drills))
    session.outcome.add(result)
    session.outcome.notice(_lasting(session, drills))
    if report is not None:
        _write(report, result.junit())


def require_report(path: Path) -> None:
    """Return when nothing is at `path`, or a JUnit report of before; raises RefusedError for what would be lost."""
    if not os.path.lexists(path):
        return
    if not path.is_file() or path.is_symlink():
        message = f"--junit {path} is not a regular file"
        hint = "name a file that does not exist, or the report of a former run"
        raise RefusedError(message, code="refused.name_taken", hint=hint)
    with path.open("rb") as file:
        start = file.read(_START)
    if start and b"<testsuite" not in start:
        message = (
            f"--junit {path} exists, and is not a JUnit report: nothing was drilled, so that it is not lost"
        )
        raise RefusedError(message, code="refused.name_taken", hint="name another file")


def _chosen(session: Session, wanted: Drill) -> list[Backup]:
    if wanted.from_ and wanted.from_ != "latest":
        return [session.find(wanted.from_, session.only("--from", wanted.source))]
    found = []
    for configured in session.chosen(wanted.source):
        try:
            latest = session.latest(session.config.home_of(configured), configured)
            found.append(session.with_openers(latest))
        except OpsError as error:
            session.outcome.fail(error, configured.name)
    return found


def _drill_one(session: Session, backup: Backup, wanted: Drill) -> Evidence:
    configured = session.config.sources.get(backup.manifest.source.name)
    # The assertions of its time are encrypted with all else that tells of the content.
    backup = opened_where_possible(backup, session.config.scratch)
    if is_part(backup) or wanted.table:
        # Assertions and objectives are about the whole.
        configured = None
    expected = expectations_of(backup.manifest, configured.assertions if configured else None)
    request = DrillRequest(
        scratch=session.config.scratch,
        assertions=expected.binding,
        advisory=expected.advisory,
        not_asked=expected.not_asked,
        known=session.known_of(backup),
        objectives=configured.objectives if configured else Objectives(),
        keep_scratch=wanted.keep,
        tables=wanted.table,
    )
    return run_drill(
        backup, session.source_of(backup), request, session.job.of_source(backup.manifest.source.name)
    )


def _lasting(session: Session, drills: list[Evidence]) -> list[Finding]:
    """What is more than bad luck: drill after drill without a verdict."""
    findings = []
    for evidence in drills:
        configured = session.config.sources.get(evidence.source.name)
        if evidence.verdict is Verdict.INCONCLUSIVE and configured is not None:
            store = session.config.home_of(configured)
            with contextlib.suppress(OpsError):  # the drill has said what is wrong with the store
                listing = list_backups(store, session.cache)
                of = of_source(listing, store, session.whose(configured), session.job.clock())
                findings += examine_undecided(store, of.rows)
    return findings


def _write(path: Path, content: bytes) -> None:
    make_private_folder(path.parent)
    with staged_beside(path.parent, path.name) as staged:
        write_all(staged, content)
        replace_durably(staged.path, path)
