"""What pg_restore and psql say while they load: every error as a finding, or as the error that says why it is none."""

from __future__ import annotations

import bisect
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from ops.errors import SpaceError, ToolError
from ops.model.findings import Finding, Severity
from ops.sources.postgres.connect.route import Ran
from ops.sources.postgres.programs.release import Release
from ops.sources.postgres.restore.left_out import Extensions
from ops.sources.postgres.restore.role import Role

_ENTRY: Final = re.compile(r"pg_restore: (?:from|in) TOC entry (.*)")
# What psql quotes of a server begins with its word for how severe it is, in the server's language, and two blanks.
_SAID: Final = re.compile(
    r"(?:pg_restore|psql(?::[^:]*:(?P<line>\d+))?): (?:\S+: )?"
    r"(?:(?:error|warning|fatal|FATAL|ERROR): +|(?!(?:WARNING|NOTICE|INFO|LOG|DEBUG):)(?P<word>[^\s:]+):  )(?P<text>.*)"
)
_SEVERITY: Final = re.compile(r": (?P<word>[^\s:]+):  ")
_ENGLISH: Final = frozenset(("ERROR", "FATAL", "PANIC"))
_NO_ROLE: Final = re.compile(r'role "(.*)" does not exist')
_NOT_ALLOWED: Final = re.compile(
    r"permission denied|must be (?:a )?(?:superuser|owner|member|able)|read-only transaction|must have .* privilege"
)
_COMMAND: Final = "Command was: "
_ONLY_A_COUNT: Final = "errors ignored on restore"
_UNKNOWN_SETTING: Final = re.compile(r'unrecognized configuration parameter "(\w+)"')
_NEWER_SETTINGS: Final = frozenset(
    ("transaction_timeout", "idle_session_timeout", "default_table_access_method")
)
# Restricts what a script may do to the machine that runs it; ours come out of the archive that we restore anyway.
_NEWER_COMMAND: Final = re.compile(r"invalid command (\\(?:un)?restrict)\b")
_LACKING: Final = re.compile(
    r"unsupported XML feature|ICU is not supported in this build|\w+ is not supported by this build"
)
# Archives are loaded with an empty search_path, so what has no schema in front of it is the server's own.
_UNKNOWN_TO_ANY: Final = re.compile(r'unrecognized (?:configuration )?parameter "')
_WITHOUT_SCHEMA: Final = re.compile(
    r'(?:relation|type) "[^".]+" does not exist|function [^".\s(]+\(.*\) does not exist'
)
_UNKNOWN_TO_OLDER: Final = re.compile(
    r'unrecognized |syntax error at or near|(?:function|procedure|aggregate) [^".\s]+\(.*\) does not exist'
    r'|(?:type|access method|collation|language) "[^".]+" does not exist'
)
# What a later minor release refuses although the source's own took it.
# Source: https://www.postgresql.org/docs/release/15.20/ (statistics on transient types)
_REFUSED_BY_NEWER: Final = ("expression has pseudo-type record",)
_GONE: Final = (
    "server closed the connection unexpectedly",
    "terminating connection",
    "connection to server was lost",
    "no connection to the server",
    "not yet accepting connections",
    "the database system is in recovery mode",
    "the database system is shutting down",
)
_LIMITED: Final = re.compile(
    r"(?:^|ERROR:  |FATAL:  )(?:canceling statement due to (?:statement|lock) timeout|temporary file size exceeds|out of (?:shared )?memory"
    r"|remaining connection slots are reserved|sorry, too many clients)"
)
_FULL: Final = ("No space left on device", "Disk quota exceeded", "disk full")


@dataclass(frozen=True, slots=True)
class Reading:
    """What is known while messages are read: texts that the operator allows (text -> reason), the release of the
    source's server and of the one that is loaded, our role there, and where the entries of a script begin.
    """  # noqa: D205 - one sentence

    allowed: Mapping[str, str] = field(default_factory=dict)
    source: Release | None = None
    server: Release | None = None
    role: Role = field(default_factory=Role)
    entries: Sequence[tuple[int, str]] = ()
    extensions: Extensions = field(default_factory=Extensions)


@dataclass(frozen=True, slots=True)
class _Said:
    text: str
    where: str
    foreign: bool
    command: str = ""


def read_messages(ran: Ran, reading: Reading) -> list[Finding]:
    """Return each error and warning as a finding; a bad exit code that nothing explains is one too.

    Raises SpaceError when the server's disk is full, ToolError when the server was built without a feature, is
    gone, does not allow our role to load it, speaks another language than the one that is read here, or is of
    another release than the source and therefore does not know what the archive holds: none of that says
    anything about the backup.
    """
    findings, unknown, news = [], [], set()
    for said in _said(ran, reading):
        _require_able(said.text)
        setting = _UNKNOWN_SETTING.search(said.text)
        if setting and setting[1] in _NEWER_SETTINGS:
            news.add(setting[1])
            continue
        if command := _NEWER_COMMAND.search(said.text):
            news.add(command[1])
            continue
        finding = reading.extensions.read(said.text, said.command, reading.allowed) or _finding(
            said, reading.allowed
        )
        findings.append(finding)
        if finding.severity is Severity.CRITICAL:
            _require_allowed(said, reading.role)
        if finding.severity is Severity.CRITICAL and _says_other_release(said.text, reading):
            unknown.append(said.text)
    if unknown:
        raise _other_release(unknown, len(findings), reading)
    if news:
        findings.append(_left_out(news))
    if ran.exit_code and not findings:
        said_last = " / ".join(ran.messages[-4:]) or "nothing"
        message = f"{ran.program} ended with exit code {ran.exit_code}, and said: {said_last}"
        findings.append(restore_error(message, ""))
    return findings


