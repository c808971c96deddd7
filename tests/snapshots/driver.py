"""Runs one snapshot task of ours as a process of its own: python driver.py ACTION JSON.

With `kill_at` the process kills itself with SIGKILL right before the n-th time that it would give a file a name, take
one away, or replace one. Works with every Python that has nothing but our package on its path.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

from ops.run.job import Job
from ops.snapshots.create import CreateRequest, create_snapshot
from ops.snapshots.definition import BUILT_IN, Definition
from ops.snapshots.purge import PurgeRequest, purge_snapshots
from ops.snapshots.table import Live

STEPS = {"os.link", "os.rename", "os.remove"}
NOW = datetime(2026, 3, 15, 8, 15, tzinfo=UTC)


def die_at(number: int) -> None:
    """Kill this process right before the `number`-th change of a name."""
    seen = 0

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal seen
        if event in STEPS:
            seen += 1
            if seen == number:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def main() -> None:
    """Do it, and print what came of it as JSON."""
    action, options = sys.argv[1], json.loads(sys.argv[2])
    job = Job(clock=lambda: NOW)
    if options.get("kill_at"):
        die_at(options["kill_at"])
    if action == "create":
        definition = BUILT_IN["prices"]
        if "table" in options:
            definition = Definition(
                name=options["table"],
                table=options["table"],
                order=tuple(options.get("order", ())),
                columns=tuple(options.get("columns", ())),
            )
        request = CreateRequest(
            folder=Path(options["folder"]),
            ticker=options.get("ticker"),
            form=options.get("form", "csv"),
            replace=options.get("replace", False),
        )
        written = create_snapshot(Live(path=Path(options["database"]), timeout_s=5), definition, request, job)
        print(json.dumps({"status": written.status, "rows": written.rows, "sha256": written.sha256}))
        return
    purge = PurgeRequest(
        folder=Path(options["folder"]),
        older_than=options["older_than"],
        keep_latest=options["keep_latest"],
        archive=Path(options["archive"]) if "archive" in options else None,
    )
    print(json.dumps({"removed": [path.name for path in purge_snapshots(purge, job).removed]}))


if __name__ == "__main__":
    main()
