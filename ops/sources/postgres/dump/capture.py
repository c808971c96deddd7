"""One consistent backup of a database: dumped and measured in the same exported snapshot.

pg_dump writes the files itself, in parallel, while sessions of ours that hold the same snapshot have the server
count and hash the rows. Both see exactly one moment, so a restored copy must measure the same to the last row.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from ops.driverkit.clocks import compare_clocks
from ops.errors import (
    OpsError,
    SourceCorruptError,
    SourceError,
    SourceLockedError,
    SourceUnreachableError,
    ToolError,
)
from ops.fsio.atomic import PRIVATE_FOLDER
from ops.fsio.closed_files import telling_closed
from ops.model.complaints import DAMAGE, complaints_document
from ops.model.findings import Finding, Severity
from ops.model.manifest import Captured, Measures, TableMeasure
from ops.ports.source import CaptureContext
from ops.sources.postgres.catalog.definitions.definitions import FACT, read_definitions
from ops.sources.postgres.catalog.objects import list_objects
from ops.sources.postgres.catalog.requirements import (
    MANIFEST_KEY,
    Needs,
    describe_database,
    list_extension_schemas,
    list_extensions,
    list_roles,
    list_tablespaces,
    uses_icu,
)
from ops.sources.postgres.catalog.scope import (
    PARTIAL,
    WHOLE,
    WITHOUT_ROWS,
    Choice,
    outside_keys,
    tenant_condition,
)
from ops.sources.postgres.catalog.sequences import next_values
from ops.sources.postgres.catalog.tables import gathered_tables
from ops.sources.postgres.connect.older_client import find_older_client
from ops.sources.postgres.connect.route import Route
from ops.sources.postgres.connect.session import Session
from ops.sources.postgres.dump.archive import (
    DUMP_FOLDER,
    all_archives,
    list_entries,
)
from ops.sources.postgres.dump.exported_snapshot import Snapshot, held_snapshot, join_snapshot
from ops.sources.postgres.dump.noticed import find_empty_tenant, find_passwords
from ops.sources.postgres.dump.payload import Described, Hashing, write_objects
from ops.sources.postgres.dump.pg_dump import Dumping
from ops.sources.postgres.dump.said import findings_of
from ops.sources.postgres.measure.check import not_measured
from ops.sources.postgres.measure.extension_rows import measure_extension_rows
from ops.sources.postgres.measure.row_digest_sql import algorithm_for
from ops.sources.postgres.measure.tables import (
    LARGE_OBJECTS,
    Measuring,
    estimate_rows,
    measure_large_objects,
    measure_tables,
    newest_values,
)
from ops.sources.postgres.options import PostgresOptions

_ATTEMPTS: Final = 2
_WITHOUT_ROWS: Final = {
    "f": "foreign table: its rows are on another server",
    "m": "materialized view: filled anew by the restore",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked of the catalogs in the snapshot, before the dump began."""

    described: Described
    facts: dict[str, str | int]
    needs: Needs
    findings: tuple[Finding, ...]


def capture_database(
    route: Route, options: PostgresOptions, into: Path, clock: Callable[[], datetime], context: CaptureContext
) -> Captured:
    """Fill the empty folder `into`; see `Source.capture`.

    Tried twice when DDL that waits for one of our locks makes pg_dump give up: after the first attempt that
    DDL has had its turn.
    """
    attempt = 0
    while True:
        attempt += 1
        try:
            return _Capture(route, options, into, clock, context).run()
        except SourceLockedError:
            if attempt == _ATTEMPTS:
                raise
            for left in into.iterdir():
                shutil.rmtree(left) if left.is_dir() else left.unlink()


