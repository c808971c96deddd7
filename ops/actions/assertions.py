"""The operator's expectations about restored data, asked of a restored copy; one finding each."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from ops.errors import OpsError, ToolError
from ops.model.findings import Finding, Severity
from ops.model.manifest import Manifest, TableMeasure
from ops.model.requests import Assertion, Expectations
from ops.ports.source import Copy, Queryable
from ops.proc import run_program
from ops.units import format_duration, format_time

_PASSED_ON: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "USER")
_SECONDS_IN_MILLISECONDS: Final = 10**11


def check_assertions(
    assertions: Sequence[Assertion], copy: Copy, folder: Path, manifest: Manifest
) -> list[Finding]:
    """One finding for each assertion, in the order given; commands last, because they may change the copy."""
    return [
        _check(assertion, copy, folder, manifest)
        for assertion in sorted(assertions, key=lambda assertion: assertion.command is not None)
    ]


def check_expectations(expected: Expectations, copy: Copy, folder: Path, manifest: Manifest) -> list[Finding]:
    """Ask what binds as `check_assertions` does, and what can only warn; commands last of all of them."""
    asked = [(item, "") for item in expected.binding]
    asked += [(item.assertion, item.why) for item in expected.advisory]
    asked.sort(key=lambda pair: pair[0].command is not None)
    found = [_only_warning(_check(item, copy, folder, manifest), why) for item, why in asked]
    return [*found, *expected.not_asked]


def _only_warning(finding: Finding, why: str) -> Finding:
    if not why or finding.severity is Severity.OK:
        return finding
    message = f"{finding.message}; {why}"
    return replace(finding, severity=Severity.WARNING, blocking=False, message=message)


def describe(assertion: Assertion) -> str:
    """The assertion in one line, for findings."""
    if assertion.command is not None:
        return f"command {' '.join(assertion.command)}"
    if assertion.query is not None:
        return f"query {' '.join(assertion.query.split())}"
    return f"fresh {assertion.fresh}" if assertion.fresh else f"row_count {assertion.row_count}"


def _check(assertion: Assertion, copy: Copy, folder: Path, manifest: Manifest) -> Finding:
    where = describe(assertion)
    try:
        if assertion.command is not None:
            return _check_command(assertion, where, _surroundings(copy, folder, manifest))
        if not isinstance(copy, Queryable):
            return _undecided(where, f"kind {manifest.source.kind!r} can only be asked by command")
        if assertion.row_count is not None:
            return _check_rows(assertion, where, copy, manifest)
        if assertion.fresh is not None:
            return _check_fresh(assertion, where, copy, manifest)
        return _check_query(assertion, where, copy)
    except OpsError as error:
        # The assertion itself cannot be asked: nothing is known about the backup by that.
        return _undecided(where, error.message, error.hint)


def _undecided(where: str, why: str, hint: str = "") -> Finding:
    return Finding(
        severity=Severity.WARNING,
        code="assert.undecided",
        message=why,
        where=where,
        blocking=True,
        hint=hint,
    )


def _outcome(where: str, *, passed: bool, expected: str, found: str) -> Finding:
    return Finding(
        severity=Severity.OK if passed else Severity.CRITICAL,
        code="assert.passed" if passed else "assert.failed",
        message="assertion holds" if passed else "assertion does not hold",
        where=where,
        expected=expected,
        found=found,
    )


def _check_rows(assertion: Assertion, where: str, copy: Queryable, manifest: Manifest) -> Finding:
    table = assertion.row_count or ""
    count = copy.count_rows(table)
    expected, passed = [], True
    if assertion.min is not None:
        expected.append(f"at least {assertion.min}")
        passed &= count >= assertion.min
    if assertion.max is not None:
        expected.append(f"at most {assertion.max}")
        passed &= count <= assertion.max
    if assertion.tolerance is not None or not expected:
        measured = _measured(table, manifest)
        if measured is None:
            return _undecided(where, f"the manifest has no count of {table!r}")
        tolerance = assertion.tolerance or 0.0
        expected.append(f"{measured.rows} ± {tolerance:.1%}")
        passed &= abs(count - measured.rows) <= tolerance * measured.rows
    return _outcome(where, passed=passed, expected=", ".join(expected), found=str(count))


def _measured(table: str, manifest: Manifest) -> TableMeasure | None:
    """What was measured of a table, by its name or, where that is unambiguous, by its name without schema."""
    table, about = _asked_of(table, manifest)
    tables = about.measures.tables
    named = [measure for name, measure in tables.items() if name.endswith(f".{table}")]
    return tables.get(table) or (named[0] if len(named) == 1 else None)


def _asked_of(text: str, manifest: Manifest) -> tuple[str, Manifest]:
    """What is asked, and the manifest of whom: of a member where `MEMBER/` stands in front."""
    name, slash, rest = text.partition("/")
    if slash and any(member.name == name for member in manifest.members):
        return rest, manifest.member(name)
    return text, manifest


def _check_fresh(assertion: Assertion, where: str, copy: Queryable, manifest: Manifest) -> Finding:
    """How old the newest value was at the moment of the snapshot: a backup does not go stale by lying there."""
    value = copy.newest(assertion.fresh or "")
    limit = assertion.max_age or timedelta()
    expected = f"younger than {format_duration(limit.total_seconds())} at the backup"
    if value is None:
        return _outcome(where, passed=False, expected=expected, found="no value at all")
    moment = parse_moment(value)
    if moment is None:
        return _undecided(where, f"newest value {value!r} is not understood as a time")
    age = _asked_of(assertion.fresh or "", manifest)[1].data_as_of - moment
    found = f"{format_time(moment)}, {format_duration(max(0.0, age.total_seconds()))} old"
    return _outcome(where, passed=age <= limit, expected=expected, found=found)


def parse_moment(value: object) -> datetime | None:
    """The moment that a stored value means: ISO 8601 text (UTC where it says nothing), or Unix time.

    Unix time beyond 10^11 is taken as milliseconds. None when it is neither.
    """
    try:
        if isinstance(value, str):
            moment = datetime.fromisoformat(value.strip())
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        if isinstance(value, int | float):
            seconds = value / 1000 if abs(value) > _SECONDS_IN_MILLISECONDS else value
            return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return None


def _check_query(assertion: Assertion, where: str, copy: Queryable) -> Finding:
    rows = copy.query(assertion.query or "")
    if assertion.expect is None:
        found = f"{len(rows)} rows"
        return _outcome(where, passed=bool(rows), expected="at least one row", found=found)
    value = rows[0][0] if rows else None
    passed = (
        len(rows) == 1
        and value == assertion.expect
        and isinstance(value, str) == isinstance(assertion.expect, str)
    )
    found = repr(value) if len(rows) == 1 else f"{len(rows)} rows, the first {value!r}"
    return _outcome(where, passed=passed, expected=repr(assertion.expect), found=found)


@dataclass(frozen=True, slots=True)
class _Surroundings:
    """Where a command runs, and its environment."""

    folder: Path
    environment: Mapping[str, str]


def _surroundings(copy: Copy, folder: Path, manifest: Manifest) -> _Surroundings:
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    environment |= {
        **copy.environment,
        "DRILL_TARGET": copy.place,
        "DRILL_FOLDER": str(folder),
        "DRILL_BACKUP": manifest.payload,
        "DRILL_SOURCE": manifest.source.name,
    }
    return _Surroundings(folder, environment)


def _check_command(assertion: Assertion, where: str, around: _Surroundings) -> Finding:
    timeout_s = assertion.timeout.total_seconds()
    try:
        ended = run_program(
            assertion.command or (),
            timeout_s=timeout_s,
            environment=around.environment,
            folder=around.folder,
        )
    except ToolError as error:
        return _undecided(where, error.message)
    if ended.exit_code is None:
        found = f"still running after {format_duration(timeout_s)}; it was ended"
        return _outcome(where, passed=False, expected="exit code 0", found=found)
    tail = f": {ended.output_tail[-300:]}" if ended.output_tail and ended.exit_code else ""
    found = f"exit code {ended.exit_code}{tail}"
    return _outcome(where, passed=ended.exit_code == 0, expected="exit code 0", found=found)
