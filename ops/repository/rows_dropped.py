"""Tables that lost most of their rows."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from itertools import islice, pairwise
from typing import Final

from ops.errors import OpsError
from ops.formats.encrypted_manifest import is_closed
from ops.model.findings import Finding, Severity
from ops.model.manifest import Manifest

DROP_KEPT: Final = timedelta(days=30)
"""How long the last good backup before it stays."""
_FROM: Final = 1000
"""Rows that a table must have had before their loss is told."""
_PART: Final = 0.5
_COMPARED: Final = 10
_KEPT: Final = f"the last good backup before that is kept for {DROP_KEPT.days} days"


def dropped_tables(before: Mapping[str, int], after: Mapping[str, int]) -> list[str]:
    """Return the tables that had at least a thousand rows, and have less than half as many now, or are gone."""
    return [
        table
        for table, rows in sorted(before.items())
        if rows >= _FROM and after.get(table, 0) < _PART * rows
    ]


def rows_dropped(
    read: Callable[[str], Manifest], earlier: Iterable[str], former: Manifest | None, manifest: Manifest
) -> list[Finding]:
    """Return a warning for each table that lost more than half of many rows since the former backup of the same scope.

    `earlier`: names of the backups before that, newest first, of which `read` gives the manifests. A table that lost its rows between two of them as well does
    so regularly, which is no warning.
    """
    if former is None or former.scope != manifest.scope or is_closed(former):
        return []
    before, after = _rows(former), _rows(manifest)
    dropped = dropped_tables(before, after)
    habitual = _habitual(read, earlier, former) if dropped else set()
    return [
        Finding(
            severity=Severity.OK if name in habitual else Severity.WARNING,
            code="backup.rows_dropped",
            message=f"{name} had {before[name]} rows in {former.name} and has {after.get(name, 0)} now: "
            + ("as it does regularly" if name in habitual else _KEPT),
            where=name,
            expected=str(before[name]),
            found=str(after.get(name, 0)),
        )
        for name in dropped
    ]


def _rows(manifest: Manifest) -> dict[str, int]:
    return {name: table.rows for name, table in manifest.tables.items()}


def _habitual(read: Callable[[str], Manifest], earlier: Iterable[str], former: Manifest) -> set[str]:
    """The tables that lost most of their rows before, within the last ten backups."""
    history, found = [former], set[str]()
    for name in islice(earlier, _COMPARED - 2):
        with contextlib.suppress(OpsError):
            history.append(read(name))
    same = [item for item in history if item.scope == former.scope and not is_closed(item)]
    for newer, older in pairwise(same):
        found.update(dropped_tables(_rows(older), _rows(newer)))
    return found
