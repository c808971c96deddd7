"""Where a scenario runs: a folder, an environment, and what is to be undone when it ends."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ops.sources.postgres.server.server import RunningServer

CONSOLE: Final = Path(sys.executable).with_name("drillbook")
_DEADLINE_S: Final = 20
_BUILDING: Final = threading.Lock()


class NotHereError(Exception):
    """The fixture cannot be made on this machine; says why."""


@dataclass(slots=True)
class Place:
    """Where a scenario runs: its folder, its environment, what to undo at the end, and built demos to copy.

    `server`: the PostgreSQL server that all pages share, where one runs. `names`: what a page calls a thing, and what
    it is called here.
    """

    folder: Path
    environment: dict[str, str]
    templates: Path
    undo: ExitStack = field(default_factory=ExitStack)
    server: RunningServer | None = None
    names: dict[str, str] = field(default_factory=dict)

    @property
    def backups(self) -> Path:
        """The demo's store."""
        return self.folder / "backups"

    def real(self, text: str) -> str:
        """The text of a page, with everything as it is called here."""
        for documented, name in self.names.items():
            text = text.replace(documented, name)
        return text

    def documented(self, text: str) -> str:
        """What was printed here, with everything as pages call it."""
        for documented, name in self.names.items():
            text = text.replace(name, documented)
        return text

    def drillbook(self, *arguments: str) -> None:
        """Run the real program; raises CalledProcessError when it does not succeed."""
        command = [str(CONSOLE), *arguments]
        subprocess.run(command, cwd=self.folder, env=self.environment, check=True, capture_output=True)

    def start(self, *command: str | Path) -> subprocess.Popen[str]:
        """A process that goes on until the scenario ends."""
        process = subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.undo.callback(_end, process)
        return process


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def copy_template(place: Place, name: str, build: Callable[[Place], None]) -> None:
    """Fill the place with a copy of what `build` makes once."""
    template = place.templates / name
    with _BUILDING:
        if not template.exists():
            template.mkdir(parents=True)
            build(Place(template, dict(place.environment), place.templates, server=place.server))
    shutil.copytree(template, place.folder, dirs_exist_ok=True)


def wait_for(happened: Callable[[], bool]) -> None:
    """Return when it happened; raises AssertionError when that takes too long."""
    deadline = time.monotonic() + _DEADLINE_S
    while not happened():
        if time.monotonic() > deadline:
            message = "it did not happen in time"
            raise AssertionError(message)
        time.sleep(0.02)


def clean_environment(home: Path, scratch: Path) -> dict[str, str]:
    """What a command sees: our console script first, no setting of the person who runs the tests."""
    path = os.pathsep.join([str(CONSOLE.parent), os.environ.get("PATH", os.defpath)])
    return {
        "PATH": path,
        "HOME": str(home),
        "TMPDIR": str(scratch),
        "LC_ALL": "C.UTF-8",
        "TERM": "dumb",
        "TZ": "UTC",
        "LOG_FILE": str(scratch / "drillbook.log"),
        "OPS_STATE_DIR": str(home / "state"),
    }
