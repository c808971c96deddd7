"""The database that a restore replaces or makes."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ops.errors import RefusedError
from ops.model.findings import Finding
from ops.model.manifest import Manifest, Payload
from ops.model.requests import KeptTarget, RestoreOptions
from ops.ports.source import Copy, Source
from ops.run.progress import Progress
from ops.sources.postgres.catalog.identifiers import parse_shown, quoted, shown
from ops.sources.postgres.catalog.tables import list_tables
from ops.sources.postgres.connect.address import parse_address
from ops.sources.postgres.connect.route import Route
from ops.sources.postgres.options import PostgresOptions
from ops.sources.postgres.programs.discover import Programs
from ops.sources.postgres.restore.databases import administration_database
from ops.sources.postgres.restore.prerequisites import identity, require_no_template, require_ready
from ops.sources.postgres.restore.swap import BuiltCopy, swap_database
from ops.sources.postgres.restore.tables import replace_tables
from ops.sources.postgres.restore.target import (
    built_beside,
    is_same_server,
    open_target,
    run_anonymization,
)


@dataclass(slots=True)
class DatabaseTarget:
    """A database at `location`, by the `options` of the source; `there`: the source that a backup of it is taken as.

    `installed`: finds the programs that are installed here; `stack`: closes the one way to the server that all verbs share.
    """

    location: str
    options: PostgresOptions
    there: Source
    installed: Callable[[], Sequence[Programs]]
    stack: contextlib.ExitStack
    _opened: Route | None = field(default=None, init=False)

    @contextlib.contextmanager
    def _route(self) -> Iterator[Route]:
        if self.options.cluster is not None and is_same_server(self.options, self.location):
            # A cluster that is started for us is started for the safety backup too: one after the other.
            with open_target(self.options, self.location, self.installed()) as route:
                yield route
            return
        if self._opened is None:
            opening = open_target(self.options, self.location, self.installed())
            self._opened = self.stack.enter_context(opening)
        yield self._opened

    @property
    def name(self) -> str:
        """Return the name of the database."""
        return parse_address(self.location).database

    def exists(self) -> bool:
        """Return whether the server has a database of that name."""
        with self._route() as route:
            return identity(route) is not None

    def source(self) -> Source:
        """Return the source with its data here, taken whole."""
        return self.there

    def plan(self, manifest: Manifest, options: RestoreOptions, safety: str) -> list[str]:
        """Return the steps, for a new database, an existing one, or tables."""
        require_no_template(self.name)
        what = f"the schema of {manifest.payload}, without rows," if options.schema_only else manifest.payload
        steps = [
            "look at rights, roles, extensions, free space and versions, and report all that is missing at once",
            f"restore {what} into a new database beside {self.name}, check and measure it there",
        ]
        if not self.exists():
            return [*steps, f"give it the name {self.name}"]
        steps.append(f"keep what is there as a safety backup in {safety}")
        if options.tables:
            return [*steps, f"replace {', '.join(options.tables)} in {self.name} in one transaction"]
        if files := self._anonymization():
            steps.append(f"anonymize it with {', '.join(file.name for file in files)}")
        return [
            *steps,
            f"end all sessions in {self.name} and swap the names in one transaction",
            "drop the old database if it is exactly what the safety backup holds",
            "print the command that undoes it",
        ]

    def _anonymization(self) -> tuple[Path, ...]:
        return self.options.anonymize if self.name in self.options.non_production else ()

    def check(self, manifest: Manifest, options: RestoreOptions) -> list[Finding]:
        """Look at rights, roles, extensions, space, versions; single tables would go past anonymization."""
        if options.tables and (files := self._anonymization()):
            names = ", ".join(file.name for file in files)
            message = f"{self.location} is non-production: single tables would not be anonymized by {names}"
            raise RefusedError(
                message, code="refused.not_anonymized", hint="restore the whole database there"
            )
        with self._route() as route:
            return require_ready(route, manifest, options, exists=identity(route) is not None)

    def build_folder(self, scratch: Path) -> Path:
        """Return any: pg_restore reads the payload wherever it is."""
        return scratch

    @contextlib.contextmanager
    def build(self, payload: Payload, options: RestoreOptions, progress: Progress) -> Iterator[BuiltCopy]:
        """Yield a new database on the target's server."""
        with (
            self._route() as route,
            built_beside(route, payload, self.options, options, progress) as built,
        ):
            yield built

    def settle(self) -> None:
        """Do nothing: the server did that when it started."""

    def change_mark(self) -> None:
        """Return none: the old database itself is compared with its safety backup after the swap."""

    def keep_damaged(self, stamp: str) -> tuple[str, str]:
        """Keep it under another name on the same server; the command gives it its name back."""
        name = self.name
        kept = f"{name[:40]}_damaged_{stamp.lower()}"
        drop, rename = (
            f"DROP DATABASE {quoted(name)}",
            f"ALTER DATABASE {quoted(kept)} RENAME TO {quoted(name)}",
        )
        return (
            kept,
            f"psql -d {administration_database(name)} -c {shlex.quote(drop)} -c {shlex.quote(rename)}",
        )

    def swap(self, built: Copy, kept: KeptTarget) -> list[Finding]:
        """Anonymize where the target asks for it, then swap the names; see `swap`."""
        if not isinstance(built, BuiltCopy):
            raise TypeError(built)
        with self._route() as route:
            files = self._anonymization()
            findings = run_anonymization(built.route, files) if files else []
            exists = identity(route) is not None
            return findings + swap_database(built, route, kept, exists=exists)

    def has_tables(self, tables: Sequence[str]) -> bool:
        """Return whether it has them all, partitioned ones too, by the names that SQL would find."""
        with self._route() as route, route.session() as session:
            return {shown(*parse_shown(name)) for name in tables} <= {
                item.shown for item in list_tables(session)
            }

    def replace_tables(self, built: Copy, options: RestoreOptions) -> list[Finding]:
        """Replace them in one transaction; see `tables`."""
        if not isinstance(built, BuiltCopy):
            raise TypeError(built)
        with self._route() as route:
            return replace_tables(built, route, options)
