"""The task `demo`: what it does."""

from __future__ import annotations

import shlex
from pathlib import Path

from ops.demo.catalogue import build_demo
from ops.errors import OpsError
from ops.report.outcome import Outcome
from ops.report.text import printable
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
    config = shlex.quote(f"{wanted.out.rstrip('/')}/{catalogue.config_path.name}")
    databases = [
        {"source": item.source, "path": str(item.path), "rows": dict(item.rows)}
        for item in catalogue.databases
    ]
    left_out = [
        {"source": item.source, "reason": item.reason, "advice": item.advice} for item in catalogue.left_out
    ]
    lines = [f"Demo catalogue in {printable(wanted.out)}"]
    lines += [
        f"  {item.source:<8} {item.name}, {sum(item.rows.values())} rows" for item in catalogue.databases
    ]
    lines += [
        f"  {item.source:<8} left out: {printable(item.reason)}; for it: {printable(item.advice)}"
        for item in catalogue.left_out
    ]
    lines.append(
        f"Next:\n  {outcome.program} backup.create --config {config} --verify\n  {outcome.program} backup.drill --config {config}"
    )
    outcome.add(
        {
            "folder": str(catalogue.folder),
            "config": str(catalogue.config_path),
            "databases": databases,
            "left_out": left_out,
        },
        "\n".join(lines),
    )
