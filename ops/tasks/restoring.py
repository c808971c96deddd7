"""What `backup.restore` does with its flags."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path

from ops.actions.restore import Restored, RestoreRequest, plan_restore, restore_backup
from ops.errors import RefusedError
from ops.joblog import milliseconds
from ops.report.documents import restored_document
from ops.report.outcome import exit_code_of
from ops.report.text import printable, restored_text
from ops.tasks.session import Session, program_name
from ops.tasks.values import seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The flags of `backup.restore`."""

    backup: str
    source: str
    to: str
    table: str
    yes: bool
    dry_run: bool
    wait: str


def restore(session: Session, wanted: Wanted) -> None:
    """Restore one backup, or say what would be done."""
    backup = session.find(wanted.backup, wanted.source)
    source = session.source_of(backup)
    job = session.job.of_source(backup.manifest.source.name)
    request = RestoreRequest(
        scratch=session.config.scratch,
        safety_store=session.safety_store(backup),
        sources=[configured.source for configured in session.config.sources.values()],
        target=Path(wanted.to).absolute() if wanted.to else None,
        table=wanted.table or None,
        yes=wanted.yes,
        command=program_name(),
        flags=session.config_flag,
        wait_s=seconds("--wait", wanted.wait),
    )
    if wanted.table and not wanted.yes and not wanted.dry_run:
        hint = "add --yes; the whole file is kept as a safety backup first"
        raise RefusedError("--table changes an existing file", code="refused.interactive_only", hint=hint)
    if wanted.dry_run:
        steps = plan_restore(backup, source, request)
        text = "\n".join(
            ["Would:", *(f"  {number}. {printable(step)}" for number, step in enumerate(steps, 1))]
        )
        session.outcome.add({"backup": backup.name, "dry_run": True, "steps": steps}, text)
        return
    started = job.clock()
    restored: Restored = restore_backup(backup, source, _confirmed(request), job)
    duration_ms = milliseconds(started, job.clock())
    session.outcome.add(
        restored_document(backup, restored, job.job_id, duration_ms),
        restored_text(backup, restored, duration_ms),
        exit_code_of(restored.findings),
    )


def _confirmed(request: RestoreRequest) -> RestoreRequest:
    """The request with `yes` when a person at a terminal says so; unchanged where nobody can be asked."""
    target = request.target
    if request.yes or target is None or not target.exists() or not sys.stdin.isatty():
        return request
    sys.stderr.write(
        f"{printable(str(target))} exists. Replace it, keeping it as a safety backup? Type yes: "
    )
    sys.stderr.flush()
    return replace(request, yes=sys.stdin.readline().strip() == "yes")
