"""The log of a run: one JSON object a line, one line a step, for machines that read logs.

Fields that every line has: job_id, event, source, started_at, finished_at, duration_ms, rows, bytes, checksum,
status, error_message (null where they say nothing). No secret is ever given to it.
"""

from __future__ import annotations

import contextlib
import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Protocol

from ops.errors import OpsError
from ops.run.progress import Progress, silent
from ops.units import format_time


class LineSink(Protocol):
    """Takes whole lines; never raises."""

    def __call__(self, line: str, /) -> None:
        """Write one line, without its line end."""


def discard(_line: str) -> None:
    """The sink that forgets."""


def utc_now() -> datetime:
    """The present moment, timezone-aware, in UTC."""
    return datetime.now(UTC)


@dataclass(slots=True)
class StepFacts:
    """What a step has to say about itself when it ends; a step fills in what it knows."""

    rows: int | None = None
    bytes: int | None = None
    checksum: str | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """One run of one action on one source: its identity, its clock, and who listens."""

    job_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    source: str = ""
    sink: LineSink = discard
    clock: Callable[[], datetime] = utc_now
    progress: Progress = silent

    def of_source(self, name: str) -> Job:
        """The same listeners for a job of its own on source `name`."""
        return replace(self, job_id=str(uuid.uuid4()), source=name)

    @contextlib.contextmanager
    def step(self, event: str) -> Iterator[StepFacts]:
        """Log one line when the block ends: status `ok`, or `error` with the message when it raises."""
        started = self.clock()
        facts = StepFacts()
        try:
            yield facts
        except OpsError as error:
            self._write(event, started, facts, "error", f"{error.code}: {error.message}")
            raise
        except BaseException as error:
            self._write(event, started, facts, "error", type(error).__name__)
            raise
        self._write(event, started, facts, "ok", None)

    def _write(self, event: str, started: datetime, facts: StepFacts, status: str, error: str | None) -> None:
        finished = self.clock()
        line = {
            "job_id": self.job_id,
            "event": event,
            "source": self.source,
            "started_at": format_time(started),
            "finished_at": format_time(finished),
            "duration_ms": milliseconds(started, finished),
            "rows": facts.rows,
            "bytes": facts.bytes,
            "checksum": facts.checksum,
            "status": status,
            "error_message": error,
        }
        self.sink(json.dumps(line))


def milliseconds(started: datetime, finished: datetime) -> int:
    """Whole milliseconds from `started` to `finished`; 0 when the clock was set back meanwhile."""
    return max(0, round((finished - started).total_seconds() * 1000))
