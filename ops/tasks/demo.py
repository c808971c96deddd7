"""The task `demo`: what it does."""

from __future__ import annotations

import shlex
from pathlib import Path

from ops.demo.catalogue import build_demo
from ops.errors import OpsError
from ops.report.outcome import Outcome
from ops.report.text import printable


def demo(outcome: Outcome, out: str, without: str, program: str) -> None:
    """Build the demo catalogue and say how to go on."""
    try:
        catalogue = build_demo(Path(out).absolute(), without=[without] if without else [])
    except OpsError as error:
        outcome.fail(error)
        return
    config = shlex.quote(f"{out.rstrip('/')}/{catalogue.config_path.name}")
    databases = [
        {"source": item.source, "path": str(item.path), "rows": dict(item.rows)}
        for item in catalogue.databases
    ]
    left_out = [
        {"source": item.source, "reason": item.reason, "advice": item.advice} for item in catalogue.left_out
    ]
    lines = [f"Demo catalogue in {printable(out)}"]
    lines += [
        f"  {item.source:<8} {item.name}, {sum(item.rows.values())} rows" for item in catalogue.databases
    ]
    lines += [
        f"  {item.source:<8} left out: {printable(item.reason)}; for it: {printable(item.advice)}"
        for item in catalogue.left_out
    ]
    lines.append(
        f"Next:\n  {program} backup.create --config {config} --verify\n  {program} backup.drill --config {config}"
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
