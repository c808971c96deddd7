"""What happens in a run, as values that observers get (`ops.ports.observer`). No secret is ever put into one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from ops.model.findings import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A task began, or with `source` its work on one source, which is a job with an id of its own."""

    task: str
    job_id: str
    source: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """Which sources a task works on, one after the other, so that one can say how many are left."""

    task: str
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Advanced:
    """How far a step is: `done` of `total` bytes (None: not known), told a few times a second."""

    source: str
    what: str
    done: int
    total: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A step ended, with what it knows of its data; `status` is `ok`, or `error` with the code and the message.

    `code` is empty for what is not an error of Drillbook's own: then `message` names its type only.
    """

    job_id: str
    source: str
    name: str
    started_at: datetime
    finished_at: datetime
    duration_ms: int
    status: str
    rows: int | None = None
    bytes: int | None = None
    checksum: str | None = None
    code: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One thing that was looked at and what was there; `source` is empty where it is about no single one."""

    task: str
    source: str
    finding: Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A task ended, or with `source` its work on that one: `ok`, `warning` or `critical`; why, where it failed."""

    task: str
    job_id: str
    source: str
    status: str
    code: str = ""
    message: str = ""


Event: TypeAlias = Started | Chosen | Advanced | Step | Found | Finished
Listener: TypeAlias = Callable[[Event], None]
"""Takes events; never raises, and never keeps anybody waiting for long."""


def ignore(_event: Event) -> None:
    """Hear nothing."""
