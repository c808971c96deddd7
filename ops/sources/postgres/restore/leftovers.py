"""Databases that restores replaced and did not drop."""

from __future__ import annotations

from typing import Final

from ops.model.findings import Finding, Severity
from ops.sources.postgres.catalog.identifiers import literal, quoted
from ops.sources.postgres.connect.session import Session
from ops.sources.postgres.restore.swap import REPLACED_PREFIX

_REPLACED: Final = f"""
SELECT datname AS name, pg_get_userbyid(datdba) AS owner FROM pg_database
WHERE starts_with(datname, {literal(REPLACED_PREFIX)}) ORDER BY 1
"""


def find_replaced(session: Session) -> list[Finding]:
    """Return a warning for each database on the server that a restore has put aside: nothing else mentions them again."""
    return [_left(row["name"], row["owner"]) for row in session.rows(_REPLACED)]


def _left(name: str, owner: str) -> Finding:
    message = (
        f"database {name} (owner {owner}) was replaced by a restore and is still there: the restore is at work, was killed"
        " while it tried its safety backup, or kept it because that did not hold all of it; when it is not needed: DROP"
        f" DATABASE {quoted(name)}"
    )
    return Finding(severity=Severity.WARNING, code="postgres.replaced_left", message=message, where=name)
