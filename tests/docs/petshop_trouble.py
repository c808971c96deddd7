"""Folders of the PostgreSQL pages in which something is wrong: sessions that hold, roles, programs and room that lack."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from ops.demo.petshop import petshop_script
from ops.fsio.scratch import scratch_folder
from ops.sources.postgres.server.server import scratch_server
from tests.docs.fixtures import configure
from tests.docs.petshop import (
    BACKUP,
    petshop,
    petshop_backed_up,
    programs_of,
    psql,
    readdress_backup,
    server_of,
)
from tests.docs.place import NotHereError, Place, copy_template, wait_for

_OLDER: Final = 15
_KEY: Final = 'kind = "postgres"'


def petshop_role_missing(place: Place) -> None:
    """Backed up with a role in it that the server has not (any more)."""
    server = server_of(place)
    petshop(place)
    place.names["caixa"] = place.names["petshop_db"].replace("petshop_db", "caixa")
    role, database = place.names["caixa"], place.names["petshop_db"]
    granting = [f"CREATE ROLE {role}", f"GRANT {role} TO ops", f"GRANT SELECT ON vendas TO {role}"]
    psql(server, database, *(f"--command={statement}" for statement in granting))
    place.drillbook("backup.create", "--out", f"backups/{BACKUP}")
    psql(server, database, f"--command=DROP OWNED BY {role}", f"--command=DROP ROLE {role}")


def petshop_old_client(place: Place) -> None:
    """The configuration names client programs that are older than the server."""
    petshop(place)
    older = programs_of(_OLDER)
    if older is None:
        message = f"no PostgreSQL {_OLDER} is installed here"
        raise NotHereError(message)
    place.names["/usr/lib/postgresql/15/bin"] = str(older.bindir)
    configure(place, _KEY, f'{_KEY}\npg_bindir = "{older.bindir}"')


def petshop_in_use(place: Place) -> None:
    """Backed up; a superuser, whose sessions `ops` may not end, is at work in the database."""
    petshop_backed_up(place)
    _occupy(place, "SELECT pg_sleep(600)")


def petshop_locked(place: Place) -> None:
    """A migration has a table locked for longer than `lock_timeout` allows."""
    petshop(place)
    configure(place, _KEY, f'{_KEY}\nlock_timeout = "1s"')
    _occupy(place, "LOCK TABLE vendas IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(600)")


def _occupy(place: Place, statements: str) -> None:
    """A superuser's session that has come to the last of these statements, a long sleep."""
    program, database = server_of(place).programs.path("psql"), place.names["petshop_db"]
    address = f"dbname={database} user=postgres application_name=migrate"
    place.start(program, "--no-psqlrc", f"--dbname={address}", f"--command={statements}")
    seen = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'"
    asking = [program, "-XAt", "--username=postgres", f"--dbname={database}", f"--command={seen}"]
    wait_for(
        lambda: b"1" in subprocess.run(asking, env=place.environment, capture_output=True, check=True).stdout
    )


def petshop_other_collation(place: Place) -> None:
    """Backed up on a machine whose collations this one has not."""
    petshop_backed_up(place)
    # On many machines the real one is installed.
    place.names["pt_BR.UTF-8"] = "xx_BR.UTF-8"
    readdress_backup(place, collate="xx_BR.UTF-8", ctype="xx_BR.UTF-8")


def petshop_extension(place: Place) -> None:
    """Backed up from an older server with an extension that the given scratch server has not."""
    copy_template(place, "petshop-extension", _back_up_with_extension)
    petshop(place)
    readdress_backup(place)
    sockets = server_of(place).socket_dir
    configure(place, _KEY, f'{_KEY}\nscratch = "postgresql://ops@/?host={sockets}"')


def _back_up_with_extension(made: Place) -> None:
    programs = programs_of(_OLDER)
    petshop(made)
    if programs is None or "uuid-ossp" not in programs.available_extensions():
        message = f"no PostgreSQL {_OLDER} with uuid-ossp is installed here"
        raise NotHereError(message)
    with scratch_folder(Path(tempfile.gettempdir())) as folder, scratch_server(programs, folder) as server:
        psql(server, "postgres", "--command=CREATE DATABASE shop")
        psql(server, "shop", *petshop_script().psql_arguments(), '--command=CREATE EXTENSION "uuid-ossp"')
        text = (made.folder / "ops.toml").read_text(encoding="utf-8")
        dsn = f'dsn = "postgresql://postgres@/shop?host={server.socket_dir}"'
        lines = [dsn if line.startswith("dsn =") else line for line in text.splitlines()]
        (made.folder / "ops.toml").write_text("\n".join(lines), encoding="utf-8")
        made.drillbook("backup.create", "--out", f"backups/{BACKUP}")


def petshop_stale(place: Place) -> None:
    """Backed up; the newest sale in it is older than the configuration allows."""
    petshop_backed_up(place)
    configure(place, 'max_age = "100y"', 'max_age = "2d"')
    readdress_backup(place)


def petshop_small_scratch(place: Place) -> None:
    """Backed up; the scratch places lie on a file system that is too small for a server."""
    petshop_backed_up(place)
    small = place.folder / "scratch"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=48m,mode=700", "none", str(small)]
    if sys.platform != "linux" or subprocess.run(mount, capture_output=True, check=False).returncode:
        message = "mounting a small file system needs root on Linux"
        raise NotHereError(message)
    place.undo.callback(subprocess.run, ["umount", str(small)], check=True)
    configure(place, "[source.petshop]", 'scratch_dir = "scratch"\n\n[source.petshop]')


def petshop_greedy(place: Place) -> None:
    """Backed up; the scratch server is asked to take more memory than there is."""
    overcommit = Path("/proc/sys/vm/overcommit_memory")
    if not overcommit.exists() or overcommit.read_text(encoding="ascii").strip() == "1":
        message = "this system promises more memory than it has"
        raise NotHereError(message)
    petshop_backed_up(place)
    configure(place, _KEY, f'{_KEY}\ndrill_settings = {{ shared_buffers = "4096GB" }}')


def petshop_moved(place: Place) -> None:
    """The server has moved: where the configuration says, none listens."""
    petshop(place)
    place.names["/run/old"] = "/run/no-server-is-here"
    configure(place, f"host={place.names['/run/postgresql']}", f"host={place.names['/run/old']}")
