"""The source driver of the kind `postgres`: the port's verbs."""

from __future__ import annotations

import contextlib
import os
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar, Final

from ops.errors import OpsError, RefusedError
from ops.model.findings import Finding, Severity
from ops.model.manifest import Captured, Fetched, Manifest, SourceInfo
from ops.model.requests import KeptTarget, Part, RestoreOptions
from ops.model.series import Identified, Whereabouts
from ops.ports.source import Copy, Probe
from ops.run.progress import Progress
from ops.sources.postgres.catalog.identifiers import parse_shown, quoted, shown
from ops.sources.postgres.catalog.lock_holders import telling_holders
from ops.sources.postgres.catalog.requirements import needs_of
from ops.sources.postgres.catalog.scope import Choice
from ops.sources.postgres.catalog.tables import list_tables
from ops.sources.postgres.connect.address import parse_address
from ops.sources.postgres.connect.identify import identify_database, selection_of, whereabouts_of
from ops.sources.postgres.connect.older_client import find_older_client
from ops.sources.postgres.connect.open import open_route, source_address
from ops.sources.postgres.connect.route import Route
from ops.sources.postgres.drill.copy import PostgresCopy
from ops.sources.postgres.drill.scratch import loaded_copy, require_loadable
from ops.sources.postgres.dump.capture import capture_database
from ops.sources.postgres.dump.exported_snapshot import require_all_rows
from ops.sources.postgres.dump.inspect import inspect_payload
from ops.sources.postgres.options import PostgresOptions
from ops.sources.postgres.part import options_of_part
from ops.sources.postgres.programs.discover import discover
from ops.sources.postgres.programs.release import Release
from ops.sources.postgres.restore.databases import administration_database
from ops.sources.postgres.restore.leftovers import find_replaced
from ops.sources.postgres.restore.prerequisites import (
    identity,
    require_no_template,
    require_ready,
    target_address,
)
from ops.sources.postgres.restore.swap import BuiltCopy, promote_database
from ops.sources.postgres.restore.tables import replace_tables
from ops.sources.postgres.restore.target import (
    built_beside,
    is_same_server,
    open_target,
    run_anonymization,
)

_EMPTY_SERVER: Final = 60 << 20


