"""Running pg_dump and pg_dumpall in a snapshot: which archives a scope needs, and how they are compressed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ops.errors import SourceError
from ops.model.findings import Finding, Severity
from ops.proc import worker_count
from ops.sources.postgres.catalog.scope import PARTIAL, Choice
from ops.sources.postgres.connect.route import Ran, Route
from ops.sources.postgres.connect.server_errors import STANDBY, STANDBY_HINT
from ops.sources.postgres.connect.session import Session
from ops.sources.postgres.dump.archive import (
    DUMP_FILE,
    DUMP_FOLDER,
    GLOBALS_FILE,
    SCHEMA_FILE,
    SCHEMA_FOLDER,
)
from ops.sources.postgres.dump.exported_snapshot import Snapshot
from ops.sources.postgres.dump.said import findings_of
from ops.sources.postgres.dump.tenant import dump_rows
from ops.sources.postgres.options import PostgresOptions

_BLOCKED: Final = ("lock timeout", "could not obtain lock", "deadlock detected")
_FIRST_WITH_CODECS: Final = 16


@dataclass(frozen=True, slots=True)
class Dumping:
    """The client programs at work for one backup, into the folder of its payload."""

    route: Route
    options: PostgresOptions
    into: Path

    @property
    def compression(self) -> str:
        """As pg_dump's --compress says it: what was configured, else the best that the client knows."""
        if self.options.compress:
            return self.options.compress
        return "zstd:1" if "zstd" in self.route.codecs else "gzip:1"

    def dump(self, session: Session, snapshot: Snapshot) -> list[Finding]:
        """Write the archives (or rows) that the scope needs, all in the snapshot; what was said meanwhile.

        Raises SourceError (`source.locked`) when DDL kept pg_dump from a table, SpaceError, ToolError.
        """
        scope, said = self.options.scope, list[str]()
        if scope in PARTIAL:
            said += self._pg_dump(snapshot, ["--schema-only"], SCHEMA_FOLDER, SCHEMA_FILE)
        if scope == "tenant":
            dump_rows(self.route, session, snapshot, self.options, self.into)
        else:
            arguments = Choice(self.options).dump_arguments(session, snapshot.chosen)
            said += self._pg_dump(snapshot, arguments, DUMP_FOLDER, DUMP_FILE)
        return findings_of("pg_dump", said)

    def keep_globals(self) -> list[Finding]:
        """Roles and tablespaces beside the archive; a warning when they cannot be had."""
        if not self.options.globals:
            return []
        passwords = [] if self.options.role_passwords else ["--no-role-passwords"]
        ran = self.route.run(
            "pg_dumpall", "--globals-only", "--no-password", *passwords, stdout=self.into / GLOBALS_FILE
        )
        if ran.exit_code == 0:
            return findings_of("pg_dumpall", ran.messages)
        (self.into / GLOBALS_FILE).unlink(missing_ok=True)
        message = f"roles and tablespaces could not be kept: {' / '.join(ran.messages[-2:])}"
        return [Finding(severity=Severity.WARNING, code="postgres.globals_missing", message=message)]

    def _compress_argument(self) -> str:
        # Before 16 pg_dump knew gzip alone, by its level.
        method, _, level = self.compression.partition(":")
        old = int(self.route.client_version.partition(".")[0]) < _FIRST_WITH_CODECS
        return f"--compress={level or 6}" if old and method == "gzip" else f"--compress={self.compression}"

    def _pg_dump(self, snapshot: Snapshot, arguments: Sequence[str], folder: str, file: str) -> Sequence[str]:
        timeout_ms = max(1, round(self.options.lock_timeout.total_seconds() * 1000))
        common = [
            f"--snapshot={snapshot.id}",
            f"--lock-wait-timeout={timeout_ms}",
            self._compress_argument(),
            "--no-password",
            *arguments,
        ]
        if not self.route.writes_folders:
            ran = self.route.run("pg_dump", *common, "--format=custom", stdout=self.into / file)
        elif self.options.format == "custom":
            ran = self.route.run("pg_dump", *common, "--format=custom", f"--file={self.into / file}")
        else:
            jobs = self.options.jobs or worker_count()
            target = ["--format=directory", f"--jobs={jobs}", f"--file={self.into / folder}"]
            ran = self.route.run("pg_dump", *common, *target)
        _require_dumped(ran)
        return ran.messages


def _require_dumped(ran: Ran) -> None:
    said = " / ".join(ran.messages)
    if ran.exit_code and STANDBY in said:
        raise SourceError(f"pg_dump was ended: {said}", code="source.locked", hint=STANDBY_HINT)
    if ran.exit_code and any(words in said for words in _BLOCKED):
        hint = (
            "DDL holds or waits for a table: run it again when the migration is over, or raise lock_timeout"
        )
        raise SourceError(f"pg_dump could not lock every table: {said}", code="source.locked", hint=hint)
    ran.require_success("pg_dump")
