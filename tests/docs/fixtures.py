"""The folders in which the documentation's commands are run: the demo, and the ways in which it can be broken.

Each builder makes real damage: real bytes are flipped, real processes hold real locks or are killed, a real disk
is full. A builder gets a `Place` whose folder is empty and fills it.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from ops.digest import SEAL, document_seal
from ops.units import format_time, parse_time

CONSOLE: Final = Path(sys.executable).with_name("drillbook")
PRICES: Final = "backup-20260315T021500Z.db"
AUDIT: Final = "backup-20260315T021503Z.db"
_DEADLINE_S: Final = 20
_BUILDING: Final = threading.Lock()


class NotHereError(Exception):
    """The fixture can not be made on this machine; says why."""


@dataclass(slots=True)
class Place:
    """Where a scenario runs: its folder, its environment, what to undo at the end, and built demos to copy."""

    folder: Path
    environment: dict[str, str]
    templates: Path
    undo: ExitStack = field(default_factory=ExitStack)

    @property
    def backups(self) -> Path:
        """The demo's store."""
        return self.folder / "backups"

    def drillbook(self, *arguments: str) -> None:
        """Run the real program; raises CalledProcessError when it does not succeed."""
        command = [CONSOLE, *arguments]
        subprocess.run(command, cwd=self.folder, env=self.environment, check=True, capture_output=True)

    def start(self, *command: str | Path) -> subprocess.Popen[str]:
        """A process that goes on until the scenario ends."""
        process = subprocess.Popen(
            command, cwd=self.folder, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.undo.callback(_end, process)
        return process


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def empty(_place: Place) -> None:
    """An empty folder."""


def demo(place: Place) -> None:
    """The demo catalogue, without a backup."""
    _copy_template(place, "demo", lambda made: made.drillbook("demo", "--out", "."))


def backed_up(place: Place) -> None:
    """The demo with a verified backup of each source, six hours old."""
    _copy_template(place, "backed-up", _back_up)
    for name in (PRICES, AUDIT):
        _age(place, name, timedelta(hours=6))


def _back_up(made: Place) -> None:
    made.drillbook("demo", "--out", ".")
    for source, name in (("prices", PRICES), ("audit", AUDIT)):
        made.drillbook("backup.create", "--source", source, "--verify", "--out", f"backups/{name}")


def _copy_template(place: Place, name: str, build: Callable[[Place], None]) -> None:
    template = place.templates / name
    with _BUILDING:
        if not template.exists():
            template.mkdir(parents=True)
            build(Place(template, place.environment, place.templates))
    shutil.copytree(template, place.folder, dirs_exist_ok=True)


def _age(place: Place, name: str, age: timedelta) -> None:
    """Make a backup so old (from the future, if negative) by the times in its manifest, and seal it again."""
    path = place.backups / f"{name}.manifest.json"
    document = json.loads(path.read_bytes())
    shift = datetime.now(UTC) - age - parse_time(document["created_at"])
    for key in ("created_at", "data_as_of", "started_at", "finished_at"):
        document[key] = format_time(parse_time(document[key]) + shift)
    live = place.folder / "dados" / Path(document["source"]["location"]).name
    document["source"]["location"] = str(live)
    document[SEAL] = document_seal(document)
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="ascii")


def proven(place: Place) -> None:
    """Backed up, and both backups drilled."""
    _copy_template(place, "proven", _prove)
    for name in (PRICES, AUDIT):
        _age(place, name, timedelta(hours=6))


def _prove(made: Place) -> None:
    _back_up(made)
    made.drillbook("backup.drill")


def old_backup(place: Place) -> None:
    """Proven, and nothing was backed up for three days."""
    backed_up(place)
    for name in (PRICES, AUDIT):
        _age(place, name, timedelta(days=3))


def future_backup(place: Place) -> None:
    """Backed up while the clock was two days ahead."""
    backed_up(place)
    _age(place, PRICES, -timedelta(days=2))


def missing_source(place: Place) -> None:
    """Backed up; the volume with the price database is not mounted."""
    backed_up(place)
    (place.folder / "dados").rename(place.folder / "volume")
    (place.folder / "dados").mkdir()
    (place.folder / "volume" / "audit.db").rename(place.folder / "dados" / "audit.db")