@dataclass(frozen=True, slots=True)
class PostgresSource:
    """One PostgreSQL database. `only`: tables whose rows alone `load` brings back; empty: all."""

    name: str
    options: PostgresOptions
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    only: tuple[str, ...] = ()

    kind: ClassVar[str] = "postgres"
    options_type: ClassVar[type[PostgresOptions]] = PostgresOptions

    @property
    def info(self) -> SourceInfo:
        """Name, kind and the database's address."""
        return SourceInfo(self.name, self.kind, source_address(self.options).location)

    @property
    def scope(self) -> str:
        """As configured."""
        return self.options.scope

    @property
    def selection(self) -> Mapping[str, object]:
        """The tables, schemas, or the tenant that the scope takes."""
        return selection_of(self.options)

    @property
    def whereabouts(self) -> Whereabouts:
        """Hosts and ports as they are written, and the database."""
        return whereabouts_of(self.options)

    def identify(self) -> Identified:
        """Ask the server for its system identifier, and for the database's number."""
        with self._route() as route:
            return identify_database(route, self.options)

    @property
    def base_and_suffix(self) -> tuple[str, str]:
        """Names are `backup-<time>.pg`."""
        return "backup", ".pg"

    @property
    def payload_is_folder(self) -> bool:
        """A folder: the archive, the globals, the list of objects."""
        return True

    @contextlib.contextmanager
    def _route(self) -> Iterator[Route]:
        installed = discover(self.options.pg_bindir, os.environ)
        with open_route(self.options, installed) as route:
            yield route

    def take_part(self, part: Part) -> PostgresSource:
        """The same database, of which a backup takes a scope, tables, schemas or a tenant."""
        return replace(self, options=options_of_part(self.options, part))

    def loading_only(self, tables: Sequence[str]) -> PostgresSource:
        """The same database, of whose backups a drill loads only these tables."""
        return replace(self, only=tuple(tables))

    def estimate(self) -> int:
        """The size of the chosen tables without their indexes: an archive is compressed, and rarely larger."""
        with self._route() as route, route.session() as session, telling_holders(session):
            tables = Choice(self.options).tables(list_tables(session))
        return sum(table.bytes for table in tables) if self.options.scope != "schema" else 1 << 20

    def probe(self) -> Probe:
        """Connect, and see that our role can read every row, whether pg_dump is as new as the server, and what restores left."""
        with self._route() as route, route.session() as session, telling_holders(session):
            tables = Choice(self.options).tables(list_tables(session))
            require_all_rows(tables)
            older = find_older_client(route, session)
            server = Release.of_server(session.version)
            left = find_replaced(session)
        text = f"PostgreSQL {server}, {len(tables)} tables, client {route.client_version}"
        return Probe(text, [*(replace(finding, severity=Severity.WARNING) for finding in older), *left])

    def capture(self, into: Path, progress: Progress) -> Captured:
        """Dump and measure in one snapshot; see `capture`."""
        with self._route() as route:
            return capture_database(route, self.options, into, self.clock, progress)

    def inspect(self, payload: Path, manifest: Manifest) -> list[Finding]:
        """Size, table of contents, and whether every file of the archive can be read back."""
        installed = discover(self.options.pg_bindir, os.environ)
        return inspect_payload(payload, manifest, self.options, installed)

    @contextlib.contextmanager
    def load(self, fetched: Fetched, progress: Progress) -> Iterator[PostgresCopy]:
        """Restored into a server of its own, or a database of its own on a given server."""
        installed = discover(self.options.pg_bindir, os.environ)
        with loaded_copy(fetched, self.options, installed, progress, only=self.only) as copy:
            yield copy

    def target_of(self, to: str | None) -> str:
        """The address of a database, as a URI without secrets."""
        return target_address(source_address(self.options), to).location

    def is_there(self, target: str) -> bool:
        """Whether the server has a database of that name."""
        with self._route_to(target) as route:
            return identity(route) is not None

    def same_place(self, target: str) -> bool:
        """Whether `target` is this database, by system identifier and oid; by address where one can not be asked."""
        if "://" not in target:
            return False
        if target == self.info.location:
            return True
        try:
            with self._route_to(target) as other, self._route() as own:
                there, here = identity(other), identity(own)
                return there is not None and here is not None and there.is_same(here)
        except OpsError:
            return False

    def at(self, target: str) -> PostgresSource:
        """The same source with its data at `target`, taken whole: what is replaced must be kept whole."""
        if is_same_server(self.options, target):
            place = replace(self.options, database=parse_address(target).database)
        else:
            place = replace(self.options, dsn=target, database="", cluster=None, container="")
        whole = replace(place, scope="full", counts="exact", digests=True, freshness=())
        return replace(self, options=whole)

    def plan(self, target: str, manifest: Manifest, options: RestoreOptions, safety: str) -> list[str]:
        """The steps, for a new database, an existing one, or tables."""
        name = parse_address(target).database
        require_no_template(name)
        what = f"the schema of {manifest.payload}, without rows," if options.schema_only else manifest.payload
        steps = [
            "look at rights, roles, extensions, free space and versions, and report all that is missing at once",
            f"restore {what} into a new database beside {name}, check and measure it there",
        ]
        if not self.is_there(target):
            return [*steps, f"give it the name {name}"]
        steps.append(f"keep what is there as a safety backup in {safety}")
        if options.tables:
            return [*steps, f"replace {', '.join(options.tables)} in {name} in one transaction"]
        steps += self._anonymization_step(name)
        return [
            *steps,
            f"end all sessions in {name} and swap the names in one transaction",
            "drop the old database if it is exactly what the safety backup holds",
            "print the command that undoes it",
        ]

    def _anonymization_step(self, name: str) -> list[str]:
        files = self._anonymization(name)
        return [f"anonymize it with {', '.join(file.name for file in files)}"] if files else []

    def _anonymization(self, name: str) -> tuple[Path, ...]:
        return self.options.anonymize if name in self.options.non_production else ()

    def prepare(self, target: str, manifest: Manifest, options: RestoreOptions) -> list[Finding]:
        """Rights, roles, extensions, space, versions; single tables would go past anonymization."""
        if options.tables and (files := self._anonymization(parse_address(target).database)):
            names = ", ".join(file.name for file in files)
            message = f"{target} is non-production: single tables would not be anonymized by {names}"
            raise RefusedError(
                message, code="refused.not_anonymized", hint="restore the whole database there"
            )
        with self._route_to(target) as route:
            return require_ready(route, manifest, options, exists=identity(route) is not None)

    def build_folder(self, target: str, scratch: Path) -> Path:
        """Any: pg_restore reads the payload wherever it is."""
        return scratch

    @contextlib.contextmanager
    def build(
        self, fetched: Fetched, target: str, options: RestoreOptions, progress: Progress
    ) -> Iterator[BuiltCopy]:
        """A new database on the target's server."""
        with (
            self._route_to(target) as route,
            built_beside(route, fetched, self.options, options, progress) as built,
        ):
            yield built

    def settle(self, target: str) -> None:
        """The server did that when it started."""

    def change_mark(self, target: str) -> None:
        """The old database itself is compared with its safety backup after the swap."""

    def keep_damaged(self, target: str, stamp: str) -> tuple[str, str]:
        """Under another name on the same server; the command gives it its name back."""
        name = parse_address(target).database
        kept = f"{name[:40]}_damaged_{stamp.lower()}"
        drop, rename = (
            f"DROP DATABASE {quoted(name)}",
            f"ALTER DATABASE {quoted(kept)} RENAME TO {quoted(name)}",
        )
        return (
            kept,
            f"psql -d {administration_database(name)} -c {shlex.quote(drop)} -c {shlex.quote(rename)}",
        )

    def promote(self, built: Copy, target: str, kept: KeptTarget) -> list[Finding]:
        """Anonymize where the target asks for it, then swap the names; see `promote`."""
        if not isinstance(built, BuiltCopy):
            raise TypeError(built)
        with self._route_to(target) as route:
            files = self._anonymization(route.address.database)
            findings = run_anonymization(built.route, files) if files else []
            exists = identity(route) is not None
            return findings + promote_database(built, route, kept, exists=exists)

    def has_tables(self, target: str, tables: Sequence[str]) -> bool:
        """Partitioned ones too, by the names that SQL would find."""
        with self._route_to(target) as route, route.session() as session:
            return {shown(*parse_shown(name)) for name in tables} <= {
                item.shown for item in list_tables(session)
            }

    def replace_tables(self, built: Copy, target: str, options: RestoreOptions) -> list[Finding]:
        """In one transaction; see `tables`."""
        if not isinstance(built, BuiltCopy):
            raise TypeError(built)
        with self._route_to(target) as route:
            return replace_tables(built, route, options)

    @contextlib.contextmanager
    def _route_to(self, target: str) -> Iterator[Route]:
        installed = discover(self.options.pg_bindir, os.environ)
        with open_target(self.options, target, installed) as route:
            yield route

    def require_loadable(self, manifest: Manifest) -> list[Finding]:
        """A server that can hold it: programs for one of its own, or the one that is given; whether it is older."""
        installed = discover(self.options.pg_bindir, os.environ)
        return require_loadable(needs_of(manifest.extra), self.options, installed)

    def room_to_load(self, manifest: Manifest) -> int:
        """The payload, the database as large as it was, and an empty server."""
        try:
            size = int(needs_of(manifest.extra).database["size"])
        except OpsError:
            size = 0
        return manifest.size + size + _EMPTY_SERVER
