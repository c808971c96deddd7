"""The end of a task: what there is to say, how bad it is, and the exit code that follows."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from ops.errors import OpsError
from ops.formats.evidence import finding_document
from ops.model.findings import Finding, Severity, Verdict, worst
from ops.report.text import error_text, findings_text

OK: Final = 0
WARNING: Final = 1
CRITICAL: Final = 2
_WORDS: Final = {OK: "ok", WARNING: "warning", CRITICAL: "critical"}


@dataclass(slots=True)
class Outcome:
    """Results of a task so far. `text` is for people, the rest for machines.

    `findings` are about no single result: what lies in a store and should not, for instance. `answer`: what the JSON
    of a task has at its top beside what all have. `results_first`: whether its results come before all else. `lines`: results as lines, where those alone are asked for: what else there is to say is
    for standard error then; None where they are not asked for. `program`, `flags`: what commands that are shown begin and end with. `ended_with`: the exit code where a signal decided it.
    """

    task: str
    program: str = "drillbook"
    flags: str = ""
    results: list[Mapping[str, object]] = field(default_factory=list)
    findings: list[Mapping[str, object]] = field(default_factory=list)
    errors: list[Mapping[str, object]] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    exit_code: int = OK
    ended_with: int | None = None
    answer: Mapping[str, object] = field(default_factory=dict)
    results_first: bool = False
    lines: list[str] | None = None

    def add(self, document: Mapping[str, object], text: str, exit_code: int = OK) -> None:
        """One more result; the exit code is the worst of all."""
        self.results.append(document)
        if text:
            self.text.append(text)
        self.exit_code = max(self.exit_code, exit_code)

    def fail(self, error: OpsError, source: str = "", *, exit_code: int | None = None) -> None:
        """One thing that could not be done; `exit_code` where that is less serious than the error says."""
        self.errors.append(error_document(error, source, self.typed))
        code = error.exit_code if exit_code is None else exit_code
        word = "WARNING" if code == WARNING else "CRITICAL"
        self.text.append(error_text(error, source, self.typed, word))
        self.exit_code = max(self.exit_code, code)

    def typed(self, command: str) -> str:
        """Return a command as it is to be typed here, with the configuration that was named."""
        return f"{self.program} {command}{self.flags}"

    def notice(self, findings: Sequence[Finding]) -> None:
        """Findings about no single result."""
        self.findings += [finding_document(finding) for finding in findings]
        if text := findings_text(findings):
            self.text.append(text)
        self.exit_code = max(self.exit_code, exit_code_of(findings))

    def to_json(self) -> str:
        """One JSON document with everything, ASCII only."""
        document: dict[str, object] = {
            **({"results": self.results} if self.results_first else {}),
            "task": self.task,
            "status": _WORDS[self.exit_code],
            "exit_code": self.exit_code if self.ended_with is None else self.ended_with,
            **self.answer,
            "results": self.results,
            "findings": self.findings,
            "errors": self.errors,
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


def exit_code_of(findings: Sequence[Finding], verdict: Verdict | None = None) -> int:
    """0, 1 or 2 for what was found: the worst finding, and at least 1 without a verdict."""
    if verdict is Verdict.FAILED or worst(list(findings)) is Severity.CRITICAL:
        return CRITICAL
    if verdict is Verdict.INCONCLUSIVE or worst(list(findings)) is Severity.WARNING:
        return WARNING
    return OK
