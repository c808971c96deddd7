"""What the tests of PostgreSQL backups share: a database with every feature, a source, a store, the actions in short."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from ops.actions.backup import take_backup
from ops.actions.begin_backup import BackupRequest
from ops.actions.drill import DrillRequest, run_drill
from ops.actions.restore import Restored, restore_backup
from ops.actions.restore_request import RestoreRequest
from ops.actions.verify import VerifyRequest, verify_backup
from ops.demo.petshop import petshop_script
from ops.model.evidence import Evidence, Level
from ops.model.findings import Finding, Severity
from ops.model.requests import RestoreOptions
from ops.repository.backup import Backup
from ops.repository.repository import Repository
from ops.run.job import Job
from ops.sources.postgres.options import PostgresOptions
from ops.sources.postgres.server.server import RunningServer
from ops.sources.postgres.source import PostgresSource
from ops.stores.local.store import LocalOptions, LocalStore

FEATURES = Path(__file__).with_name("features.sql")


def dsn(server: RunningServer, database: str, user: str = "") -> str:
    """The address of a database on a test server."""
    return f"postgresql://{user or server.user}@/{database}?host={server.socket_dir}&port={server.port}"


def psql(server: RunningServer, database: str, *arguments: str) -> str:
    """What psql prints; the test fails when it ends with an error."""
    done = subprocess.run(
        [
            server.programs.path("psql"),
            "-X",
            "-q",
            "-A",
            "-t",
            "-v",
            "ON_ERROR_STOP=1",
            "-d",
            dsn(server, database),
            *arguments,
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def fill_with_features(server: RunningServer, database: str) -> None:
    """Make every feature of `features.sql` in an empty database."""
    variables = {"owner": "Dono das Vendas", "reader": "leitor's", "database": database}
    variables["xml"] = "1" if server.programs.major == 15 else "0"
    psql(
        server,
        database,
        *(f"--set={name}={value}" for name, value in variables.items()),
        f"--file={FEATURES}",
    )


def fill_with_petshop(server: RunningServer, database: str, scale: int = 1) -> None:
    """Build the demo's pet shop in an empty database."""
    psql(server, database, *petshop_script(scale=scale).psql_arguments())


def source_of(server: RunningServer, database: str, **options: object) -> PostgresSource:
    """A source with these options; small backups are no news in tests."""
    values: Mapping[str, object] = {"dsn": dsn(server, database), "min_size": 1, **options}
    return PostgresSource("shop", PostgresOptions(**values))  # type: ignore[arg-type]


def store_in(folder: Path) -> LocalStore:
    """A local store in `folder`."""
    return LocalStore("local", LocalOptions(path=folder / "store"))


def back_up(source: PostgresSource, store: LocalStore) -> Backup:
    """A published backup."""
    return take_backup(source, Repository(store=store), BackupRequest(), Job()).backup


def drill(backup: Backup, source: PostgresSource, folder: Path) -> Evidence:
    """The evidence of one drill."""
    return run_drill(backup, source, DrillRequest(scratch=folder / "scratch"), Job())


def verify(backup: Backup, source: PostgresSource, folder: Path, level: Level = Level.QUICK) -> Evidence:
    """The evidence of one verify."""
    return verify_backup(backup, source, VerifyRequest(level, folder / "scratch"), Job())


def restore(
    backup: Backup, source: PostgresSource, folder: Path, *, to: str | None = None, **flags: object
) -> Restored:
    """Restore with `--yes`, unless told otherwise; flags of `RestoreOptions` are sorted out."""
    names = {"tables", "truncate", "schema_only", "no_owner", "no_acl"}
    options = RestoreOptions(**{key: flags.pop(key) for key in names & flags.keys()})  # type: ignore[arg-type]
    request = RestoreRequest(
        scratch=folder / "scratch",
        safety=Repository(store=backup.store),
        sources=[source],
        to=to,
        options=options,
        yes=True,
    )
    return restore_backup(backup, source, replace(request, **flags), Job())  # type: ignore[arg-type]


def bad(findings: tuple[Finding, ...]) -> list[str]:
    """Codes and places of what is not OK."""
    return [
        f"{item.code} {item.where} {item.message}" for item in findings if item.severity is not Severity.OK
    ]
