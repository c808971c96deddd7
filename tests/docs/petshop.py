"""The folders of the pages about PostgreSQL: a pet shop on one server that all pages share, each with a database of its own.

A page says `petshop_db` and `/run/postgresql`. What those are in a scenario stands in the place's `names`. Commands
run as the role `ops`, which has the rights that the documentation asks for and no others.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from ops.config.reading import read_config
from ops.demo.petshop import petshop_script
from ops.driverkit.row_digest import SEAL, document_seal
from ops.fsio.scratch import scratch_folder
from ops.model.series import Identified, Machine
from ops.sources.postgres.programs.discover import Programs, discover
from ops.sources.postgres.server.server import RunningServer, scratch_server
from ops.units import format_time, parse_time
from tests.docs.place import CONSOLE, NotHereError, Place, copy_template

BACKUP: Final = "backup-20260315T021500Z.pg"
MAJOR: Final = 17
_DATABASE: Final = "petshop_db"
_SOCKETS: Final = "/run/postgresql"
_TEMPLATE: Final = "petshop_template"
_NUMBERS: Final = itertools.count(1)
_CONFIG: Final = """\
[source.petshop]
kind = "postgres"
dsn = "postgresql:///petshop_db?host=/run/postgresql"
every = "24h"
drill_every = "30d"
rpo = "24h"
rto = "15m"
stores = ["local"]
min_size = "100KB"
freshness = ["vendas.realizada_em"]

[[source.petshop.assert]]
row_count = "vendas"
min = 500

[[source.petshop.assert]]
fresh = "vendas.realizada_em"
max_age = "100y"

[store.local]
kind = "local"
path = "backups"
"""
_OPS: Final = """
CREATE ROLE ops LOGIN CREATEDB IN ROLE petshop_app, petshop_leitura, pg_read_all_data, pg_signal_backend
"""


@contextlib.contextmanager
def petshop_server() -> Iterator[RunningServer | None]:
    """The server that all pages share, with a pet shop to copy and the role `ops`; None where none can be run."""
    programs = programs_of(MAJOR)
    if programs is None:
        yield None
        return
    with scratch_folder(Path(tempfile.gettempdir())) as folder, scratch_server(programs, folder) as server:
        psql(server, "postgres", f"--command=CREATE DATABASE {_TEMPLATE}")
        psql(server, _TEMPLATE, *petshop_script().psql_arguments())
        psql(server, "postgres", f"--command={_OPS}")
        yield server


def programs_of(major: int) -> Programs | None:
    """Server programs of that version, if they are installed here."""
    installed = discover(None, os.environ)
    return next((item for item in installed if item.major == major and item.has_server), None)


def psql(server: RunningServer, database: str, *arguments: str) -> str:
    """Run psql as superuser, and return what it prints; raises CalledProcessError when it does not succeed."""
    command = [server.programs.path("psql"), "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1"]
    address = [f"--host={server.socket_dir}", f"--username={server.user}", f"--dbname={database}"]
    return subprocess.run([*command, *address, *arguments], check=True, capture_output=True, text=True).stdout


def server_of(place: Place) -> RunningServer:
    """The server that all pages share; raises NotHereError where there is none."""
    if place.server is None:
        message = f"no PostgreSQL {MAJOR} server is installed here"
        raise NotHereError(message)
    return place.server


def petshop(place: Place) -> None:
    """A pet shop on a server, and the configuration that backs it up as the role `ops`."""
    server = server_of(place)
    real = f"{_DATABASE}{next(_NUMBERS):03}"
    place.names |= {_SOCKETS: str(server.socket_dir), _DATABASE: real}
    copying = f"CREATE DATABASE {real} TEMPLATE {_TEMPLATE} OWNER petshop_app"
    psql(server, "postgres", f"--command={copying}")
    path = os.pathsep.join([str(CONSOLE.parent), str(server.programs.bindir), place.environment["PATH"]])
    place.environment |= {"PATH": path, "PGHOST": str(server.socket_dir), "PGUSER": "ops"}
    (place.folder / "ops.toml").write_text(place.real(_CONFIG), encoding="utf-8")


def petshop_backed_up(place: Place) -> None:
    """The pet shop with a verified backup, six hours old."""
    copy_template(place, "petshop-backed-up", _back_up)
    petshop(place)
    readdress_backup(place)


def _back_up(made: Place) -> None:
    petshop(made)
    made.drillbook("backup.create", "--verify", "--out", f"backups/{BACKUP}")


def _say_whose(document: dict[str, Any], place: Place) -> None:
    """Let the manifest say that the backup is of this place's database, as it is configured now."""
    configured = read_config(str(place.folder / "ops.toml"), place.environment, place.folder).sources[
        "petshop"
    ]
    whose, identity = configured.whose(Machine(host=document["host"])), document["source"]["identity"]
    found = Identified(
        f"{identity['system']} {whose.whereabouts.text}",
        identity["system"],
        _number(server_of(place), place.names[_DATABASE]),
    )
    origin = whose.origin(found)
    identity |= {"text": origin.text, "place": origin.place, "member": origin.member}
    document["source"]["location"] = whose.location
    document["series"] = origin.series
    document["assertions"] = [dict(item) for item in configured.asserted]


def _number(server: RunningServer, database: str) -> str:
    """The number that the server gave the database."""
    question = f"SELECT oid FROM pg_database WHERE datname = '{database}'"
    return psql(server, "postgres", "--tuples-only", "--no-align", f"--command={question}").strip()


def readdress_backup(place: Place, **database: str) -> None:
    """Make the copied backup one of this place's database, of data six hours old, with these properties; seal it again."""
    path = place.backups / f"{BACKUP}.manifest.json"
    document = json.loads(path.read_bytes())
    shift = datetime.now(UTC) - timedelta(hours=6) - parse_time(document["data_as_of"])
    for key in ("created_at", "data_as_of", "started_at", "finished_at"):
        document[key] = format_time(parse_time(document[key]) + shift)
    document["postgres"]["database"] |= {"name": place.names[_DATABASE], **database}
    _say_whose(document, place)
    document[SEAL] = document_seal(document)
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="ascii")
