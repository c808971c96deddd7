"""The log of steps: one JSON object a line for each step that ended, for machines that read logs.

Fields that every line has: job_id, event, source, started_at, finished_at, duration_ms, rows, bytes, checksum,
status, error_message (null where they say nothing).
"""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import Final

from ops.errors import OpsError
from ops.host.journal import Priority, with_priority
from ops.ports.observer import Observer, Setting
from ops.run.events import Event, Step
from ops.units import format_time

NAME: Final = "log.jsonl"
_MOST_BYTES: Final = 10_000_000
_LEVELS: Final = {"DEBUG": False, "INFO": False, "WARNING": True, "ERROR": True, "CRITICAL": True}
"""Levels, and whether they leave only the steps that failed."""
_ERROR: Final = 2
_IN_JSON: Final = "json"


class LogError(Exception):
    """A line that could not be written, and why."""


class JsonLog:
    """Writes each step to a file, to standard error, or into the state folder."""

    def __init__(self, setting: Setting) -> None:
        self._setting, self._environ = setting, setting.environ
        self._descriptor: int | None = None

    @property
    def hears(self) -> tuple[type[Event], ...]:
        """Steps alone."""
        return (Step,)

    def handle(self, event: Event) -> None:
        """Write the line of a step; raises LogError when it is lost."""
        if not isinstance(event, Step):
            return
        failures_only, wrong = self._level()
        if event.status == "ok" and failures_only:
            return
        line = json.dumps(line_of(event))
        if self._descriptor is None:
            self._descriptor = self._open()
        if self._descriptor == _ERROR:
            line = with_priority(
                line, Priority.INFO if event.status == "ok" else Priority.ERROR, self._environ
            )
        try:
            # One write a line: lines of runs that share the file do not mix.
            os.write(self._descriptor, f"{line}\n".encode())
        except OSError as error:
            raise LogError(f"a log line could not be written: {error.strerror}") from error
        if wrong:
            raise LogError(f"LOG_LEVEL={wrong} is not a level: one of {', '.join(_LEVELS)}; INFO is used")

    def _level(self) -> tuple[bool, str]:
        """Whether only failures are written, and a level that is none."""
        given = self._environ.get("LOG_LEVEL", "").upper()
        if given in _LEVELS:
            return _LEVELS[given], ""
        return self._setting.quiet and self._to_stderr, given

    @property
    def _to_stderr(self) -> bool:
        if self._environ.get("LOG_FILE"):
            return False
        return self._setting.verbose or self._environ.get("LOG_FORMAT", "").lower() == _IN_JSON

    def _open(self) -> int:
        if self._to_stderr:
            return _ERROR
        named = self._environ.get("LOG_FILE", "")
        try:
            return _appended(Path(named)) if named else _rotated(self._setting.state.usable() / NAME)
        except OpsError as error:
            raise LogError(f"the log of steps cannot be written: {error.message}") from error
        except OSError as error:
            where = f"LOG_FILE {named}" if named else "the log of steps"
            raise LogError(f"{where} cannot be written: {error.strerror}") from error


def _appended(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)


def _rotated(path: Path) -> int:
    """Open the log; one that has grown too large becomes the predecessor first, in place of the one before."""
    descriptor = _appended(path)
    if os.fstat(descriptor).st_size < _MOST_BYTES:
        return descriptor
    # Of two runs that see this at once one moves it; the other must not move the new one as well.
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    if path.stat().st_ino == os.fstat(descriptor).st_ino:
        path.replace(path.with_name(f"{path.name}.1"))
    fresh = _appended(path)
    os.close(descriptor)
    return fresh


def line_of(step: Step) -> dict[str, object]:
    """Return the fields of a step's line."""
    error = f"{step.code}: {step.message}" if step.code else step.message
    return {
        "job_id": step.job_id,
        "event": step.name,
        "source": step.source,
        "started_at": format_time(step.started_at),
        "finished_at": format_time(step.finished_at),
        "duration_ms": step.duration_ms,
        "rows": step.rows,
        "bytes": step.bytes,
        "checksum": step.checksum,
        "status": step.status,
        "error_message": error or None,
    }


def json_log(setting: Setting) -> Observer:
    """Return the log of steps: to `LOG_FILE`, with `LOG_FORMAT=json` or `--verbose` to standard error, else into the state folder."""
    return JsonLog(setting)
