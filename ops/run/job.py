"""One run of one action on one source: its identity, its clock, and the steps that it tells its listeners of."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from ops.errors import OpsError
from ops.run.events import Listener, Started, Step, ignore
from ops.run.progress import Progress, ToldProgress, silent


def utc_now() -> datetime:
    """Return the present moment, timezone-aware, in UTC."""
    return datetime.now(UTC)


@dataclass(slots=True)
class StepFacts:
    """What a step has to say about itself when it ends; a step fills in what it knows."""

    rows: int | None = None
    bytes: int | None = None
    checksum: str | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """One run of one action on one source: its identity, its clock, and who listens (`ops.run.events`)."""

    job_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    source: str = ""
    tell: Listener = ignore
    clock: Callable[[], datetime] = utc_now
    progress: Progress = silent
    task: str = ""

    def of_source(self, name: str) -> Job:
        """Begin a job of its own on source `name`, with the same listeners."""
        job = replace(self, job_id=str(uuid.uuid4()), source=name, progress=self._progress_of(name))
        self.tell(Started(task=self.task, job_id=job.job_id, source=name, at=self.clock()))
        return job

    def _progress_of(self, name: str) -> Progress:
        return ToldProgress(name, self.tell) if isinstance(self.progress, ToldProgress) else self.progress

    @contextlib.contextmanager
    def step(self, event: str) -> Iterator[StepFacts]:
        """Tell of the step when the block ends: `ok`, or `error` with the message when it raises."""
        started = self.clock()
        facts = StepFacts()
        try:
            yield facts
        except OpsError as error:
            self._tell(event, started, facts, error.code, error.message)
            raise
        except BaseException as error:
            # What another library raises may hold anything: its text is told to no one.
            self._tell(event, started, facts, "", type(error).__name__)
            raise
        self._tell(event, started, facts)

    def _tell(
        self, event: str, started: datetime, facts: StepFacts, code: str = "", message: str = ""
    ) -> None:
        finished = self.clock()
        self.tell(
            Step(
                job_id=self.job_id,
                source=self.source,
                name=event,
                started_at=started,
                finished_at=finished,
                duration_ms=milliseconds(started, finished),
                status="error" if message else "ok",
                rows=facts.rows,
                bytes=facts.bytes,
                checksum=facts.checksum,
                code=code,
                message=message,
            )
        )


def milliseconds(started: datetime, finished: datetime) -> int:
    """Return whole milliseconds from `started` to `finished`; 0 when the clock was set back meanwhile."""
    return max(0, round((finished - started).total_seconds() * 1000))
