"""What is looked at in a restored database beside rows: every object, owners, sequences, indexes, freshness."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ops.model.findings import Finding, Severity
from ops.sources.postgres.catalog.definitions.definitions import (
    Definitions,
    Difference,
    differences,
    read_definitions,
)
from ops.sources.postgres.catalog.objects import (
    FIRST_NORMAL_OID,
    NO_MEMBER,
    DatabaseObject,
    invalid_indexes,
    list_objects,
    one,
)
from ops.sources.postgres.catalog.requirements import Needs, list_extensions
from ops.sources.postgres.catalog.scope import WHOLE, WITHOUT_ROWS
from ops.sources.postgres.catalog.sequences import next_values, owned_sequences
from ops.sources.postgres.catalog.tables import list_tables
from ops.sources.postgres.connect.session import Session
from ops.sources.postgres.measure.extension_rows import check_extension_rows
from ops.sources.postgres.measure.tables import newest_values

DEFAULT_RIGHTS: Final = "default acl"
"""What pg_identify_object calls ALTER DEFAULT PRIVILEGES: left away together with GRANT."""
_IN_EVERY_DATABASE: Final = ("schema", "public")
"""Made anew it is a user's, and in a restored copy the system's, which are not listed."""
_MOST_TEXT: Final = 1000
_ROWS_FACTOR: Final = 2
_CONSTRAINTS: Final = f"""
SELECT count(*) FILTER (WHERE k.convalidated) AS checked, count(*) FILTER (WHERE NOT k.convalidated) AS unchecked
FROM pg_constraint k WHERE k.oid >= {FIRST_NORMAL_OID} AND k.conrelid <> 0 AND k.contype IN ('c', 'f', 'p', 'u', 'x')
  AND {NO_MEMBER.format("'pg_class'", "k.conrelid")}
"""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What was recorded of the source: what a restore needs, the objects, the scope; and what was asked for now.

    `only`: the tables whose rows alone are there (None: all); `held`: those of which the backup has all rows (None: all). `damage`: what the server said of damage while it was dumped, which nothing in the copy shows.
    """

    needs: Needs
    objects: Sequence[DatabaseObject]
    scope: str
    definitions: Definitions | None = None
    damage: Sequence[Finding] = ()
    owners: bool = True
    rights: bool = True
    rows: bool = True
    only: frozenset[str] | None = None
    held: frozenset[str] | None = None


def check_database(session: Session, recorded: Recorded) -> list[Finding]:
    """All that differs from what was recorded; empty never."""
    findings = [*_check_objects(session, recorded), *_check_definitions(session, recorded)]
    findings += _check_indexes(session)
    findings += _other_versions(session, recorded.needs)
    findings += recorded.damage
    findings += [not_measured(name, why, blocking=True) for name, why in recorded.needs.not_measured.items()]
    if recorded.rows and recorded.scope not in WITHOUT_ROWS:
        findings += _check_sequences(session, recorded)
        findings += _check_newest(session, recorded)
        findings += _check_estimates(session, recorded)
        findings += check_extension_rows(session, recorded.needs.extension_rows)
    return findings


def _check_objects(session: Session, recorded: Recorded) -> list[Finding]:
    found = {(item.type, item.identity): item.owner for item in list_objects(session)}
    outside = recorded.needs.outside_keys
    missing = [
        item
        for item in recorded.objects
        if (item.type, item.identity) not in found
        and (item.type, item.identity) != _IN_EVERY_DATABASE
        and item.identity not in outside
        and (recorded.rights or item.type != DEFAULT_RIGHTS)
    ]
    findings = [
        _critical("postgres.object_missing", f"{item.type} {item.identity} was not restored", item.identity)
        for item in missing
    ]
    if recorded.owners:
        findings += _check_owners(recorded, found)
    if findings:
        return findings
    keys = sum(" on " in identity for identity in outside)
    without = f", {keys} keys that lead out of the backup left away" if keys else ""
    there = sum(item.identity not in outside for item in recorded.objects)
    message = f"all {there} objects are there{without}{_validated(session, recorded)}"
    return [Finding(severity=Severity.OK, code="postgres.objects", message=message)]


def _other_versions(session: Session, needs: Needs) -> list[Finding]:
    """Which extensions are of another version here: a restore takes the one that its server has."""
    here = list_extensions(session)
    return [
        Finding(
            severity=Severity.OK,
            code="postgres.extension_version",
            message=f"extension {name} is of version {here[name]} here, and of {version} in the source",
            where=name,
            expected=version,
            found=here[name],
        )
        for name, version in needs.extensions.items()
        if here.get(name, version) != version
    ]


def _check_definitions(session: Session, recorded: Recorded) -> list[Finding]:
    """Everything that is defined in another way than in the source; older manifests have digests of some of it instead."""
    if recorded.definitions is None:
        return []
    found = list(
        differences(
            recorded.definitions,
            read_definitions(session),
            rights=recorded.rights and recorded.owners,
            rows=recorded.rows and recorded.scope == "full",
            left_out=recorded.needs.outside_keys,
        )
    )
    if not found:
        count = sum(map(len, recorded.definitions.groups.values()))
        message = f"all {count} definitions are as in the source"
        if recorded.definitions.major != session.version // 10000:
            message = f"of {count} definitions those are as in the source that every version of the server prints alike"
        return [Finding(severity=Severity.OK, code="postgres.definitions", message=message)]
    return [_differs(item) for item in found]