def damaged_payload(place: Place) -> None:
    """Backed up; a few bytes in the middle of the prices' payload have changed on the disk."""
    backed_up(place)
    _flip(place.backups / PRICES, 200_000)


def _flip(path: Path, at: int, count: int = 16) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        block = bytes(byte ^ 0xFF for byte in file.read(count))
        file.seek(at)
        file.write(block)


def no_manifest(place: Place) -> None:
    """Backed up; the manifest of the prices' backup was deleted by hand."""
    backed_up(place)
    (place.backups / f"{PRICES}.manifest.json").unlink()


def little_space(place: Place) -> None:
    """Backed up; a reserve is asked for that no disk has."""
    backed_up(place)
    _configure(place, 'kind = "sqlite"', 'kind = "sqlite"\nmin_free = "900TB"')


def _configure(place: Place, old: str, new: str) -> None:
    path = place.folder / "ops.toml"
    text = path.read_text(encoding="utf-8")
    if old not in text:
        message = f"{old!r} is not in the demo's ops.toml"
        raise AssertionError(message)
    path.write_text(text.replace(old, new), encoding="utf-8")


def full_disk(place: Place) -> None:
    """The store is a file system that has room for the payload of `audit` and not for its manifest."""
    demo(place)
    _configure(place, 'path = "dados/audit.db"', 'path = "dados/audit.db"\nmin_free = "1"')
    place.backups.mkdir()
    blocks = (place.folder / "dados" / "audit.db").stat().st_size // 4096 + 3
    mount = ["mount", "-t", "tmpfs", "-o", f"size={blocks * 4096},mode=700", "none", str(place.backups)]
    if sys.platform != "linux" or subprocess.run(mount, capture_output=True, check=False).returncode:
        message = "mounting a small file system needs root on Linux"
        raise NotHereError(message)
    place.undo.callback(subprocess.run, ["umount", str(place.backups)], check=True)


def locked_database(place: Place) -> None:
    """Backed up; a process has had the audit database locked for longer than `busy_timeout` allows."""
    backed_up(place)
    _configure(place, 'path = "dados/audit.db"', 'path = "dados/audit.db"\nbusy_timeout = "1s"')
    _hold_database(place)


def _hold_database(place: Place) -> None:
    script = (
        "import sqlite3, time; c = sqlite3.connect('dados/audit.db', isolation_level=None);"
        "c.execute('begin exclusive'); print('held', flush=True); time.sleep(600)"
    )
    process = place.start(sys.executable, "-c", script)
    if process.stdout is None or process.stdout.readline() != "held\n":
        message = "the database could not be locked"
        raise AssertionError(message)


def lock_held(place: Place) -> None:
    """Backed up; another run is in the middle of a backup of `audit`."""
    backed_up(place)
    _hold_database(place)
    place.start(CONSOLE, "backup.create", "--source", "audit")
    _wait_for(lambda: any(place.backups.glob(".tmp-*")))


