"""Compare what was measured in a source with what is measured in its restored copy. Pure."""

from __future__ import annotations

from ops.model.findings import Finding, Severity
from ops.model.manifest import IN_PAYLOAD, Measures


def compare_measures(recorded: Measures, found: Measures) -> list[Finding]:
    """Every difference between what was recorded and what is there now, critical; what agrees, as one OK line.

    Digests are compared where both sides have them by the same algorithm; if they cannot be, a warning says
    that only rows were counted.
    """
    findings = [*_compare_tables(recorded, found), *_compare_facts(recorded, found)]
    if findings:
        return findings
    if not any(table.rows for table in recorded.tables.values()):
        return [
            Finding(severity=Severity.OK, code="measure.equal", message=_without_rows(len(recorded.tables)))
        ]
    digested = recorded.digest_algorithm is not None and recorded.digest_algorithm == found.digest_algorithm
    if not digested:
        findings.append(
            Finding(
                severity=Severity.OK if recorded.digest_algorithm is None else Severity.WARNING,
                code="measure.rows_only",
                message="row counts agree; the content of rows could not be compared",
                expected=recorded.digest_algorithm or "",
                found=found.digest_algorithm or "",
            )
        )
    # What rows of a payload hold is told where its bytes are compared: here nothing is known of that.
    what = "rows and content" if digested and found.digest_algorithm != IN_PAYLOAD else "rows"
    message = f"{what} of {len(recorded.tables)} tables as measured in the backup's snapshot"
    return [
        *findings,
        Finding(severity=Severity.OK, code="measure.equal", message=message, found=f"{found.rows} rows"),
    ]


def _without_rows(tables: int) -> str:
    if tables:
        return f"all {tables} tables are empty, as they should be"
    return "no rows were compared: none were measured when the backup was made"


def _compare_tables(recorded: Measures, found: Measures) -> list[Finding]:
    findings = []
    for name in sorted(recorded.tables.keys() | found.tables.keys()):
        expected, actual = recorded.tables.get(name), found.tables.get(name)
        if expected is None:
            findings.append(
                _differs("measure.table_extra", "a table that was not in the snapshot", name, "", "there")
            )
        elif actual is None:
            findings.append(_differs("measure.table_missing", "a table is missing", name, "there", ""))
        elif expected.rows != actual.rows:
            findings.append(
                _differs(
                    "measure.rows_differ", "row count differs", name, str(expected.rows), str(actual.rows)
                )
            )
        elif recorded.digest_algorithm == found.digest_algorithm and expected.digest != actual.digest:
            findings.append(
                _differs(
                    "measure.content_differs", "rows differ", name, str(expected.digest), str(actual.digest)
                )
            )
    return findings


def _compare_facts(recorded: Measures, found: Measures) -> list[Finding]:
    names = sorted(recorded.facts.keys() | found.facts.keys())
    return [
        _differs(
            "measure.fact_differs",
            f"{name} differs",
            name,
            str(recorded.facts.get(name)),
            str(found.facts.get(name)),
        )
        for name in names
        if recorded.facts.get(name) != found.facts.get(name)
    ]


def _differs(code: str, message: str, where: str, expected: str, found: str) -> Finding:
    return Finding(
        severity=Severity.CRITICAL, code=code, message=message, where=where, expected=expected, found=found
    )