def _differs(item: Difference) -> Finding:
    what = "is defined in another way"
    if item.found is None:
        what = "is missing"
    elif item.expected is None:
        what = "was not in the source"
    return Finding(
        severity=Severity.CRITICAL,
        code="postgres.definition_differs",
        message=f"{item.group} {item.subject} {what}",
        where=item.subject,
        expected=(item.expected or "")[:_MOST_TEXT] if item.told else "",
        found=(item.found or "")[:_MOST_TEXT] if item.told else "",
    )


def not_measured(table: str, why: str, *, blocking: bool) -> Finding:
    """Return the warning that rows of a table were not counted in the source, so that nothing is known of them."""
    message = (
        f"rows of {table} were not measured in the source, so a copy cannot be compared with them: {why}"
    )
    return Finding(
        severity=Severity.WARNING,
        code="postgres.not_measured",
        message=message,
        where=table,
        blocking=blocking,
    )


def _validated(session: Session, recorded: Recorded) -> str:
    """How many constraints the server checked against the rows while it built them, and how many it was told not to."""
    if not recorded.rows or recorded.scope in WITHOUT_ROWS:
        return ""
    row = one(session, _CONSTRAINTS)
    unchecked = f", {row['unchecked']} are NOT VALID" if row["unchecked"] else ""
    return f"; {row['checked']} constraints were built anew over the rows{unchecked}"


def _check_owners(recorded: Recorded, found: dict[tuple[str, str], str]) -> list[Finding]:
    wrong = [
        (item, owner)
        for item in recorded.objects
        if item.owner and (owner := found.get((item.type, item.identity))) not in {None, item.owner}
    ]
    return [
        Finding(
            severity=Severity.CRITICAL,
            code="postgres.owner_differs",
            message=f"{item.type} {item.identity} belongs to another role",
            where=item.identity,
            expected=item.owner,
            found=str(owner),
        )
        for item, owner in wrong
    ]


def _check_indexes(session: Session) -> list[Finding]:
    return [
        _critical("postgres.index_invalid", f"index {name} is not valid", name)
        for name in invalid_indexes(session)
    ]


def _check_sequences(session: Session, recorded: Recorded) -> list[Finding]:
    """Values as during the dump, where the archive holds them; and none behind its column."""
    found = next_values(session)
    ranges = recorded.needs.sequences if recorded.scope in WHOLE else {}
    findings = [
        finding
        for name, (before, after) in ranges.items()
        if name in found
        for finding in _compare_sequence(name, before, after, found[name])
    ]
    # Where only a partition was taken, the counter of its parent is not in the backup.
    whole = recorded.held if recorded.scope in {"tables", "schemas"} else None
    findings += _behind(session, found, whole)
    if findings:
        return findings
    compared = len(ranges.keys() & found.keys())
    stand = f"{compared} sequences stand where they stood, " if ranges else "sequences: "
    message = f"{stand}none behind its column"
    return [Finding(severity=Severity.OK, code="postgres.sequences", message=message)]


def _compare_sequence(name: str, before: int, after: int, value: int) -> list[Finding]:
    # A sequence is no part of a snapshot: the archive has its value at some moment of the dump.
    if min(before, after) <= value <= max(before, after):
        return []
    return [
        Finding(
            severity=Severity.CRITICAL,
            code="postgres.sequence_differs",
            message=f"sequence {name} gives another value next than during the dump",
            where=name,
            expected=str(before) if before == after else f"{before} to {after}",
            found=str(value),
        )
    ]


def _behind(session: Session, values: dict[str, int], held: frozenset[str] | None) -> list[Finding]:
    findings = []
    for owned in owned_sequences(session):
        if held is not None and owned.shown_table not in held:
            continue
        greatest = one(session, f"SELECT max({owned.column}) AS value FROM {owned.table}")["value"]
        if greatest is not None and owned.shown in values and greatest >= values[owned.shown]:
            findings.append(
                Finding(
                    severity=Severity.WARNING,
                    code="postgres.sequence_behind",
                    message=f"sequence {owned.shown} is behind its column: the next insert may collide",
                    where=owned.shown,
                    expected=f"more than {greatest}",
                    found=str(values[owned.shown]),
                )
            )
    return findings


def _check_newest(session: Session, recorded: Recorded) -> list[Finding]:
    found = newest_values(session, list(recorded.needs.newest))
    return [
        Finding(
            severity=Severity.OK if found[column] == value else Severity.CRITICAL,
            code="postgres.newest",
            message=f"newest {column}",
            where=column,
            expected=str(value),
            found=str(found[column]),
        )
        for column, value in recorded.needs.newest.items()
    ]


def _check_estimates(session: Session, recorded: Recorded) -> list[Finding]:
    """Counts against the planner's expectation in the source: only an order of magnitude, and a warning."""
    tables = {table.shown: table for table in list_tables(session)}
    findings = []
    for name, estimate in recorded.needs.estimated.items():
        if name not in tables:
            continue
        rows = int(one(session, f"SELECT count(*) AS n FROM ONLY {tables[name].sql}")["n"])
        near = estimate / _ROWS_FACTOR - 100 <= rows <= estimate * _ROWS_FACTOR + 100
        findings.append(
            Finding(
                severity=Severity.OK if near else Severity.WARNING,
                code="postgres.rows_estimated",
                message=f"rows of {name}, which were only estimated in the source",
                where=name,
                expected=f"about {estimate}",
                found=str(rows),
            )
        )
    return findings


def _critical(code: str, message: str, where: str) -> Finding:
    return Finding(severity=Severity.CRITICAL, code=code, message=message, where=where)
