"""What an operator should know of a dump, asked of the catalogs and of what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ops.model.findings import Finding, Severity
from ops.model.manifest import TableMeasure
from ops.sources.postgres.connect.session import Session
from ops.sources.postgres.options import PostgresOptions

_MAPPINGS: Final = """
SELECT count(*) AS n FROM pg_user_mappings u WHERE EXISTS (SELECT FROM unnest(u.umoptions) o WHERE o ILIKE 'password=%')
"""
_MAY_READ: Final = "SELECT has_column_privilege('pg_subscription', 'subconninfo', 'SELECT') AS may"
_SUBSCRIPTIONS: Final = """
SELECT count(*) AS n FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid
WHERE d.datname = current_database() AND s.subconninfo ~* 'password\\s*='
"""


def find_passwords(session: Session) -> list[Finding]:
    """Return a finding where the archive will hold passwords in clear: those of user mappings and subscriptions."""
    counts = {"user mappings": int(session.rows(_MAPPINGS)[0]["n"])}
    if session.rows(_MAY_READ)[0]["may"]:
        counts["subscriptions"] = int(session.rows(_SUBSCRIPTIONS)[0]["n"])
    found = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    if not found:
        return []
    message = f"the archive holds passwords as they are ({found}): whoever reads the store reads them, unless it is encrypted"
    return [Finding(severity=Severity.OK, code="postgres.password_inside", message=message)]


def find_empty_tenant(options: PostgresOptions, tables: Mapping[str, TableMeasure]) -> list[Finding]:
    """Return a warning where no table has a row of the tenant that was asked for."""
    if options.scope != "tenant" or options.counts == "estimated":
        return []
    if any(measure.rows for measure in tables.values()):
        return []
    message = (
        f"no table has a row with {options.tenant_column} = {options.tenant}: the backup holds no rows at all"
    )
    return [Finding(severity=Severity.WARNING, code="postgres.tenant_empty", message=message)]
