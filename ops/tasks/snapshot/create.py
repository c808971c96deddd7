"""What `snapshot.create` does with its flags."""

from __future__ import annotations

import time
from pathlib import Path

from ops.errors import ConfigError
from ops.report.results.snapshots import SnapshotWritten
from ops.snapshots.create import CreateRequest, create_snapshot
from ops.snapshots.definition import Definition
from ops.snapshots.table import Live
from ops.sources.sqlite.source import SqliteSource
from ops.tasks.session import Session
from ops.tasks.snapshot.commands import Create


def run(session: Session, wanted: Create) -> None:
    """Write one snapshot."""
    definition = session.config.snapshots.definition(wanted.name)
    name, live = live_table(session, wanted.source, definition)
    request = CreateRequest(
        folder=session.config.snapshots.folder,
        ticker=wanted.ticker or None,
        form=wanted.as_,
        out=Path(wanted.out).absolute() if wanted.out else None,
        replace=wanted.replace,
        wait_s=wanted.wait,
    )
    job = session.job.of_source(name)
    started = time.monotonic()
    written = create_snapshot(live, definition, request, job)
    session.outcome.add(SnapshotWritten(written, job.job_id, time.monotonic() - started))


def live_table(session: Session, source: str, definition: Definition) -> tuple[str, Live]:
    """Return the SQLite source to read: the one that is named, or configured, or called like the snapshot, or the only one."""
    named = source or definition.source
    sources = session.config.sources
    fitting = [name for name, item in sources.items() if isinstance(item.source, SqliteSource)]
    if not named:
        named = fitting[0] if len(fitting) == 1 else definition.name
    if not source and named not in sources:
        hint = f"say which with --source: {', '.join(fitting) or 'there is none'}"
        raise ConfigError("a snapshot of which source?", code="usage.bad_value", hint=hint)
    driver = session.config.source(named).source
    if not isinstance(driver, SqliteSource):
        hint = f"SQLite sources: {', '.join(fitting) or 'none'}"
        message = f"source {named!r} is no SQLite database"
        raise ConfigError(message, code="usage.bad_value", hint=hint)
    timeout_s = driver.options.busy_timeout.total_seconds()
    return named, Live(path=driver.options.path, timeout_s=timeout_s)
