"""The task `snapshot.restore-verify`: a snapshot loaded and compared."""

from __future__ import annotations

from pathlib import Path

from ops.errors import ConfigError
from ops.report.results.snapshots import SnapshotProved
from ops.snapshots.restore_verify import RestoreRequest, prove_snapshot
from ops.tasks.session import Session
from ops.tasks.snapshot.commands import RestoreVerify
from ops.tasks.snapshot.create import live_table


def run(session: Session, wanted: RestoreVerify) -> None:
    """Prove that one snapshot can be restored."""
    path = Path(wanted.path).absolute()
    if path.suffix == ".json":
        hint = "the CSV form is the one that is restored; compare JSON with snapshot.verify"
        raise ConfigError(f"{path.name} is no CSV", code="usage.bad_value", hint=hint)
    settings = session.config.snapshots
    definition = settings.definition(wanted.name) if wanted.name else settings.definition_of_file(path.name)
    against = live_table(session, wanted.source, definition)[1] if wanted.source else None
    request = RestoreRequest(
        path=path, scratch=session.config.scratch, definition=definition, against=against
    )
    job = session.job.of_source(wanted.source)
    session.outcome.add(SnapshotProved(prove_snapshot(request, job), job.job_id))
