"""The last line of a task on a terminal: how many, how many of them need a look, and what to do first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from ops.errors import OpsError
from ops.model.findings import Finding, Severity
from ops.report.next_moves import move_of, usual_move
from ops.report.printable import printable
from ops.report.screen import screen

_ERROR: Final = "error"
_SERIOUS: Final = (_ERROR, str(Severity.CRITICAL), str(Severity.WARNING))
_SEVERAL: Final = 2
"""One thing is told whole right above."""
_NOUNS: Final = {
    "backup.create": "backup",
    "backup.list": "backup",
    "backup.verify": "backup",
    "metrics": "ticker",
}
"""What the results of a task are, where their number says something."""


@dataclass(slots=True)
class Tally:
    """How many results there are, how often something needs a look, and the next move of the most serious, the first of these."""

    number: int = 0
    seen: Counter[str] = field(default_factory=Counter)
    moves: dict[str, str] = field(default_factory=dict)

    def count(self, findings: Sequence[Finding], source: str) -> None:
        """Count findings that are not fine."""
        for finding in findings:
            if finding.severity is not Severity.OK:
                self._add(str(finding.severity), move_of(finding, source))

    def count_error(self, error: OpsError, command: str) -> None:
        """Count an error; `command`: the one to run next as it is to be typed, if any."""
        self._add(_ERROR, command or error.hint or usual_move(error.code))

    def _add(self, how: str, move: str) -> None:
        self.seen[how] += 1
        if move:
            self.moves.setdefault(how, move)

    def line(self, task: str) -> str:
        """Return the line; empty where it would say no more than what stands above it."""
        parts = [_counted(self.number, _NOUNS[task])] if task in _NOUNS and self.number else []
        parts += [_counted(self.seen[how], how) for how in _SERIOUS if self.seen[how]]
        if not parts or max(self.number, self.seen.total()) < _SEVERAL:
            return ""
        said = ", ".join(parts)
        move = next((self.moves[how] for how in _SERIOUS if how in self.moves), "")
        return screen().folded(f"{said}; next: {printable(move)}" if move else said, 2)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 or noun == Severity.CRITICAL else f"{number} {noun}s"
