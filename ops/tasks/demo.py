"""The task `demo`: what it does."""

from __future__ import annotations

from pathlib import Path

from ops.demo.catalogue import build_demo
from ops.demo.result import DemoBuilt
from ops.errors import OpsError
from ops.report.outcome import Outcome
from ops.tasks.commands import Demo


def run(outcome: Outcome, wanted: Demo) -> None:
    """Build the demo catalogue and say how to go on."""
    try:
        catalogue = build_demo(
            Path(wanted.out).absolute(), without=[wanted.without] if wanted.without else []
        )
    except OpsError as error:
        outcome.fail(error)
        return
    outcome.add(DemoBuilt(catalogue, wanted.out, outcome.program))
