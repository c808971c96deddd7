"""PostgreSQL's own regression database, built from the SQL in Debian's source package.

Neither its SQL nor its data is ours, so it is fetched, and kept in the folder `DRILLBOOK_REGRESSION`, or for one session only.
Expected outputs are not compared: only the database that the scripts leave behind matters here.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Final

from ops.sources.postgres.server.server import RunningServer
from tests.sources.postgres.conftest import connect
from tests.sources.postgres.shop import dsn
from tests.unpacked import unpack

DATABASE: Final = "regression"
_SOURCES: Final = """\
Types: deb-src
URIs: http://deb.debian.org/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
"""
_REGRESS: Final = "src/test/regress"
_LIMIT_S: Final = 600
_OURS_TO_TOUCH: Final = 0o755


def fetch(folder: Path) -> Path:
    """Return the regression folder of PostgreSQL 15's source, fetched by apt with a list of sources of its own; nothing is installed."""
    found = sorted(folder.glob(f"postgresql-15.*/{_REGRESS}"))
    if found:
        return found[0]
    (folder / "lists" / "partial").mkdir(parents=True, exist_ok=True)
    (folder / "cache" / "archives" / "partial").mkdir(parents=True, exist_ok=True)
    sources = folder / "regression.sources"
    sources.write_text(_SOURCES)
    apt = (
        *("apt-get", "-qq", "-o", "Dir::Etc::SourceParts=/dev/null", "-o", f"Dir::Etc::SourceList={sources}"),
        *("-o", f"Dir::State::Lists={folder / 'lists'}", "-o", f"Dir::Cache={folder / 'cache'}"),
    )
    _run(*apt, "update", folder=folder)
    _run(*apt, "source", "--download-only", "postgresql-15", folder=folder)
    (archive,) = folder.glob("postgresql-15_*.orig.tar.bz2")
    unpack(archive, folder)
    return next(iter(folder.glob(f"postgresql-15.*/{_REGRESS}")))


def build_library(regress: Path, folder: Path) -> Path:
    """Return a folder with what the scripts load into a server of 15: `regress.so`, built here, and two of its contrib modules."""
    libraries = folder / "libraries"
    libraries.mkdir(mode=_OURS_TO_TOUCH, exist_ok=True)
    if not (libraries / "regress.so").exists():
        _run("apt-get", "-qq", "download", "postgresql-server-dev-15", folder=folder)
        (package,) = folder.glob("postgresql-server-dev-15_*.deb")
        _run("dpkg", "-x", str(package), "headers", folder=folder)
        include = folder / "headers" / "usr" / "include" / "postgresql"
        places = (include / "15" / "server", include / "internal", regress)
        flags = [f"-I{place}" for place in places]
        target = str(libraries / "regress.so")
        _run(
            "gcc", "-shared", "-fPIC", "-O1", *flags, str(regress / "regress.c"), "-o", target, folder=folder
        )
    for name in ("autoinc.so", "refint.so"):
        if not (libraries / name).exists():
            (libraries / name).symlink_to(Path("/usr/lib/postgresql/15/lib") / name)
    return libraries


def _run(*command: str, folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=_LIMIT_S)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"


def scripts(regress: Path) -> list[Path]:
    """Return the scripts in the order of the schedule."""
    lines = (regress / "parallel_schedule").read_text().splitlines()
    names = [name for line in lines if (found := re.match(r"test: (.*)", line)) for name in found[1].split()]
    return [regress / "sql" / f"{name}.sql" for name in names if (regress / "sql" / f"{name}.sql").exists()]


def build(server: RunningServer, regress: Path, libraries: Path, results: Path) -> None:
    """Make the database on the server; scripts end with errors on purpose, and some cannot do all on servers without our library."""
    results.mkdir(mode=0o777, exist_ok=True)
    results.chmod(0o777)
    with connect(server) as connection:
        connection.execute(
            f"CREATE DATABASE {DATABASE} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'"
        )
        for setting in ("lc_messages = 'C'", "datestyle = 'Postgres, MDY'", "intervalstyle = 'postgres_verbose'",
                        "timezone = 'PST8PDT'", "bytea_output = 'hex'", "timezone_abbreviations = 'Default'"):  # fmt: skip
            connection.execute(f"ALTER DATABASE {DATABASE} SET {setting}")
    environment = {
        "PATH": os.environ["PATH"], "PG_ABS_SRCDIR": str(regress), "PG_LIBDIR": str(libraries), "PG_DLSUFFIX": ".so",
        "PG_ABS_BUILDDIR": str(results.parent), "PGTZ": "PST8PDT", "PGDATESTYLE": "Postgres, MDY",
    }  # fmt: skip
    for script in scripts(regress):
        subprocess.run(
            [server.programs.path("psql"), "-X", "-a", "-q", "-d", dsn(server, DATABASE), "-f", script],
            env=environment, capture_output=True, check=False, timeout=_LIMIT_S, cwd=results,
        )  # fmt: skip
