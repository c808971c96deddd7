"""The end of a task: what it came to, told as text, as lines or as JSON, and the exit code that follows."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ops.errors import OpsError
from ops.model.findings import Finding
from ops.report.documents import findings_document
from ops.report.exit_codes import CRITICAL, OK, WARNING, WORDS, exit_code_of
from ops.report.results.result import Result
from ops.report.schemas import schema_of
from ops.report.screen import screen
from ops.report.summary import Tally
from ops.report.text import error_text, findings_text
from ops.run.events import Finished, Found, Listener, ignore


@dataclass(frozen=True, slots=True)
class Failure:
    """One thing that could not be done, for which source, and how serious that is."""

    error: OpsError
    source: str
    exit_code: int


@dataclass(frozen=True, slots=True)
class Notice:
    """Findings about no single result: what lies in a store and should not, for instance.

    `said`: all of them are shown by their message, and they decide no exit code.
    """

    findings: Sequence[Finding]
    said: bool = False

    @property
    def exit_code(self) -> int:
        """What these findings alone would end with."""
        return OK if self.said else exit_code_of(self.findings)

    def text(self) -> str:
        """For people."""
        return (
            "\n\n".join(item.message for item in self.findings) if self.said else findings_text(self.findings)
        )


@dataclass(slots=True)
class Outcome:
    """What a task came to so far, in the order in which it came.

    `program`, `flags`: what commands that are shown begin and end with. `as_lines`: results are told as lines, and what
    else there is to say is for standard error. `results_first`: in JSON the results come before all else. `ended_with`:
    the exit code where a signal decided it. `tell`: who hears of each part when it is added; `job_id`: that of the task.
    """

    task: str
    program: str = "drillbook"
    flags: str = ""
    as_lines: bool = False
    results_first: bool = False
    ended_with: int | None = None
    parts: list[Result | Failure | Notice] = field(default_factory=list)
    tell: Listener = ignore
    job_id: str = ""

    def add(self, result: Result) -> None:
        """Keep one more result, and tell of it."""
        self.parts.append(result)
        if not result.ended:
            self._tell_found(result.found, "")
        for ended in result.ended:
            self._tell_found(ended.findings, ended.source)
            self._tell_finished(ended.source, ended.exit_code, ended.job_id)

    def _tell_found(self, findings: Sequence[Finding], source: str) -> None:
        for finding in findings:
            self.tell(Found(task=self.task, source=source, finding=finding))

    def _tell_finished(
        self, source: str, exit_code: int, job_id: str = "", error: BaseException | None = None
    ) -> None:
        code, message = "", type(error).__name__ if error else ""
        if isinstance(error, OpsError):
            code, message = error.code, error.message
        status = WORDS[exit_code]
        self.tell(
            Finished(task=self.task, job_id=job_id, source=source, status=status, code=code, message=message)
        )

    def tell_end(self, error: BaseException | None = None) -> None:
        """Tell that the task is over; `error` is what it ends with, if any."""
        self._tell_finished("", CRITICAL if error else self.exit_code, self.job_id, error)

    def fail(self, error: OpsError, source: str = "", *, exit_code: int | None = None) -> None:
        """Keep one thing that could not be done; `exit_code` where that is less serious than the error says."""
        code = error.exit_code if exit_code is None else exit_code
        self.parts.append(Failure(error, source, code))
        if source:
            self._tell_finished(source, code, error=error)

    def notice(self, findings: Sequence[Finding]) -> None:
        """Keep findings about no single result."""
        self.parts.append(Notice(tuple(findings)))
        self._tell_found(findings, "")

    def say(self, findings: Sequence[Finding]) -> None:
        """Keep findings that are told whatever they are, and are no reason to worry."""
        self.parts.append(Notice(tuple(findings), said=True))

    @property
    def exit_code(self) -> int:
        """The worst of all that it came to."""
        return max((part.exit_code for part in self.parts), default=OK)

    def typed(self, command: str) -> str:
        """Return a command as it is to be typed here, with the configuration that was named."""
        return f"{self.program} {command}{self.flags}"

    def to_text(self) -> str:
        """Return all there is to say to people; without the results where those are told as lines."""
        parts = [part for part in self.parts if not (self.as_lines and isinstance(part, Result))]
        on = screen()
        between = "\n" if on.is_brief else "\n\n"
        said = [*map(self._text_of, parts), self._tally().line(self.task) if on.is_terminal else ""]
        return between.join(filter(None, said))

    def _tally(self) -> Tally:
        tally = Tally()
        for part in self.parts:
            if isinstance(part, Failure):
                command = part.error.command
                tally.count_error(part.error, self.typed(command) if command else "")
                continue
            tally.number += part.number if isinstance(part, Result) else 0
            ended = part.ended if isinstance(part, Result) else ()
            for item in ended:
                tally.count(item.findings, item.source)
            if not ended:
                tally.count(part.findings if isinstance(part, Notice) else part.found, "")
        return tally

    def _text_of(self, part: Result | Failure | Notice) -> str:
        if not isinstance(part, Failure):
            return part.text()
        word = "WARNING" if part.exit_code == WARNING else "CRITICAL"
        return error_text(part.error, part.source, self.typed, word)

    def to_lines(self) -> str:
        """Return the results, a line each."""
        return "\n".join(line for part in self.parts if isinstance(part, Result) for line in part.lines())

    def to_json(self) -> str:
        """Return one JSON document with everything, ASCII only."""
        results = [part for part in self.parts if isinstance(part, Result)]
        documents = [document for result in results for document in result.documents()]
        code = self.exit_code
        findings = [
            finding
            for part in self.parts
            if not isinstance(part, Failure)
            for finding in (part.findings if isinstance(part, Notice) else part.beside)
        ]
        document: dict[str, object] = {
            **({"results": documents} if self.results_first else {}),
            "schema": schema_of(self.task),
            "task": self.task,
            "status": WORDS[code],
            "exit_code": code if self.ended_with is None else self.ended_with,
            **{key: value for result in results for key, value in result.answer().items()},
            "results": documents,
            "findings": findings_document(findings),
            "errors": [
                error_document(part.error, part.source, self.typed)
                for part in self.parts
                if isinstance(part, Failure)
            ],
        }
        return json.dumps(document, indent=2)


def error_document(error: OpsError, source: str, typed: Callable[[str], str]) -> dict[str, object]:
    """An error as plain JSON values; `hint` and `command` are null where there is none, `choices` and `details` empty."""
    return {
        "code": error.code,
        "message": error.message,
        "hint": error.hint or None,
        "command": typed(error.command) if error.command else None,
        "choices": [{"command": typed(command), "about": about} for command, about in error.choices],
        "details": list(error.details),
        "source": source or None,
    }
