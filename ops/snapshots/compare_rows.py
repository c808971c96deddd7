"""A restored snapshot against the rows that its source has now."""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import replace
from pathlib import Path

from ops.driverkit.row_digest import Value, add_sums, sum_rows
from ops.errors import ConfigError
from ops.model.findings import Finding, Severity
from ops.snapshots.compare_checksums import critical
from ops.snapshots.definition import Definition
from ops.snapshots.table import Live, Selected, selected_rows
from ops.snapshots.temporary_database import TABLE, Loaded
from ops.sources.sqlite.schema import quoted


def compare_source(definition: Definition, live: Live, loaded: Loaded, database: Path, name: str) -> Finding:
    """Whether the source has the same rows now, as numbers and texts: 1 and 1.0 are alike here.

    Raises SourceError, SnapshotError as a create does, ConfigError when the snapshot does not say which rows it is of.
    """
    ticker = _only_ticker(definition, loaded, database)
    with selected_rows(live, replace(definition, suffix=""), ticker) as there:
        if there.columns != loaded.columns:
            expected, found = ", ".join(there.columns), ", ".join(loaded.columns)
            return critical(
                "snapshot.source_differs",
                "the source has other columns",
                name,
                expected=expected,
                found=found,
            )
        expected_rows, expected_sum = _plain_sum(there)
    everything = Definition(name=TABLE, table=TABLE, columns=loaded.columns)
    with selected_rows(Live(path=database, timeout_s=0), everything, None) as here:
        found_rows, found_sum = _plain_sum(here)
    if (expected_rows, expected_sum) != (found_rows, found_sum):
        what = "other rows" if expected_rows != found_rows else "the same number of rows, with other content"
        return critical(
            "snapshot.source_differs",
            f"the source has {what} now",
            name,
            expected=f"{expected_rows} rows",
            found=f"{found_rows} rows",
        )
    message = f"the source has the same {found_rows} rows now"
    return Finding(severity=Severity.OK, code="snapshot.source_equal", message=message)


def _plain_sum(selected: Selected) -> tuple[int, int]:
    count, sums = 0, []
    for batch in selected.rows():
        count += len(batch)
        sums.append(sum_rows([tuple(map(_plain, row)) for row in batch]))
    return count, add_sums(sums)


def _plain(value: Value) -> Value:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _only_ticker(definition: Definition, loaded: Loaded, database: Path) -> str | None:
    """The one value of the key column that all rows have; None: the snapshot is of the whole table."""
    if definition.key is None:
        return None
    if definition.key not in loaded.columns:
        message = (
            f"the snapshot has no column {definition.key!r}, so the source cannot be asked for the same rows"
        )
        raise ConfigError(message, code="usage.bad_value", hint="leave --source away")
    with contextlib.closing(sqlite3.connect(database)) as connection:
        values = connection.execute(
            f"SELECT DISTINCT {quoted(definition.key)} FROM {TABLE} LIMIT 2"  # noqa: S608 - a quoted name
        ).fetchall()
    return str(values[0][0]) if len(values) == 1 else None
