"""Putting a restored database in the place of a live one, without a moment in which neither is there.

The new database is complete, checked and measured under a name of its own before the old one is touched. Then, in
ONE transaction, the old one gets another name and the new one its name. RENAME locks the database against new
sessions first and waits for the others to be gone; a second session of ours ends those meanwhile. Nothing like
ALLOW_CONNECTIONS is ever changed, so there is nothing that a crash could leave behind: killed at any moment, the
name means the old database or the new one, whole, and open to everybody.
Source: src/backend/commands/dbcommands.c, RenameDatabase

The old database is dropped only when it measures exactly as its safety backup, and that was restored meanwhile into a
temporary place: what was committed in between would be in no backup, and what cannot be restored is none. Else it is kept
under its other name. The service is back before that is looked at.
"""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from ops.errors import OpsError, RefusedError, SourceError
from ops.model.compare_measures import compare_measures
from ops.model.findings import Finding, Severity, worst
from ops.model.manifest import Measures
from ops.model.requests import KeptTarget
from ops.sources.postgres.catalog.identifiers import literal, quoted
from ops.sources.postgres.catalog.requirements import describe_database, needs_of
from ops.sources.postgres.connect.route import Route
from ops.sources.postgres.connect.session import Session
from ops.sources.postgres.drill.copy import PostgresCopy
from ops.sources.postgres.measure.check import Recorded
from ops.sources.postgres.measure.extension_rows import check_extension_rows
from ops.sources.postgres.restore.databases import administration, drop_database, new_name
from ops.sources.postgres.restore.prerequisites import ended_sessions

REPLACED_PREFIX: Final = "drillbook_replaced_"
_ATTEMPTS: Final = 3
_EVERY_S: Final = 0.1
_ACL: Final = re.compile(r'(?P<role>"(?:[^"]|"")*"|[^=]*)=(?P<rights>[A-Za-z*]*)/')
_NAME_LISTS: Final = (
    "search_path", "temp_tablespaces", "session_preload_libraries", "local_preload_libraries",
)  # fmt: skip
_RIGHTS: Final = {"C": "CREATE", "T": "TEMPORARY", "c": "CONNECT"}
_OTHERS: Final = """
SELECT a.pid, a.usename AS user, a.application_name AS application, a.client_addr::text AS client
FROM pg_stat_activity a WHERE a.datname = {name} AND a.pid <> pg_backend_pid()
"""


@dataclass(frozen=True, slots=True)
class BuiltCopy(PostgresCopy):
    """A copy that was built beside its target; `release` closes our own session in it."""

    held: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def release(self) -> None:
        """Let go, so that the database can be renamed."""
        self.held.close()


def swap_database(built: BuiltCopy, target: Route, kept: KeptTarget, *, exists: bool) -> list[Finding]:
    """Give the built database the target's name, its owner, settings and rights; see the module's text.

    Raises RefusedError when the old one's sessions cannot be ended; then nothing has changed.
    """
    name, beside = target.address.database, built.route.address.database
    recorded = _properties_of(target) if exists else dict(built.recorded.needs.database)
    built.release()
    with administration(target) as session:
        findings = _give_properties(session, beside, recorded, built)
        if not exists:
            session.run(f"ALTER DATABASE {quoted(beside)} RENAME TO {quoted(name)}")
            return findings
        aside = kept.damaged or new_name(REPLACED_PREFIX)
        findings += _swap(session, target, beside, aside)
    if kept.damaged is not None:
        return findings
    return findings + _discard(target, aside, kept)


def _properties_of(target: Route) -> dict[str, Any]:
    with target.session() as session:
        return describe_database(session)


def _give_properties(
    session: Session, name: str, recorded: Mapping[str, Any], built: BuiltCopy
) -> list[Finding]:
    """Owner, settings, limit, comment and rights; what cannot be given is a warning."""
    database, findings = quoted(name), []
    # First the owner: the rights that belong to it follow it.
    statements = (
        [f"ALTER DATABASE {database} OWNER TO {quoted(recorded['owner'])}"] if built.recorded.owners else []
    )
    statements.append(f"ALTER DATABASE {database} CONNECTION LIMIT {int(recorded['connection_limit'])}")
    statements += [_setting(f"DATABASE {database}", item) for item in recorded["settings"]]
    if built.recorded.owners:
        statements += [
            _setting(f"ROLE {quoted(role)} IN DATABASE {database}", item)
            for role, item in recorded.get("role_settings", [])
        ]
    if recorded.get("comment"):
        statements.append(f"COMMENT ON DATABASE {database} IS {literal(recorded['comment'])}")
    statements += _grants(database, recorded["acl"])
    for statement in statements:
        try:
            session.run(statement)
        except SourceError as error:
            message = f"a property of the database could not be given back: {error.message}"
            findings.append(
                Finding(
                    severity=Severity.WARNING, code="restore.property_lost", message=message, where=statement
                )
            )
    return findings