def _wait_for(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _DEADLINE_S
    while not happened():
        if time.monotonic() > deadline:
            message = "it did not happen in time"
            raise AssertionError(message)
        time.sleep(0.02)


def killed_run(place: Place) -> None:
    """Backed up; a backup of `audit` was killed in the middle and left its half-written file."""
    backed_up(place)
    _hold_database(place)
    process = place.start(CONSOLE, "backup.create", "--source", "audit")
    _wait_for(lambda: any(place.backups.glob(".tmp-*")))
    process.send_signal(signal.SIGKILL)
    process.wait()
    place.undo.close()


def hot_journal(place: Place) -> None:
    """Backed up; a writer of the audit database was killed in the middle of a transaction."""
    backed_up(place)
    script = (
        "import os, signal, sqlite3; c = sqlite3.connect('dados/audit.db', isolation_level=None);"
        "c.execute('pragma cache_size = 1'); c.execute('begin');"
        "c.execute('update storage_classes set rowid = rowid + 1000');"
        "c.execute('create table filler as with recursive n(i) as (select 1 union all select i + 1 from n"
        " where i < 2000) select i, hex(randomblob(100)) from n');"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", script], cwd=place.folder, check=False)
    if not (place.folder / "dados" / "audit.db-journal").stat().st_size:
        message = "no journal was left"
        raise AssertionError(message)


def corrupt_database(place: Place) -> None:
    """Proven; then pages in the middle of the live price database were overwritten."""
    proven(place)
    with (place.folder / "dados" / "data.db").open("r+b") as file:
        file.seek(8 * 4096)
        file.write(b"\xde\xad\xbe\xef" * (20 * 1024))


def deleted_database(place: Place) -> None:
    """Proven; then the live price database was deleted."""
    proven(place)
    for path in (place.folder / "dados").glob("data.db*"):
        path.unlink()


def lost_rows(place: Place) -> None:
    """Proven; then somebody deleted most prices and all returns."""
    proven(place)
    _execute(place.folder / "dados" / "data.db", "delete from prices where ticker <> 'PETR4'; delete from returns;")


def _execute(path: Path, script: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)


def application_running(place: Place) -> None:
    """Proven; an application has the price database open."""
    proven(place)
    script = (
        "import sqlite3, time; c = sqlite3.connect('dados/data.db');"
        "c.execute('select count(*) from prices').fetchone(); print('open', flush=True); time.sleep(600)"
    )
    process = place.start(sys.executable, "-c", script)
    if process.stdout is None or process.stdout.readline() != "open\n":
        message = "the database could not be opened"
        raise AssertionError(message)


def replaced(place: Place) -> None:
    """The prices were lost and restored from the backup: the state before is a safety backup."""
    lost_rows(place)
    place.drillbook("backup.restore", "--from", PRICES, "--yes")


def red_drill(place: Place) -> None:
    """Backed up; then most prices were deleted, and backed up again like that."""
    lost_rows(place)
    place.drillbook("backup.create", "--source", "prices")


def open_question(place: Place) -> None:
    """Backed up; an assertion calls a program that is not installed here."""
    backed_up(place)
    lines = '\n[[source.audit.assert]]\ncommand = ["check-audit", "--deep"]\n'
    with (place.folder / "ops.toml").open("a", encoding="utf-8") as file:
        file.write(lines)


def dead_drill(place: Place) -> None:
    """Backed up; a drill was killed and left its scratch place."""
    backed_up(place)
    config = (place.folder / "ops.toml").read_text(encoding="utf-8")
    with (place.folder / "ops.toml").open("a", encoding="utf-8") as file:
        file.write('\n[[source.audit.assert]]\ncommand = ["sleep", "600"]\n')
    process = place.start(CONSOLE, "backup.drill", "--source", "audit")
    scratch = Path(place.environment["TMPDIR"])
    _wait_for(lambda: any(scratch.glob("drillbook-scratch-*/*.db")))
    process.send_signal(signal.SIGKILL)
    process.wait()
    (place.folder / "ops.toml").write_text(config, encoding="utf-8")


def outside(place: Place) -> None:
    """Databases and a backup folder by the names that hold without a configuration."""
    demo(place)
    (place.folder / "ops.toml").unlink()


BUILDERS: Final[dict[str, Callable[[Place], None]]] = {
    builder.__name__.replace("_", "-"): builder
    for builder in (
        empty,
        demo,
        backed_up,
        proven,
        old_backup,
        future_backup,
        missing_source,
        damaged_payload,
        no_manifest,
        little_space,
        full_disk,
        locked_database,
        lock_held,
        killed_run,
        hot_journal,
        corrupt_database,
        deleted_database,
        lost_rows,
        application_running,
        replaced,
        red_drill,
        open_question,
        dead_drill,
        outside,
    )
}
"""What a page may write in `<!-- fixture: NAME -->`."""


def clean_environment(home: Path, scratch: Path) -> dict[str, str]:
    """What a command sees: our console script first, no setting of the person who runs the tests."""
    path = os.pathsep.join([str(CONSOLE.parent), os.environ.get("PATH", os.defpath)])
    log = {"LOG_FILE": str(scratch / "drillbook.log")}
    return {"PATH": path, "HOME": str(home), "TMPDIR": str(scratch), "LC_ALL": "C.UTF-8", "TZ": "UTC", **log}

