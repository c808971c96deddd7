"""Connecting a run to its observers."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from ops.config.model import Config
from ops.observers.audience import Audience
from ops.ports.observer import Setting
from ops.registry import OBSERVERS
from ops.report.outcome import Outcome
from ops.run.events import Started
from ops.run.job import Job
from ops.run.progress import ToldProgress
from ops.tasks.cli.command import Flags


@contextlib.contextmanager
def observed(outcome: Outcome, flags: Flags, config: Config) -> Iterator[Job]:
    """Yield a job whose events, as those of the outcome, go to all observers; they have taken them when the block ends."""
    setting = Setting(environ=os.environ, state=config.state, quiet=flags.quiet, verbose=flags.verbose)
    made = {name: make(setting) for name, make in OBSERVERS.items()}
    audience = Audience({name: observer for name, observer in made.items() if observer is not None})
    outcome.tell = audience.tell
    job = Job(tell=audience.tell, task=outcome.task, progress=ToldProgress("", audience.tell))
    outcome.job_id = job.job_id
    job.tell(Started(task=job.task, job_id=job.job_id, source="", at=job.clock()))
    try:
        yield job
    except BaseException as error:
        outcome.tell_end(error)
        raise
    else:
        outcome.tell_end()
    finally:
        audience.close()
