"""In which tablespace a restored database is to lie."""

from __future__ import annotations

from typing import Final

from ops.model.findings import Finding, Severity
from ops.sources.postgres.catalog.identifiers import literal
from ops.sources.postgres.catalog.requirements import Needs
from ops.sources.postgres.connect.session import Session
from ops.sources.postgres.restore.databases import DEFAULT_TABLESPACE

_OF_DATABASE: Final = """
SELECT t.spcname AS name FROM pg_database d JOIN pg_tablespace t ON t.oid = d.dattablespace WHERE d.datname = {name}
"""


def choose_tablespace(session: Session, target: str, needs: Needs) -> tuple[str, list[Finding]]:
    """Return the tablespace of the database that is replaced, else the source's; empty for the server's default.

    With a warning where the server has no tablespace of that name.
    """
    there = session.rows(_OF_DATABASE.format(name=literal(target)))
    wanted = str(there[0]["name"] if there else needs.database.get("tablespace") or DEFAULT_TABLESPACE)
    if wanted == DEFAULT_TABLESPACE:
        return "", []
    if wanted in _usable(session):
        return wanted, []
    message = (
        f"the database lay in tablespace {wanted}, which this server has not, or our role may not use: it comes into the"
        " default one"
    )
    return "", [
        Finding(severity=Severity.WARNING, code="restore.property_lost", message=message, where=wanted)
    ]


def missing_tablespaces(session: Session, needs: Needs) -> list[Finding]:
    """Return a warning where the server lacks tablespaces of tables or indexes: those come into the default one then."""
    there = _usable(session) if needs.tablespaces else set()
    missing = [name for name in needs.tablespaces if name not in there]
    if not missing:
        return []
    message = (
        f"this server has no tablespace {', '.join(missing)}, or our role may not use it: all tables and indexes come into"
        " the default one"
    )
    return [Finding(severity=Severity.WARNING, code="restore.property_lost", message=message)]


def _usable(session: Session) -> set[str]:
    """The tablespaces in which our role may make something."""
    rows = session.rows(
        "SELECT spcname AS name FROM pg_tablespace WHERE has_tablespace_privilege(spcname, 'CREATE')"
    )
    return {row["name"] for row in rows}
