"""Machines that differ in what the kernel and the system say of them, on one machine: for tests with root.

Each has its own host name, machine id, boot, state folder and data, in name spaces of its own (unshare(1)); the path of
the data is the same on all, and so are the configuration and the store.
"""

from __future__ import annotations

import json
import shlex
import sqlite3
import subprocess
import uuid
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.conftest import CONSOLE, clean_environment

CONFIG = """
[source.app]
kind = "sqlite"
path = "{data}/app.db"
drill_every = "30d"
{more}
[store.local]
kind = "local"
path = "{store}"
"""


@dataclass
class Machine:
    """One machine: `name` is its host name; `boot` changes when it is restarted."""

    world: Path
    name: str
    machine_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    boot: str = field(default_factory=lambda: str(uuid.uuid4()))
    folder: str = ""
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder = self.folder or self.name
        for part in ("data", "state", "system"):
            (self.home / part).mkdir(parents=True, exist_ok=True)
        if not self.database.exists():
            self.execute("CREATE TABLE who (name TEXT)")
            self.execute(f"INSERT INTO who VALUES ('{self.name}')")

    @property
    def home(self) -> Path:
        """What this machine has for itself."""
        return self.world / "machines" / self.folder

    @property
    def database(self) -> Path:
        """Its database, as it is seen from outside."""
        return self.home / "data" / "app.db"

    def execute(self, sql: str) -> None:
        """Run one statement on its database."""
        with closing(sqlite3.connect(self.database)) as connection, connection:
            connection.execute(sql)

    def ask(self, sql: str = "SELECT name FROM who") -> Any:  # noqa: ANN401 - whatever is there
        """The first value of the first row."""
        with closing(sqlite3.connect(self.database)) as connection:
            return connection.execute(sql).fetchone()[0]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the console command on this machine."""
        system, seen = self.home / "system", self.world / "srv"
        seen.mkdir(exist_ok=True)
        (system / "boot_id").write_text(f"{self.boot}\n")
        (system / "machine-id").write_text(f"{self.machine_id}\n")
        script = f"""
            hostname {shlex.quote(self.name)} &&
            mount --bind {shlex.quote(str(system / "boot_id"))} /proc/sys/kernel/random/boot_id &&
            mount --bind {shlex.quote(str(system / "machine-id"))} /etc/machine-id &&
            mount --bind {shlex.quote(str(self.home / "data"))} {shlex.quote(str(seen))} &&
            exec "$@"
        """
        environment = clean_environment({"OPS_STATE_DIR": str(self.home / "state"), **self.environment})
        environment.pop("OPS_HOST", None)
        environment |= self.environment
        return subprocess.run(
            ["unshare", "--mount", "--uts", "sh", "-c", script, "sh", CONSOLE, *arguments],
            cwd=self.world,
            env=environment,
            capture_output=True,
            check=False,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=120,
        )

    def do(self, code: int, *arguments: str) -> str:
        """Run the command, which must end with `code`; what it printed."""
        done = self.run(*arguments)
        assert done.returncode == code, (
            f"{self.name}: {arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
        )
        assert "Traceback" not in done.stderr
        return done.stdout

    def tell(self, code: int, *arguments: str) -> dict[str, Any]:
        """Do the same, as JSON."""
        document: dict[str, Any] = json.loads(self.do(code, *arguments, "--format", "json"))
        return document

    def names(self) -> list[str]:
        """Its own backups, newest first."""
        done = self.run("backup.list", "--format", "json")
        return [item["name"] for item in json.loads(done.stdout)["results"]]

    def configure(self, more: str = "") -> None:
        """Write the configuration, which all machines share; `more`: further lines of the source."""
        text = CONFIG.format(data=self.world / "srv", store=self.world / "store", more=more)
        (self.world / "ops.toml").write_text(text)
