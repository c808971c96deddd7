"""What the table of a PostgreSQL source may say."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal

from ops.units import Size

_LIKELY_SIZE = Size(1 << 20)
Scope = Literal["full", "schema", "data", "tables", "schemas", "tenant"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresOptions:
    """What the table of a PostgreSQL source may say beside what every source may.

    Where it is: `dsn` (a libpq address without password; parts that it leaves out come from the `PG*`
    environment, as always), or `cluster` (the data folder of a server that is started for as long as it is needed)
    with `database`, or `container` (the programs inside of it are used, through `container_exec`).
    The password, where one is needed: `password_env`, `password_file`, `password_command`, or `.pgpass`.

    What is taken: `scope` with `tables`, `schemas`, or `tenant` with `tenant_column`; `format`, `compress` (as
    pg_dump's --compress; empty: the best that this client knows), `jobs` (0: the cores here); `globals` and, in
    them, `role_passwords`.

    What is measured: `counts`, `digests`, and the newest value of each of `freshness`.

    `lock_timeout`: how long to wait for locks that DDL holds. `min_size`: a payload below it is pointed out.
    `scratch`: `ephemeral`, or the address of a server on which drills make databases. `drill_settings`: server
    settings of the ephemeral one. `restore_settings`: settings of the target's server for the sessions of a restore. `amcheck`: run pg_amcheck in drills. `allowed_errors`: text in a message of
    pg_restore -> why it is harmless here.
    `anonymize`: SQL files that are run in each restored copy which goes to a database named in `non_production`.
    """

    dsn: str = ""
    cluster: Path | None = None
    database: str = ""
    container: str = ""
    container_exec: tuple[str, ...] = ("docker", "exec", "-i")
    password_env: str | None = None
    password_file: Path | None = None
    password_command: tuple[str, ...] | None = None
    pg_bindir: Path | None = None
    scope: Scope = "full"
    tables: tuple[str, ...] = ()
    schemas: tuple[str, ...] = ()
    tenant: str | int | None = None
    tenant_column: str = "tenant_id"
    format: Literal["directory", "custom"] = "directory"
    compress: str = ""
    jobs: int = 0
    globals: bool = True
    role_passwords: bool = False
    counts: Literal["exact", "estimated"] = "exact"
    digests: bool = True
    freshness: tuple[str, ...] = ()
    lock_timeout: timedelta = timedelta(minutes=1)
    min_size: Size = _LIKELY_SIZE
    scratch: str = "ephemeral"
    drill_settings: dict[str, str] | None = None
    restore_settings: dict[str, str] | None = None
    amcheck: bool = False
    allowed_errors: dict[str, str] | None = None
    anonymize: tuple[Path, ...] = ()
    non_production: tuple[str, ...] = ()

    @classmethod
    def of_location(cls, location: str) -> PostgresOptions:
        """Default options for the database at `location`."""
        return cls(dsn=location)
