"""Fixtures of the documentation in which something else is at work: processes that hold, die or fill a disk."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

from tests.docs.fixtures import backed_up, configure, demo, proven
from tests.docs.place import CONSOLE, NotHereError, Place, wait_for


def full_disk(place: Place) -> None:
    """The store is a file system that has room for the payload of `audit` and not for its manifest."""
    demo(place)
    configure(place, 'path = "dados/audit.db"', 'path = "dados/audit.db"\nmin_free = "1"')
    place.backups.mkdir()
    blocks = (place.folder / "dados" / "audit.db").stat().st_size // 4096 + 4
    mount = ["mount", "-t", "tmpfs", "-o", f"size={blocks * 4096},mode=700", "none", str(place.backups)]
    if sys.platform != "linux" or subprocess.run(mount, capture_output=True, check=False).returncode:
        message = "mounting a small file system needs root on Linux"
        raise NotHereError(message)
    place.undo.callback(subprocess.run, ["umount", str(place.backups)], check=True)


def locked_database(place: Place) -> None:
    """Backed up; a process has had the audit database locked for longer than `busy_timeout` allows."""
    backed_up(place)
    configure(place, 'path = "dados/audit.db"', 'path = "dados/audit.db"\nbusy_timeout = "1s"')
    hold_database(place)


def hold_database(place: Place) -> None:
    """A process that keeps the audit database locked."""
    script = (
        "import sqlite3, time; c = sqlite3.connect('dados/audit.db', isolation_level=None);"
        "c.execute('begin exclusive'); print('held', flush=True); time.sleep(600)"
    )
    process = place.start(sys.executable, "-c", script)
    if process.stdout is None or process.stdout.readline() != "held\n":
        message = "the database could not be locked"
        raise AssertionError(message)


def no_state(place: Place) -> None:
    """Backed up; a file stands where the state folder should be."""
    proven(place)
    shutil.rmtree(place.environment["OPS_STATE_DIR"], ignore_errors=True)
    Path(place.environment["OPS_STATE_DIR"]).write_bytes(b"")


def lock_held(place: Place) -> None:
    """Backed up; another run is in the middle of a backup of `audit`."""
    backed_up(place)
    hold_database(place)
    place.start(CONSOLE, "backup.create", "--source", "audit")
    wait_for(lambda: any(place.backups.glob(".tmp-*")))


def killed_run(place: Place) -> None:
    """Backed up; a backup of `audit` was killed in the middle and left its half-written file."""
    backed_up(place)
    hold_database(place)
    process = place.start(CONSOLE, "backup.create", "--source", "audit")
    wait_for(lambda: any(place.backups.glob(".tmp-*")))
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


def dead_drill(place: Place) -> None:
    """Backed up; a drill was killed and left its scratch place."""
    backed_up(place)
    config = (place.folder / "ops.toml").read_text(encoding="utf-8")
    with (place.folder / "ops.toml").open("a", encoding="utf-8") as file:
        file.write('\n[[source.audit.assert]]\ncommand = ["sleep", "600"]\n')
    process = place.start(CONSOLE, "backup.drill", "--source", "audit")
    scratch = Path(place.environment["TMPDIR"])
    wait_for(lambda: any(scratch.glob("drillbook-scratch-*/*.db")))
    process.send_signal(signal.SIGKILL)
    process.wait()
    (place.folder / "ops.toml").write_text(config, encoding="utf-8")
