"""Where the history of ingest jobs is: a file of lines, or a table of an SQLite source."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ops.errors import ConfigError, OpsError
from ops.ingest_monitor.history import History
from ops.ingest_monitor.jsonl_history import LinesHistory
from ops.ingest_monitor.table_history import TableHistory, examine_index, opened_table
from ops.model.findings import Finding
from ops.repository.integrity import critical
from ops.sources.sqlite.source import SqliteSource
from ops.tasks.session import Session

SUFFIX: Final = ".SA"
"""What the exchange's names of tickers end with, and programs leave away."""


@contextlib.contextmanager
def opened_history(session: Session) -> Iterator[History]:
    """Where `[ingest]` says; else the table of the only SQLite source, or of the one that is called `default` or `prices`."""
    settings = session.config.ingest.settings
    if settings.log is not None:
        yield LinesHistory(settings.log, settings.columns)
        return
    with _opened_table(session) as history:
        yield history


def examine_history(session: Session) -> list[Finding]:
    """Whether an index serves `metrics` and `logs`; nothing where no table has such a history."""
    if session.config.ingest.settings.log is not None:
        return []
    try:
        with _opened_table(session) as history:
            return [examine_index(history)]
    except OpsError as error:
        # Who has no such table, or more than one database, has not asked for it; a source that fails is told elsewhere.
        wanted = session.config.ingest.settings.source is not None
        return [critical(error, "ingest")] if wanted else []


@contextlib.contextmanager
def _opened_table(session: Session) -> Iterator[TableHistory]:
    settings = session.config.ingest.settings
    source = _source(session, settings.source)
    timeout_s = source.options.busy_timeout.total_seconds()
    with opened_table(Path(source.options.path), settings, timeout_s) as history:
        yield history


def _source(session: Session, name: str | None) -> SqliteSource:
    sources = {
        configured.name: configured.source
        for configured in session.config.sources.values()
        if isinstance(configured.source, SqliteSource)
    }
    if name is not None and name not in sources:
        raise ConfigError(f"[ingest]: source {name!r} is no SQLite database", code="config.unknown_source")
    found = sources[name] if name else usual_source(session)
    if found is None:
        hint = f"say which with source, or a file with log, in [ingest]: {', '.join(sources) or 'no SQLite source'}"
        raise ConfigError("which source has the ingest history?", code="config.missing_key", hint=hint)
    return found


def usual_source(session: Session) -> SqliteSource | None:
    """Return the database in which a history is looked for where none is named: the only one, or one of a usual name."""
    sources = {
        configured.name: configured.source
        for configured in session.config.sources.values()
        if isinstance(configured.source, SqliteSource)
    }
    names = list(sources) if len(sources) == 1 else ["default", "prices"]
    return next((sources[name] for name in names if name in sources), None)