def _setting(subject: str, item: str) -> str:
    setting, _, value = item.partition("=")
    # Lists of names are stored as they are written in SQL; all else needs quotes.
    written = value if setting in _NAME_LISTS else literal(value)
    return f"ALTER {subject} SET {quoted(setting)} = {written or literal('')}"


def _grants(database: str, acl: Sequence[str]) -> list[str]:
    """The rights as statements; without any recorded, the server's default: everybody may connect."""
    if not acl:
        return [f"GRANT CONNECT, TEMPORARY ON DATABASE {database} TO PUBLIC"]
    statements = []
    for item in acl:
        match = _ACL.match(item)
        if match is None:
            continue
        name = match["role"]
        name = name[1:-1].replace('""', '"') if name.startswith('"') else name
        role = quoted(name) if name else "PUBLIC"
        for letter, right in _RIGHTS.items():
            if letter in match["rights"]:
                option = " WITH GRANT OPTION" if f"{letter}*" in match["rights"] else ""
                statements.append(f"GRANT {right} ON DATABASE {database} TO {role}{option}")
    return statements


def _swap(session: Session, target: Route, beside: str, aside: str) -> list[Finding]:
    name = target.address.database
    swap = (
        f"BEGIN; ALTER DATABASE {quoted(name)} RENAME TO {quoted(aside)};"
        f" ALTER DATABASE {quoted(beside)} RENAME TO {quoted(name)}; COMMIT"
    )
    for attempt in range(1, _ATTEMPTS + 1):
        with _ending_sessions(target) as ended:
            try:
                session.run(swap)
            except SourceError as error:
                with contextlib.suppress(OpsError):
                    session.run("ROLLBACK")
                if attempt == _ATTEMPTS:
                    raise _still_used(session, name, error) from error
                continue
        return ended_sessions(list(ended.values()))
    raise AssertionError  # pragma: no cover - the loop returns or raises


def _still_used(session: Session, name: str, error: SourceError) -> RefusedError:
    rows = session.rows(_OTHERS.format(name=literal(name)))
    who = ", ".join(f"{row['user']} (process {row['pid']}, {row['application']})" for row in rows)
    message = f"database {name} could not be replaced: {who or error.message}"
    hint = "it is as it was; end these sessions (runbook: Database is being accessed by other users), run it again"
    return RefusedError(message, code="refused.target_in_use", hint=hint)


@contextlib.contextmanager
def _ending_sessions(target: Route) -> Iterator[dict[int, dict[str, Any]]]:
    """While the block runs, every session in the target is ended; afterwards, which they were, by process id."""
    name, stop, ended = target.address.database, threading.Event(), {}
    with administration(target) as session:

        def end_all() -> None:
            while not stop.is_set():
                with contextlib.suppress(OpsError):
                    for row in session.rows(_OTHERS.format(name=literal(name))):
                        ended[row["pid"]] = row
                        session.rows(f"SELECT pg_terminate_backend({row['pid']}) AS done")
                stop.wait(_EVERY_S)

        thread = threading.Thread(target=end_all, name="end sessions", daemon=True)
        thread.start()
        try:
            yield ended
        finally:
            stop.set()
            thread.join()


def _written_to(old: Route, recorded: Recorded, measures: Measures) -> bool:
    """Whether it is another than it was when its safety backup was made."""
    differs = compare_measures(measures, PostgresCopy(old, recorded).measure(measures))
    with old.session() as session:
        differs += check_extension_rows(session, recorded.needs.extension_rows)
    return worst(differs) is Severity.CRITICAL


def _discard(target: Route, aside: str, kept: KeptTarget) -> list[Finding]:
    """Drop the old database when its safety backup holds all of it; keep it, and say so, when it does not."""
    old = target.to(aside)
    reason = "it could not be compared with its safety backup"
    try:
        if kept.safety is not None:
            recorded = Recorded(needs_of(kept.safety.extra), (), kept.safety.scope)
            if _written_to(old, recorded, kept.safety.measures):
                reason = "it was written to after its safety backup"
            elif doubt := kept.doubt():
                reason = f"its safety backup was not restored for a trial: {doubt}"
            else:
                with administration(target) as session:
                    drop_database(session, aside)
                return []
    except OpsError as error:
        reason = f"{reason} ({error.message})"
    name = target.address.database
    message = f"the replaced database is kept as {aside}: {reason}"
    hint = (
        f"to go back to it: ALTER DATABASE {quoted(name)} RENAME TO {quoted(f'{name}_restored')};"
        f" ALTER DATABASE {quoted(aside)} RENAME TO {quoted(name)}; when it is not needed: DROP DATABASE {quoted(aside)}"
    )
    return [
        Finding(
            severity=Severity.WARNING,
            code="restore.replaced_kept",
            message=f"{message}; {hint}",
            where=aside,
        )
    ]
