"""What `backup.restore` does with its flags."""

from __future__ import annotations

import sys
from dataclasses import replace

from ops.actions.acceptance import require_acceptable
from ops.actions.restore import Restored, plan_restore, restore_backup
from ops.actions.restore_request import RestoreRequest
from ops.errors import BackupError, RefusedError
from ops.model.requests import RestoreOptions
from ops.ports.source import Restorable, Source
from ops.report.printable import printable
from ops.report.results.restored import BackupRestored, RestorePlanned
from ops.repository.encrypt import opened_where_possible
from ops.run.job import milliseconds
from ops.tasks.backup.commands import Restore
from ops.tasks.copies import naming_copies
from ops.tasks.session import Session


def run(session: Session, wanted: Restore) -> None:
    """Restore one backup, or say what would be done."""
    require_acceptable(wanted.accept, wanted.to or None)
    # Where the source is not configured here, its place is what the manifest says, which may be encrypted.
    found, member = session.find_member(wanted.from_, wanted.source)
    backup = opened_where_possible(found, session.config.scratch)
    source = session.member_of(backup, member) if member else session.source_of(backup)
    job = session.job.of_source(source.info.name)
    request = RestoreRequest(
        scratch=session.config.scratch,
        safety=session.safety(backup),
        sources=[configured.source for configured in session.config.sources.values()],
        stores=[session.repository(store) for store in session.config.stores.values()],
        series="" if member else session.series_of(backup),
        in_full=wanted.from_.rpartition(":")[2] != "latest",
        from_other=wanted.from_other_source,
        assertions=() if member else session.assertions_of(backup),
        known=session.known_of(backup),
        accept=wanted.accept,
        member=member,
        to=wanted.to or None,
        options=RestoreOptions(
            tables=wanted.table,
            truncate=wanted.truncate,
            schema_only=wanted.schema_only,
            no_owner=wanted.no_owner,
            no_acl=wanted.no_acl,
        ),
        yes=wanted.yes,
        command=session.outcome.program,
        flags=session.outcome.flags,
        wait_s=wanted.wait,
    )
    if wanted.table and not wanted.yes and not wanted.dry_run:
        hint = "add --yes; all that is there is kept as a safety backup first"
        raise RefusedError("--table changes data that is there", code="refused.interactive_only", hint=hint)
    if wanted.dry_run:
        steps = plan_restore(backup, source, request)
        session.outcome.add(RestorePlanned(backup, tuple(steps)))
        return
    started = job.clock()
    try:
        restored: Restored = restore_backup(backup, source, _confirmed(source, request), job)
    except BackupError as error:
        raise naming_copies(error, backup, session.config, session.named_task) from error
    duration_ms = milliseconds(started, job.clock())
    result = BackupRestored(backup=backup, restored=restored, job_id=job.job_id, duration_ms=duration_ms)
    session.outcome.add(result)


def _confirmed(source: Source, request: RestoreRequest) -> RestoreRequest:
    """The request with `yes` when a person at a terminal says so; unchanged where nobody can be asked."""
    if request.yes or request.to is None or not sys.stdin.isatty() or not isinstance(source, Restorable):
        return request
    with source.target(request.to) as target:
        if not target.exists():
            return request
    sys.stderr.write(
        f"{printable(target.location)} exists. Replace it, keeping it as a safety backup? Type yes: "
    )
    sys.stderr.flush()
    return replace(request, yes=sys.stdin.readline().strip() == "yes")
