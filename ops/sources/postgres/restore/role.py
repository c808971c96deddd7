"""What our role may do on the server that is loaded, and in which language that server speaks to it."""

from __future__ import annotations

from dataclasses import dataclass

from ops.sources.postgres.catalog.requirements import Needs
from ops.sources.postgres.connect.session import Session
from ops.sources.postgres.restore.databases import missing_roles


@dataclass(frozen=True, slots=True)
class Role:
    """`language`: the setting lc_messages, empty where messages are in English; `absent`: the source's roles that the
    server lacks.
    """  # noqa: D205 - one sentence

    superuser: bool = True
    language: str = ""
    absent: frozenset[str] = frozenset()


def role_of(session: Session, needs: Needs) -> Role:
    """Return the role of a session, the language in which its programs will be answered, and the roles beside it."""
    (row,) = session.rows(
        "SELECT rolsuper AS super, current_setting('lc_messages') AS language FROM pg_roles WHERE rolname = current_user"
    )
    language = str(row["language"])
    english = language.partition(".")[0] in {"", "C", "POSIX"} or language.startswith("en")
    absent = frozenset(missing_roles(session, needs))
    return Role(superuser=bool(row["super"]), language="" if english else language, absent=absent)
