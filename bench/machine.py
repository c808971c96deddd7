"""What the figures were measured on and with; no names of hosts, no paths."""

import importlib.metadata
import os
import platform
import sqlite3
import ssl
from datetime import UTC, datetime
from pathlib import Path

from bench.place import installed
from bench.timing import program
from ops import __version__
from ops.units import format_size


def facts(database: Path, rounds: int, load: float) -> list[tuple[str, str]]:
    """Names and values for the top of the page."""
    litestream = program("env", "-u", "AWS_CA_BUNDLE", installed("litestream"), "version").strip()
    shell = program(installed("sqlite3"), "--version").split()[0]
    return [
        ("date", f"{datetime.now(UTC):%Y-%m-%d}"),
        ("database", f"{format_size(database.stat().st_size)} in WAL mode, read from the page cache"),
        ("rounds", str(rounds)),
        ("processor", f"{_processor()}, {os.cpu_count()} cores"),
        ("memory", format_size(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))),
        ("load before the run", f"{load:.1f}"),
        ("kernel", f"{platform.system()} {platform.release()}"),
        ("file system", _file_system(database)),
        ("Drillbook", __version__),
        ("Python, Invoke", f"{platform.python_version()}, {importlib.metadata.version('invoke')}"),
        ("SQLite library, shell", f"{sqlite3.sqlite_version}, {shell}"),
        ("OpenSSL", ssl.OPENSSL_VERSION),
        ("Litestream", litestream),
    ]


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _file_system(path: Path) -> str:
    """The type of the file system that holds `path`."""
    try:
        mounts = [line.split() for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()]
    except OSError:
        return "not known"
    folders = [str(folder) for folder in path.resolve().parents]
    fitting = [(len(point), kind) for _, point, kind, *_ in mounts if point in folders]
    return max(fitting)[1] if fitting else "not known"
