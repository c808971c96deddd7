"""Loading an archive by pg_restore, or its definitions as a script; exit codes are no verdict."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from ops.fsio.atomic import translated_write_errors
from ops.fsio.scratch import scratch_folder
from ops.model.findings import Finding, Severity
from ops.model.requests import RestoreOptions
from ops.proc import worker_count
from ops.sources.postgres.catalog.requirements import Needs
from ops.sources.postgres.catalog.tables import Table
from ops.sources.postgres.connect.route import Ran, Route
from ops.sources.postgres.dump.archive import (
    LOAD_SCRIPT,
    Entry,
    after_rows,
    after_rows_of,
    attaches,
    list_entries,
    main_archive,
    rows_of,
    schema_archive,
    without_keys,
    write_selection,
)
from ops.sources.postgres.programs.release import Release
from ops.sources.postgres.restore.extension_seeds import extensions_first, without_seeds
from ops.sources.postgres.restore.left_out import Extensions
from ops.sources.postgres.restore.messages import Reading, read_messages, restore_error
from ops.sources.postgres.restore.role import Role
from ops.sources.postgres.restore.script import entry_lines, own_options, without_options

_AFTER_DEFINITIONS: Final = ("--section=data", "--section=post-data")


@dataclass(frozen=True, slots=True)
class Restoration:
    """What is restored and how, and as whom, beside the archive: see `RestoreOptions`; `allowed` is text -> reason.

    `settings`: of the server, for the sessions that load. `only`: tables whose rows alone are loaded.
    """

    options: RestoreOptions = field(default_factory=RestoreOptions)
    jobs: int = 0
    tablespaces: bool = False
    allowed: Mapping[str, str] = field(default_factory=dict)
    role: Role = field(default_factory=Role)
    settings: Mapping[str, str] = field(default_factory=dict)
    only: tuple[str, ...] = ()


def restore_payload(  # noqa: PLR0913, PLR0917 - a payload, and all that decides how it is loaded
    route: Route,
    payload: Path,
    needs: Needs,
    wanted: Restoration,
    server: Release,
    choose: Callable[[], Sequence[Table]] | None = None,
) -> list[Finding]:
    """Load a payload into the empty database of `route`, on a server of that release; return what was noticed.

    A partial backup is loaded into its whole schema: tables first, then its rows, then indexes and constraints
    without the keys that lead out of it. `choose`: asked when all tables are there, and still empty, which of them get their
    rows (None: all). Raises SpaceError when the disk of the server is full, ToolError when
    the server cannot load it for reasons of its own.
    """
    with (
        translated_write_errors(Path(tempfile.gettempdir())),
        scratch_folder(Path(tempfile.gettempdir())) as folder,
    ):
        run = _Runner(route, Path(folder), needs, wanted, server)
        findings = run.restore_payload(payload) if choose is None else run.restore_some(payload, choose)
    # Each program that ran says anew what it had to leave out.
    told = {finding for finding in findings if finding.severity is Severity.OK}
    return [
        *(finding for finding in findings if finding.severity is not Severity.OK),
        *(finding for finding in dict.fromkeys(findings) if finding in told),
    ]


def _flags(wanted: Restoration) -> list[str]:
    options = wanted.options
    return [
        *([] if wanted.tablespaces else ["--no-tablespaces"]),
        *(["--no-owner"] if options.no_owner else []),
        *(["--no-acl"] if options.no_acl else []),
        "--no-password",
    ]


@dataclass(frozen=True, slots=True)
class _Runner:
    route: Route
    folder: Path
    needs: Needs
    wanted: Restoration
    server: Release
    left_out: set[str] = field(default_factory=set)

    @property
    def jobs(self) -> int:
        """Twice the cores, unless configured: loading waits for locks and files about as long as it computes."""
        return (self.wanted.jobs or 2 * worker_count()) if self.needs.parallel else 1

    def restore_payload(self, payload: Path) -> list[Finding]:
        """The whole archive; or the whole schema with the rows that the backup has of it."""
        main, schema = main_archive(payload), schema_archive(payload)
        flags = _flags(self.wanted)
        if schema is not None:
            return self.restore_partial(schema, main, payload, flags)
        if main is not None:
            return self.restore_whole(main, flags)
        return [restore_error("the payload holds no archive", str(payload.name))]

    def restore_some(self, payload: Path, choose: Callable[[], Sequence[Table]]) -> list[Finding]:
        """All definitions, the rows of the chosen tables, and what follows rows, without foreign keys of these."""
        main, flags = main_archive(payload), _flags(self.wanted)
        if main is None:
            return [
                restore_error("the rows of single tables cannot be taken out of such a payload", payload.name)
            ]
        schema = schema_archive(payload) or main
        findings = self.restore_definitions(schema, flags)
        if findings is None:
            findings = self.restore(schema, [*flags, "--section=pre-data"])
        chosen = [(table.schema, table.name) for table in choose()]
        findings += self.restore(main, flags, only=rows_of(list_entries(self.route, main), chosen))
        entries = after_rows_of(list_entries(self.route, schema), chosen)
        return findings + self.restore_in_turns(schema, [*flags, "--section=post-data"], entries)

    def restore_partial(
        self, schema: Path, main: Path | None, payload: Path, flags: Sequence[str]
    ) -> list[Finding]:
        """Tables, then rows, then indexes and constraints without the keys that lead out of it."""
        findings = self.restore_definitions(schema, flags)
        if findings is None:
            findings = self.restore(schema, [*flags, "--section=pre-data"])
        if not self.wanted.options.schema_only:
            if main is not None:
                findings += self.restore(main, [*flags, "--data-only"])
            else:
                findings += self.load_rows(payload)
        without = tuple(self.needs.outside_keys.values())
        flags = [*flags, "--section=post-data"]
        if self.jobs == 1 or not self.route.writes_folders:
            return findings + self.restore(schema, flags, without=without)
        return findings + self.restore_in_turns(
            schema, flags, without_keys(list_entries(self.route, schema), without)
        )

    def restore_whole(self, archive: Path, flags: Sequence[str]) -> list[Finding]:
        """Tables, rows and indexes first; what must not see the rows being loaded afterwards."""
        if self.wanted.options.schema_only:
            flags = [*flags, "--schema-only"]
        begun = self.restore_definitions(archive, flags)
        flags = [*flags, *([] if begun is None else _AFTER_DEFINITIONS)]
        findings = begun or []
        if not self.route.writes_folders or self.wanted.options.schema_only:
            return findings + self.restore(archive, flags)
        entries = None
        if self.needs.extension_rows:
            made, entries = self.restore_extensions(archive, flags, is_there=begun is not None)
            findings += made
        if self.jobs == 1:
            return findings + self.restore(archive, flags, only=entries)
        return findings + self.restore_in_turns(archive, flags, entries or list_entries(self.route, archive))

    def restore_extensions(
        self, archive: Path, flags: Sequence[str], *, is_there: bool
    ) -> tuple[list[Finding], list[Entry]]:
        """Make the extensions first, unless they are there, and take out what the archive brings too; the entries that are left."""
        first, entries = extensions_first(list_entries(self.route, archive))
        findings = [] if is_there else self.restore(archive, flags, only=first, jobs=1)
        script = self.folder / "seeds.sql"
        script.write_text(without_seeds(self.needs.extension_rows), "utf-8")
        return findings + read_messages(self._run_script(script), self._reading), entries

    def restore_in_turns(
        self, archive: Path, flags: Sequence[str], entries: Sequence[Entry]
    ) -> list[Finding]:
        """Entries in parallel, but for those that must not run beside others of their kind, and those that wait.

        Two jobs that attach indexes to one partitioned index at the same time may both see it incomplete, and it
        stays invalid. Keys that refer to a partitioned table wait for its index.
        Source: https://www.postgresql.org/docs/release/15.20/ (ALTER INDEX ... ATTACH PARTITION)
        """
        attaching = [entry for entry in entries if attaches(entry)]
        later = [entry for entry in entries if after_rows(entry)]
        first = [entry for entry in entries if not attaches(entry) and not after_rows(entry)]
        findings = self.restore(archive, flags, only=first)
        if attaching:
            findings += self.restore(archive, flags, only=attaching, jobs=1)
        return findings + self.restore(archive, flags, only=later)

    def restore_definitions(self, archive: Path, flags: Sequence[str]) -> list[Finding] | None:
        """Load what stands before the rows, without what an older client wrote of the server's own.

        None when there is nothing to leave out; then nothing was loaded.
        """
        if self.needs.client.includes(self.needs.server):
            return None
        ran, script = self._write_script(archive, [*flags, "--section=pre-data"])
        if ran.exit_code:
            return read_messages(ran, self._reading)
        text = script.read_bytes()
        unwanted = own_options(text)
        if not unwanted:
            return None
        script.write_bytes(without_options(text, unwanted.keys()))
        reading = replace(self._reading, entries=entry_lines(text))
        left_out = [_left_out(name, count, self.needs) for name, count in unwanted.items()]
        return read_messages(self._run_script(script), reading) + left_out

    @property
    def _reading(self) -> Reading:
        tables = {name: rows.extension for name, rows in self.needs.extension_rows.items()}
        extensions = Extensions(self.needs.extension_schemas, tables, self.left_out)
        return Reading(
            self.wanted.allowed, self.needs.server, self.server, self.wanted.role, extensions=extensions
        )

    def restore(
        self,
        archive: Path,
        flags: Sequence[str],
        *,
        without: Sequence[str] = (),
        only: Sequence[Entry] | None = None,
        jobs: int | None = None,
    ) -> list[Finding]:
        """An archive, or of its entries `only` these, or all but the foreign keys of `without`."""
        if without:
            only = without_keys(list_entries(self.route, archive), without)
        chosen = []
        if only is not None:
            selection = self.folder / "selection"
            write_selection(only, selection)
            chosen = [f"--use-list={selection}"]
        if self.route.writes_folders:
            ran = self.route.run(
                "pg_restore", f"--jobs={jobs or self.jobs}", *flags, *chosen, os.fspath(archive)
            )
        elif chosen:
            ran = self._restore_as_script(archive, [*flags, *chosen])
        else:
            ran = self.route.run("pg_restore", *flags, stdin=archive)
        return read_messages(ran, self._reading)

    def _restore_as_script(self, archive: Path, flags: Sequence[str]) -> Ran:
        """For programs that cannot read a selection from a file here: pg_restore writes a script, psql runs it."""
        ran, script = self._write_script(archive, flags)
        return ran if ran.exit_code else self._run_script(script)

    def _write_script(self, archive: Path, flags: Sequence[str]) -> tuple[Ran, Path]:
        script = self.folder / "script.sql"
        local = [flag for flag in flags if flag != "--no-password"]
        # Through its standard output: a container's pg_restore cannot write a file here.
        ran = self.route.run_offline("pg_restore", *local, "--file=-", os.fspath(archive), stdout=script)
        ran.require_room("writing the archive's statements to a temporary file")
        return ran, script

    def _run_script(self, script: Path) -> Ran:
        return self.route.run("psql", "--no-psqlrc", "--quiet", "--no-password", "--file=-", stdin=script)

    def load_rows(self, payload: Path) -> list[Finding]:
        arguments = (
            "--no-psqlrc",
            "--quiet",
            "--no-password",
            "--set=ON_ERROR_STOP=1",
            f"--file={LOAD_SCRIPT}",
        )
        ran = self.route.run("psql", *arguments, folder=payload)
        return read_messages(ran, self._reading)


def _left_out(option: str, count: int, needs: Needs) -> Finding:
    message = (
        f"{count} column options {option} were left out: the server keeps them for itself and each server sets its own;"
        f" pg_dump {needs.client} wrote them because it is older than the source's server {needs.server}"
    )
    return Finding(severity=Severity.OK, code="postgres.left_out", message=message, where=option)
