"""Tables that lost most of their rows. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from ops.model.findings import Finding, Severity
from ops.model.manifest import Manifest

DROP_KEPT: Final = timedelta(days=30)
"""How long the last good backup before it stays."""
_FROM: Final = 1000
"""Rows that a table must have had before their loss is told."""
_PART: Final = 0.5


def dropped_tables(before: Mapping[str, int], after: Mapping[str, int]) -> list[str]:
    """Return the tables that had at least a thousand rows, and have less than half as many now, or are gone."""
    return [
        table
        for table, rows in sorted(before.items())
        if rows >= _FROM and after.get(table, 0) < _PART * rows
    ]


def rows_dropped(former: Manifest | None, manifest: Manifest) -> list[Finding]:
    """Return a warning for each table that lost more than half of many rows since the former backup of the same scope."""
    if former is None or former.scope != manifest.scope:
        return []
    before, after = (
        {name: table.rows for name, table in item.measures.tables.items()} for item in (former, manifest)
    )
    return [
        Finding(
            severity=Severity.WARNING,
            code="backup.rows_dropped",
            message=f"{name} had {before[name]} rows in {former.name} and has {after.get(name, 0)} now: the last good"
            f" backup before that is kept for {DROP_KEPT.days} days, unless this happens regularly",
            where=name,
            expected=str(before[name]),
            found=str(after.get(name, 0)),
        )
        for name in dropped_tables(before, after)
    ]