def _said(ran: Ran, reading: Reading) -> list[_Said]:
    found, where = list[_Said](), ""
    for line in ran.messages:
        if entry := _ENTRY.match(line):
            where = entry[1]
            continue
        if found and line.startswith(_COMMAND):
            found[-1] = replace(found[-1], command=line.removeprefix(_COMMAND))
            continue
        said = _SAID.match(line)
        if said is None or _ONLY_A_COUNT in said["text"]:
            continue
        word = said["word"] or (quoted["word"] if (quoted := _SEVERITY.search(said["text"])) else "ERROR")
        place = _entry_of(int(said["line"]), reading) if said["line"] else where
        found.append(_Said(said["text"], place, foreign=word not in _ENGLISH))
    return found


def _entry_of(line: int, reading: Reading) -> str:
    position = bisect.bisect_right(reading.entries, line, key=lambda entry: entry[0])
    return reading.entries[position - 1][1] if position else ""


def _require_able(said: str) -> None:
    """Return when the words say nothing about the server's own trouble."""
    if any(words in said for words in _FULL):
        hint = "a restore needs about twice the size of the database; see the runbook, 'Disk full'"
        raise SpaceError(f"the server's disk ran full: {said}", code="space.disk_full", hint=hint)
    if any(words in said for words in _GONE):
        hint = "look at the server's log, and at memory and disk of its machine, then run it again"
        raise ToolError(f"the server stopped answering: {said}", code="tool.failed", hint=hint)
    if _LIMITED.search(said):
        hint = "raise the limit on the server, or for restores in restore_settings and for drills in drill_settings, then run it again"
        raise ToolError(
            f"a limit of the server ended the load, which says nothing of the backup: {said}",
            code="tool.failed",
            hint=hint,
        )
    if lacking := _LACKING.search(said):
        hint = "drill with a server that has it: pg_bindir, or scratch = … (runbook: Missing extension)"
        message = f"this PostgreSQL was built without what the source uses: {lacking[0]}"
        raise ToolError(message, code="tool.missing", hint=hint)


def _require_allowed(said: _Said, role: Role) -> None:
    """Return when an error can be understood, and is not about what our role may do."""
    if said.foreign or role.language:
        language = f" (lc_messages = {role.language})" if role.language else ""
        hint = "a superuser lets it speak English to our role: ALTER ROLE … SET lc_messages = 'C'; then run it again"
        message = f"the server reports errors in a language that is not read here{language}: {said.text}"
        raise ToolError(message, code="tool.failed", hint=hint)
    if not role.superuser and _NOT_ALLOWED.search(said.text):
        hint = (
            "name a server on which our role is a superuser (for drills: leave scratch away, or scratch = …)"
        )
        message = f"our role on the server may not load what the archive holds: {said.text}"
        raise ToolError(message, code="tool.failed", hint=hint)

    named = _NO_ROLE.search(said.text)
    if named and named[1].replace('""', '"') in role.absent:
        hint = "make the role there (globals.sql of the backup), or leave scratch away"
        message = f"the server lacks a role of the source, and cannot load what names it: {said.text}"
        raise ToolError(message, code="tool.failed", hint=hint)


def _says_other_release(said: str, reading: Reading) -> bool:
    source, server = reading.source, reading.server
    if source is None or server is None or source == server:
        return False
    if server.is_older(source):
        return _UNKNOWN_TO_OLDER.search(said) is not None
    refused = any(words in said for words in _REFUSED_BY_NEWER)
    return refused or (not server.includes(source) and _UNKNOWN_TO_ANY.search(said) is not None)


def _other_release(unknown: Sequence[str], errors: int, reading: Reading) -> ToolError:
    more = f" ({errors} errors in all)" if errors > 1 else ""
    refused = any(words in unknown[0] for words in _REFUSED_BY_NEWER)
    needed = (
        f"a server of PostgreSQL {reading.source}{'' if refused else ' or a later release of that version'}"
    )
    message = (
        f"PostgreSQL {reading.server} does not take what the source, PostgreSQL {reading.source}, holds:"
        f" {unknown[0]}{more}; {needed} is needed"
    )
    hint = f"load it with {needed} (runbook: Version mismatch)"
    return ToolError(message, code="tool.other_release", hint=hint)


def _finding(said: _Said, allowed: Mapping[str, str]) -> Finding:
    reason = next((reason for text, reason in allowed.items() if text in said.text), None)
    if reason is None:
        return restore_error(_explained(said.text), said.where)
    return Finding(
        severity=Severity.OK,
        code="postgres.error_allowed",
        message=f"{said.text} (allowed: {reason})",
        where=said.where,
    )


def _explained(said: str) -> str:
    """The words with why, and what to do, where an object names another one without its schema."""
    if _WITHOUT_SCHEMA.search(said) is None:
        return said
    return (
        f"{said} (archives are loaded with an empty search_path, by every pg_restore: in the source, name the schema in"
        " the query or function behind it, or ALTER FUNCTION … SET search_path = public, and back up anew; to restore this backup"
        " without what failed: allowed_errors)"
    )


def _left_out(names: set[str]) -> Finding:
    message = (
        f"the archive sets {', '.join(sorted(names))}, which this older server does not know; it was left out"
    )
    return Finding(severity=Severity.OK, code="postgres.newer_client", message=message)


def restore_error(message: str, where: str) -> Finding:
    """Return the finding for one error of a restore."""
    return Finding(severity=Severity.CRITICAL, code="postgres.restore_error", message=message, where=where)
