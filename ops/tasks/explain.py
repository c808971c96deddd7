"""The task `explain`: what a code means and what to do, without a network and without the documentation."""

from __future__ import annotations

from ops.errors import ConfigError
from ops.model.close_names import did_you_mean
from ops.report.next_moves import codes
from ops.report.outcome import Outcome
from ops.report.results.explained import CodeExplained, CodesListed
from ops.tasks.commands import Explain


def run(outcome: Outcome, wanted: Explain) -> None:
    """Tell of one code, or list all."""
    known = codes()
    if not wanted.code:
        outcome.add(CodesListed(tuple(known.values())))
        return
    found = known.get(wanted.code.strip().strip("()`").lower())
    if found is None:
        hint = did_you_mean(wanted.code, known) or "explain without a code lists all"
        raise ConfigError(f"no code {wanted.code!r}", code="usage.bad_value", hint=hint)
    outcome.add(CodeExplained(found))
