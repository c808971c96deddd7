"""Rows in tables of extensions that are the user's, not the extension's.

An extension may say of its tables which rows are the user's (`pg_extension_config_dump`): jobs of pg_cron, own
coordinate systems of PostGIS. CREATE EXTENSION does not bring them; the archive carries them, and only them.
Source: https://www.postgresql.org/docs/current/extend-extensions.html#EXTEND-EXTENSIONS-CONFIG-TABLES
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from ops.errors import SourceError, SourceUnreachableError
from ops.model.findings import Finding, Severity
from ops.model.manifest import TableMeasure
from ops.sources.postgres.catalog.requirements import ExtensionRows, list_extensions
from ops.sources.postgres.catalog.tables import Table, columns_of
from ops.sources.postgres.connect.session import Session
from ops.sources.postgres.measure.tables import Measuring, measure_table

_TABLES: Final = """
SELECT e.extname AS extension, e.extversion AS version, k.condition, c.oid::bigint AS oid, n.nspname AS schema, c.relname AS name,
       pg_get_userbyid(c.relowner) AS owner
FROM pg_extension e, LATERAL unnest(e.extconfig, e.extcondition) AS k(oid, condition)
JOIN pg_class c ON c.oid = k.oid AND c.relkind IN ('r', 'p') JOIN pg_namespace n ON n.oid = c.relnamespace
ORDER BY 5, 6
"""
_SAVEPOINT: Final = "drillbook_extension"


@dataclass(frozen=True, slots=True)
class _Listed:
    """A table whose extension says of some rows that they are the user's."""

    extension: str
    version: str
    table: Table


def measure_extension_rows(
    session: Session, algorithm: str | None, refused: dict[str, str]
) -> dict[str, ExtensionRows]:
    """Return what is known of each such table, by its shown name.

    `session` is inside a transaction. `refused` is given the tables that could not be read, and why.
    """
    found = {}
    for item in _list(session):
        session.run(f"SAVEPOINT {_SAVEPOINT}")
        try:
            measure = measure_table(session, item.table, Measuring(algorithm))
        except SourceUnreachableError:
            raise
        except SourceError as error:
            session.run(f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}")
            refused[item.table.shown] = error.message
            continue
        found[item.table.shown] = ExtensionRows(
            extension=item.extension,
            version=item.version,
            condition=item.table.condition,
            rows=measure.rows,
            algorithm=algorithm,
            digest=measure.digest,
        )
    return found


def _list(session: Session) -> list[_Listed]:
    rows = session.rows(_TABLES)
    columns = columns_of(session, [row["oid"] for row in rows])
    return [
        _Listed(
            row["extension"],
            row["version"],
            Table(
                oid=row["oid"], schema=row["schema"], name=row["name"], kind="r", persistence="p", row_security=False,
                bytes=0, owner=row["owner"], readable=True, filtered=False, is_partition=False, parent=None,
                columns=tuple(columns[row["oid"]]), condition=row["condition"] or "",
            ),
        )
        for row in rows
    ]  # fmt: skip


def check_extension_rows(session: Session, recorded: Mapping[str, ExtensionRows]) -> list[Finding]:
    """Return what differs from `recorded` in a restored copy, or that all is as it was; empty where nothing was recorded.

    Where the extension is of another version here, it may bring other rows and columns: a difference is no verdict then.
    """
    if not recorded:
        return []
    there, versions = {item.table.shown: item for item in _list(session)}, list_extensions(session)
    findings = []
    for name, known in recorded.items():
        version = versions.get(known.extension, "")
        try:
            found = _measured(session, there[name].table, known) if name in there else None
        except SourceUnreachableError:
            raise
        except SourceError as error:
            findings.append(_not_asked(name, known, version, error.message))
            continue
        if found != TableMeasure(known.rows, known.digest):
            findings.append(_differs(name, known, found, version))
    if findings:
        return findings
    total = sum(known.rows for known in recorded.values())
    message = f"{total} rows of the user's in {len(recorded)} tables of extensions as measured in the backup's snapshot"
    return [Finding(severity=Severity.OK, code="postgres.extension_rows", message=message)]


def _measured(session: Session, table: Table, known: ExtensionRows) -> TableMeasure:
    return measure_table(session, replace(table, condition=known.condition), Measuring(known.algorithm))


def _not_asked(name: str, known: ExtensionRows, version: str, why: str) -> Finding:
    """What cannot be read makes no verdict: rights that our role lacks, a condition of another version's columns."""
    message = (
        f"the user's rows in {name} could not be compared (extension {known.extension} {known.version} in the source,"
        f" {version or 'none'} here): {why}"
    )
    return Finding(
        severity=Severity.WARNING, code="postgres.extension_rows", message=message, where=name, blocking=True
    )


def _differs(name: str, known: ExtensionRows, found: TableMeasure | None, version: str) -> Finding:
    rows = "no such table" if found is None else f"{found.rows} rows"
    if found is not None and found.rows == known.rows:
        rows = f"{rows} with other content"
    other = version != known.version
    message = (
        f"the user's rows in {name}, a table of extension {known.extension}, differ from those in the source"
    )
    if other:
        here = f"{version} here" if version else "not installed here"
        message = (
            f"the user's rows in {name} could not be compared: extension {known.extension} is {known.version} in the"
            f" source and {here}"
        )
    return Finding(
        severity=Severity.WARNING if other else Severity.CRITICAL,
        code="postgres.extension_rows",
        message=message,
        where=name,
        expected=f"{known.rows} rows",
        found=rows,
        blocking=other,
    )
