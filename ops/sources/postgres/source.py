"""The source driver of the kind `postgres`: the port's verbs."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar, Final

from ops.errors import OpsError
from ops.model.findings import Finding, Severity
from ops.model.manifest import Captured, Manifest, Payload, SourceInfo
from ops.model.requests import Part
from ops.model.series import Identified, Whereabouts
from ops.ports.source import CaptureContext, Form, LoadContext, Probe, Supports
from ops.sources.postgres.catalog.lock_holders import telling_holders
from ops.sources.postgres.catalog.requirements import needs_of
from ops.sources.postgres.catalog.scope import Choice
from ops.sources.postgres.catalog.tables import Table, list_tables
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
from ops.sources.postgres.programs.discover import Programs, discover
from ops.sources.postgres.programs.release import Release
from ops.sources.postgres.restore.database_target import DatabaseTarget
from ops.sources.postgres.restore.leftovers import find_replaced
from ops.sources.postgres.restore.prerequisites import (
    identity,
    target_address,
)
from ops.sources.postgres.restore.target import (
    is_same_server,
    open_target,
)

_EMPTY_SERVER: Final = 60 << 20
_STRUCTURE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class PostgresSource:
    """One PostgreSQL database."""

    name: str
    options: PostgresOptions
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)

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
    def form(self) -> Form:
        """A folder `backup-<time>.pg`: the archive, the globals, the list of objects."""
        return Form("backup", ".pg", is_folder=True)

    @property
    def supports(self) -> Supports:
        """Tables, structure alone, and restores without owners and rights."""
        restore = frozenset(("tables", "truncate", "schema_only", "no_owner", "no_acl"))
        return Supports(some_tables=True, restore=restore)

    def _installed(self) -> Sequence[Programs]:
        return discover(self.options.pg_bindir, os.environ)

    @contextlib.contextmanager
    def _route(self) -> Iterator[Route]:
        installed = self._installed()
        with open_route(self.options, installed) as route:
            yield route

    def take_part(self, part: Part) -> PostgresSource:
        """The same database, of which a backup takes a scope, tables, schemas or a tenant."""
        return replace(self, options=options_of_part(self.options, part))

    def estimate(self) -> int:
        """The size of the chosen tables without their indexes: an archive is compressed, and rarely larger."""
        with self._route() as route, route.session() as session, telling_holders(session):
            tables = Choice(self.options).tables(list_tables(session))
        return self._estimate(tables)

    def _estimate(self, tables: Sequence[Table]) -> int:
        return sum(table.bytes for table in tables) if self.options.scope != "schema" else _STRUCTURE

    def probe(self) -> Probe:
        """Connect, and see that our role can read every row, whether pg_dump is as new as the server, and what restores left."""
        with self._route() as route, route.session() as session, telling_holders(session):
            tables = Choice(self.options).tables(list_tables(session))
            require_all_rows(tables)
            older = find_older_client(route, session)
            server = Release.of_server(session.version)
            left = find_replaced(session)
        text = f"PostgreSQL {server}, {len(tables)} tables, client {route.client_version}"
        return Probe(
            text,
            self._estimate(tables),
            [*(replace(finding, severity=Severity.WARNING) for finding in older), *left],
        )

    def capture(self, into: Path, context: CaptureContext) -> Captured:
        """Dump and measure in one snapshot; see `capture`."""
        with self._route() as route:
            return capture_database(route, self.options, into, self.clock, context)

    def inspect(self, payload: Payload) -> list[Finding]:
        """Size, table of contents, and whether every file of the archive can be read back."""
        installed = self._installed()
        return inspect_payload(payload.path, payload.manifest, self.options, installed)

    @contextlib.contextmanager
    def load(self, payload: Payload, context: LoadContext) -> Iterator[PostgresCopy]:
        """Restored into a server of its own, or a database of its own on a given server."""
        installed = self._installed()
        with loaded_copy(payload, self.options, installed, context) as copy:
            yield copy

    @contextlib.contextmanager
    def target(self, to: str | None) -> Iterator[DatabaseTarget]:
        """A database: by its address, as a URI without secrets."""
        location = target_address(source_address(self.options), to).location
        with contextlib.ExitStack() as stack:
            yield DatabaseTarget(location, self.options, self.at(location), self._installed, stack)

    def same_place(self, location: str) -> bool:
        """Whether that is this database, by system identifier and oid; by address where one cannot be asked."""
        if "://" not in location:
            return False
        if location == self.info.location:
            return True
        try:
            with self._route_to(location) as other, self._route() as own:
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

    @contextlib.contextmanager
    def _route_to(self, target: str) -> Iterator[Route]:
        installed = self._installed()
        with open_target(self.options, target, installed) as route:
            yield route

    def require_loadable(self, manifest: Manifest) -> list[Finding]:
        """A server that can hold it: programs for one of its own, or the one that is given; whether it is older."""
        installed = self._installed()
        return require_loadable(needs_of(manifest.extra), self.options, installed)

    def room_to_load(self, manifest: Manifest) -> int:
        """The payload, the database as large as it was, and an empty server."""
        try:
            size = int(needs_of(manifest.extra).database["size"])
        except OpsError:
            size = 0
        return manifest.size + size + _EMPTY_SERVER
