"""Running pg_restore, and reading what it says: its exit code is no verdict."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ops.errors import SpaceError, ToolError
from ops.model import Finding, RestoreOptions, Severity
from ops.proc import worker_count
from ops.sources.postgres.archive import (
    LOAD_SCRIPT,
    Entry,
    after_rows,
    list_entries,
    main_archive,
    schema_archive,
    without_keys,
    write_selection,
)
from ops.sources.postgres.needs import Needs
from ops.sources.postgres.route import Ran, Route

_ENTRY: Final = re.compile(r"pg_restore: (?:from|in) TOC entry (.*)")
_SAID: Final = re.compile(r"(?:pg_restore|psql[^ ]*): (?:\S+: )?(error|warning|fatal|FATAL|ERROR): +(.*)")
_ONLY_A_COUNT: Final = "errors ignored on restore"
_UNKNOWN_SETTING: Final = re.compile(r'unrecognized configuration parameter "(\w+)"')
_NEWER_SETTINGS: Final = frozenset(
    ("transaction_timeout", "idle_session_timeout", "default_table_access_method")
)
_LACKING: Final = re.compile(
    r"unsupported XML feature|ICU is not supported in this build|\w+ is not supported by this build"
)
_GONE: Final = (
    "server closed the connection unexpectedly",
    "terminating connection",
    "connection to server was lost",
    "no connection to the server",
    "not yet accepting connections",
    "the database system is in recovery mode",
    "the database system is shutting down",
)
_FULL: Final = ("No space left on device", "Disk quota exceeded", "disk full")


@dataclass(frozen=True, slots=True)
class Restoration:
    """What is restored and how, beside the archive: see `RestoreOptions`; `allowed` is text -> reason."""

    options: RestoreOptions = field(default_factory=RestoreOptions)
    jobs: int = 0
    tablespaces: bool = False
    allowed: Mapping[str, str] = field(default_factory=dict)


def restore_payload(route: Route, payload: Path, needs: Needs, wanted: Restoration) -> list[Finding]:
    """Load a payload into the empty database of `route`; everything that pg_restore complained of.

    A partial backup is loaded into its whole schema: tables first, then its rows, then indexes and constraints
    without the keys that lead out of it. Raises SpaceError when the disk of the server is full.
    """
    main, schema = main_archive(payload), schema_archive(payload)
    flags = _flags(wanted)
    with tempfile.TemporaryDirectory(prefix="drillbook-restore-") as folder:
        run = _Runner(route, Path(folder), wanted, jobs=_jobs(wanted) if needs.parallel else 1)
        if schema is None:
            if main is None:
                return [
                    _critical("postgres.restore_error", "the payload holds no archive", str(payload.name))
                ]
            if wanted.options.schema_only:
                return run.restore(main, [*flags, "--schema-only"])
            return run.restore_whole(main, flags)
        findings = run.restore(schema, [*flags, "--section=pre-data"])
        if not wanted.options.schema_only:
            if main is not None:
                findings += run.restore(main, [*flags, "--data-only"])
            else:
                findings += run.load_rows(payload)
        return findings + run.restore(
            schema, [*flags, "--section=post-data"], without=tuple(needs.outside_keys.values())
        )


def _jobs(wanted: Restoration) -> int:
    """Twice the cores, unless configured: loading waits for locks and files about as long as it computes."""
    return wanted.jobs or 2 * worker_count()


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
    wanted: Restoration
    jobs: int

    def restore_whole(self, archive: Path, flags: Sequence[str]) -> list[Finding]:
        """Tables, rows and indexes first; what must not see the rows being loaded afterwards."""
        if self.jobs == 1 or not self.route.writes_folders:
            return self.restore(archive, flags)
        entries = list_entries(self.route, archive)
        first = [entry for entry in entries if not after_rows(entry)]
        later = [entry for entry in entries if after_rows(entry)]
        return self.restore(archive, flags, only=first) + self.restore(archive, flags, only=later)

    def restore(
        self,
        archive: Path,
        flags: Sequence[str],
        *,
        without: Sequence[str] = (),
        only: Sequence[Entry] | None = None,
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
            ran = self.route.run("pg_restore", f"--jobs={self.jobs}", *flags, *chosen, os.fspath(archive))
        elif chosen:
            ran = self._restore_as_script(archive, [*flags, *chosen])
        else:
            ran = self.route.run("pg_restore", *flags, stdin=archive)
        return read_messages(ran, self.wanted.allowed)

    def _restore_as_script(self, archive: Path, flags: Sequence[str]) -> Ran:
        """For programs that can not read a selection from a file here: pg_restore writes a script, psql runs it."""
        script = self.folder / "script.sql"
        local = [flag for flag in flags if flag != "--no-password"]
        ran = self.route.run_offline("pg_restore", *local, f"--file={script}", os.fspath(archive))
        if ran.exit_code:
            return ran
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
        return read_messages(ran, self.wanted.allowed)


def read_messages(ran: Ran, allowed: Mapping[str, str]) -> list[Finding]:
    """Each error and warning as a finding; a bad exit code that nothing explains is one too.

    Raises SpaceError when the server's disk is full, ToolError when the server was built without a feature, or
    is gone: none of that says anything about the backup.
    """
    findings, where, unknown = [], "", set()
    for line in ran.messages:
        if entry := _ENTRY.match(line):
            where = entry[1]
            continue
        said = _SAID.match(line)
        if said is None or _ONLY_A_COUNT in said[2]:
            continue
        if any(words in said[2] for words in _FULL):
            hint = "a restore needs about twice the size of the database; see the runbook, 'Disk full'"
            raise SpaceError(f"the server's disk ran full: {said[2]}", code="space.disk_full", hint=hint)
        if any(words in said[2] for words in _GONE):
            hint = "look at the server's log, and at memory and disk of its machine, then run it again"
            raise ToolError(f"the server stopped answering: {said[2]}", code="tool.failed", hint=hint)
        if lacking := _LACKING.search(said[2]):
            hint = "drill with a server that has it: pg_bindir, or scratch = … (runbook: Missing extension)"
            message = f"this PostgreSQL was built without what the source uses: {lacking[0]}"
            raise ToolError(message, code="tool.missing", hint=hint)
        setting = _UNKNOWN_SETTING.search(said[2])
        if setting and setting[1] in _NEWER_SETTINGS:
            unknown.add(setting[1])
            continue
        findings.append(_finding(said[2], where, allowed))
    if unknown:
        findings.append(_filtered(unknown))
    if ran.exit_code and not findings:
        said_last = " / ".join(ran.messages[-4:]) or "nothing"
        message = f"{ran.program} ended with exit code {ran.exit_code}, and said: {said_last}"
        findings.append(_critical("postgres.restore_error", message, ""))
    return findings


def _finding(message: str, where: str, allowed: Mapping[str, str]) -> Finding:
    reason = next((reason for text, reason in allowed.items() if text in message), None)
    if reason is None:
        return _critical("postgres.restore_error", message, where)
    return Finding(
        severity=Severity.OK,
        code="postgres.error_allowed",
        message=f"{message} (allowed: {reason})",
        where=where,
    )


def _filtered(settings: set[str]) -> Finding:
    names = ", ".join(sorted(settings))
    message = f"the archive sets {names}, which this older server does not know; it was left out"
    return Finding(severity=Severity.OK, code="postgres.newer_client", message=message)


def _critical(code: str, message: str, where: str) -> Finding:
    return Finding(severity=Severity.CRITICAL, code=code, message=message, where=where)
