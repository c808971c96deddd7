"""What `backup.verify` does with its flags."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ops.actions.verify import VerifyRequest, verify_backup
from ops.errors import OpsError
from ops.model.evidence import Level
from ops.model.findings import Finding
from ops.report.results.looks import BackupVerified
from ops.repository.backup import Backup
from ops.repository.catalog import read_catalogue
from ops.tasks.backup.commands import Verify
from ops.tasks.session import Session


def _everything(session: Session, sources: Sequence[str]) -> tuple[list[Backup], list[Finding]]:
    backups: list[Backup] = []
    findings: list[Finding] = []
    absent = session.absent(session.config.stores)
    for store in (store for name, store in session.config.stores.items() if name not in absent):
        try:
            catalogue = read_catalogue(store)
        except OpsError as error:
            # The others are shown all the same: they may be the only ones left.
            session.outcome.fail(error)
            continue
        backups += [item for item in catalogue.backups if not sources or item.manifest.source.name in sources]
        findings += catalogue.findings
    backups.sort(key=lambda backup: backup.order, reverse=True)
    return backups, findings


def run(session: Session, wanted: Verify) -> None:
    """Verify the chosen backups, all of them, whatever is found."""
    request = VerifyRequest(Level(wanted.level), session.config.scratch)
    if wanted.all:
        backups, findings = _everything(session, wanted.source)
        session.outcome.notice(findings)
        for backup in backups:
            _verify_one(session, backup, request)
        return
    if wanted.backup:
        _verify_one(session, session.find(wanted.backup, session.only("BACKUP", wanted.source)), request)
        return
    for configured in session.chosen(wanted.source):
        try:
            backup = session.latest(session.config.home_of(configured), configured)
        except OpsError as error:
            session.outcome.fail(error, configured.name)
            continue
        _verify_one(session, backup, request)


def _verify_one(session: Session, backup: Backup, request: VerifyRequest) -> None:
    job = session.job.of_source(backup.manifest.source.name)
    request = replace(request, known=session.known_of(backup))
    try:
        evidence = verify_backup(session.with_openers(backup), session.source_of(backup), request, job)
    except OpsError as error:
        session.outcome.fail(error, backup.name)
        return
    session.outcome.add(BackupVerified(evidence))