@dataclass(frozen=True, slots=True)
class _Capture:
    """One attempt."""

    route: Route
    options: PostgresOptions
    into: Path
    clock: Callable[[], datetime]
    context: CaptureContext

    @property
    def _dumping(self) -> Dumping:
        return Dumping(self.route, self.options, self.into)

    def run(self) -> Captured:
        choose = Choice(self.options).tables
        with (
            self.route.session() as session,
            held_snapshot(session, choose, clock=self.clock) as snapshot,
        ):
            described = self._describe(session, snapshot)
            before = next_values(session)
            refused, said = dict(described.needs.not_measured), list[Finding]()
            hashing = Hashing(self.into, self.context.file_done)
            rows = self.into / DUMP_FOLDER
            # pg_dump takes an empty folder as it takes none.
            if (
                self.route.writes_folders
                and self.options.format != "custom"
                and self.options.scope != "tenant"
            ):
                rows.mkdir(PRIVATE_FOLDER)
            with telling_closed(rows, hashing.closed) if rows.is_dir() else contextlib.nullcontext():
                measures = self._dump_and_measure(session, snapshot, described, refused, said)
            self._require_alive(session)
        with self.route.session() as session:
            sequences = _ranges(before, next_values(session))
        said += find_empty_tenant(self.options, measures.tables)
        said += self._dumping.keep_globals()
        damaged = [item for item in said if item.code in DAMAGE]
        entries = self._toc_entries()
        needs = replace(described.needs, toc_entries=entries, sequences=sequences, not_measured=refused)
        write_objects(self.into, described.described)
        self.context.progress.step("hashing the dump")
        return Captured(
            files=tuple(hashing.rest()),
            data_as_of=snapshot.moment,
            method=f"pg_dump {self.options.format}",
            measures=measures,
            extra={MANIFEST_KEY: needs.to_document(), **complaints_document(damaged)},
            findings=(*described.findings, *said, *_not_measured(refused)),
        )

    def _describe(self, session: Session, snapshot: Snapshot) -> Asked:
        objects, database = list_objects(session, kept=True), describe_database(session)
        rows = tenant_condition(self.options) if self.options.scope == "tenant" else ""
        outside = outside_keys(session, snapshot.chosen, rows) if self.options.scope in PARTIAL else {}
        definitions = read_definitions(session)
        unmeasured = [table for table in snapshot.chosen if table.kind in _WITHOUT_ROWS]
        estimated = {}
        if self.options.counts == "estimated" and self.options.scope not in WITHOUT_ROWS:
            estimated = {
                table.shown: estimate_rows(session, table) for table in snapshot.chosen if table.holds_rows
            }
        older = find_older_client(self.route, session)
        refused = dict[str, str]()
        algorithm = self._algorithm(session)
        whole = self.options.scope in WHOLE
        needs = Needs(
            server_version=_dotted(session.version),
            client_version=self.route.client_version,
            format=self.options.format,
            parallel=self.route.writes_folders,
            codec=self._dumping.compression.partition(":")[0],
            database=database,
            roles=list_roles(session, objects, database),
            extensions=list_extensions(session),
            extension_schemas=list_extension_schemas(session),
            tablespaces=list_tablespaces(session),
            icu=uses_icu(session, database),
            newest=newest_values(session, self.options.freshness) if whole else {},
            extension_rows=measure_extension_rows(session, algorithm, refused) if whole else {},
            not_measured=refused,
            estimated=estimated,
            not_dumped={table.shown: _WITHOUT_ROWS[table.kind] for table in unmeasured},
            outside_keys=outside,
            client_older=bool(older),
        )
        unlogged = [table.shown for table in snapshot.chosen if table.persistence == "u"]
        facts: dict[str, str | int] = {FACT: definitions.fact}
        return Asked(
            Described(objects, definitions),
            facts,
            needs,
            (*older, *_unlogged(unlogged), *find_passwords(session), *self._clock_of(session)),
        )

    def _algorithm(self, session: Session) -> str | None:
        """How rows are hashed; None where they are not, or only estimated."""
        counted = self.options.digests and self.options.counts != "estimated"
        return algorithm_for(session.version) if counted and self.options.scope not in WITHOUT_ROWS else None

    def _clock_of(self, session: Session) -> list[Finding]:
        """A warning where the server's clock is far from this machine's."""
        (row,) = session.rows("SELECT extract(epoch FROM clock_timestamp())::text AS told")
        told = datetime.fromtimestamp(float(str(row["told"])), UTC)
        return compare_clocks(told - self.clock(), "the PostgreSQL server")

    def _dump_and_measure(
        self,
        session: Session,
        snapshot: Snapshot,
        described: Asked,
        refused: dict[str, str],
        said: list[Finding],
    ) -> Measures:
        algorithm = self._algorithm(session)
        # A condition of the operator's own must hold for every table.
        warned: list[str] = []
        how = Measuring(algorithm, refused=refused, warned=warned)
        if self.options.scope == "tenant":
            how = Measuring(algorithm, where=tenant_condition(self.options), warned=warned)
        with ThreadPoolExecutor(1) as pool:
            measuring = pool.submit(self._measure, session, snapshot, described.needs, how)
            try:
                self.context.progress.step("dumping and measuring")
                said += self._dumping.dump(session, snapshot)
                found = measuring.result()
                said += findings_of("server", warned)
            except BaseException as error:
                with contextlib.suppress(Exception):
                    session.cancel()
                # What ended the dump may have ended the session first: that says more.
                if isinstance(error, ToolError) and isinstance(cause := measuring.exception(), OpsError):
                    raise self._both(error, cause) from error
                raise
        engine = {
            "server": _dotted(session.version),
            "client": self.route.client_version,
            "encoding": str(described.needs.database["encoding"]),
            "collation": str(described.needs.database["collate"]),
        }
        return Measures(
            tables=found, facts=described.facts, engine=engine, digest_algorithm=algorithm if found else None
        )

    @staticmethod
    def _both(dump: ToolError, session: OpsError) -> OpsError:
        if isinstance(session, SourceUnreachableError | SourceCorruptError):
            return SourceError(f"{session.message}; {dump.message}", code=session.code, hint=session.hint)
        return dump

    def _measure(
        self, session: Session, snapshot: Snapshot, needs: Needs, how: Measuring
    ) -> dict[str, TableMeasure]:
        if self.options.scope in WITHOUT_ROWS:
            return {}
        # Estimated is what takes time: large objects are counted in their catalog all the same.
        tables = [] if needs.estimated else gathered_tables(session, snapshot.chosen)
        found = measure_tables(
            self.route, session, tables, how, join=lambda other: join_snapshot(other, snapshot)
        )
        if self.options.scope in WHOLE:
            large = measure_large_objects(session, digests=how.algorithm is not None)
            found |= {LARGE_OBJECTS: large} if large else {}
        return found

    @staticmethod
    def _require_alive(session: Session) -> None:
        """The snapshot was held to the end: our own transaction still answers."""
        session.rows("SELECT 1 AS alive")

    def _toc_entries(self) -> int:
        return sum(len(list_entries(self.route, archive)) for archive in all_archives(self.into))


def _not_measured(refused: dict[str, str]) -> list[Finding]:
    return [not_measured(name, why, blocking=False) for name, why in sorted(refused.items())]


def _unlogged(names: list[str]) -> list[Finding]:
    if not names:
        return []
    message = f"unlogged tables are in the backup, but a crash of the server empties them: {', '.join(names)}"
    return [Finding(severity=Severity.OK, code="postgres.unlogged", message=message)]


def _dotted(version: int) -> str:
    return f"{version // 10000}.{version % 10000}"


def _ranges(before: dict[str, int], after: dict[str, int]) -> dict[str, tuple[int, int]]:
    """For each sequence that was there before the dump, the next values between which the archive's is."""
    return {name: (value, after.get(name, value)) for name, value in sorted(before.items())}
