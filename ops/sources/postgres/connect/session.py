"""Questions to one database, over psycopg."""

from __future__ import annotations

import contextlib
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

from ops.errors import ToolError
from ops.host.network import require_allowed
from ops.sources.postgres.connect.address import Address
from ops.sources.postgres.connect.pooler import marked, require_own_process
from ops.sources.postgres.connect.server_errors import translated_errors

if TYPE_CHECKING:
    import psycopg

# Role and database settings of the server must not end a backup: startup options stand above them.
_STARTUP: Final = ("statement_timeout", "idle_in_transaction_session_timeout")
STARTUP: Final = " ".join(f"-c {name}=0" for name in (*_STARTUP, "lock_timeout"))
ENGLISH: Final = "-c lc_messages=C"
"""The startup option for messages in English. A server refuses it to those who are no superusers."""
# Settings that decide how values look as text; digests depend on them.
_TEXT_FORM: Final = {
    "search_path": "''",
    "row_security": "off",
    "datestyle": "ISO",
    "intervalstyle": "postgres",
    "timezone": "'UTC'",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "lc_monetary": "'C'",
    "standard_conforming_strings": "on",
    "xmlbinary": "base64",
    "quote_all_identifiers": "off",
    "jit": "off",
}
_ESCAPED: Final = re.compile(r"([\\\s])")
_CANCEL_S: Final = 5.0
PATIENCE_S: Final = 60.0
"""How long a session waits for a lock that somebody else holds, unless it is told otherwise."""
_NEWER: Final = {140000: {"idle_session_timeout": "0"}, 170000: {"transaction_timeout": "0"}}

Row = dict[str, Any]


def startup_options(settings: Mapping[str, str]) -> str:
    """Return settings as the options with which a session starts.

    Source: https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNECT-OPTIONS
    """
    values = ((name, _ESCAPED.sub(r"\\\1", value)) for name, value in settings.items())
    return " ".join(f"-c {name}={value}" for name, value in values)


class Session(Protocol):
    """A connection in which every statement commits by itself, unless a transaction was begun."""

    @property
    def version(self) -> int:
        """The server's version as a number, like 170010."""

    def rows(self, sql: str) -> list[Row]:
        """The rows of one statement, by column; raises SourceError, as `run` does."""

    def run(self, sql: str) -> None:
        """Execute statements without a result."""

    def cancel(self) -> None:
        """From another thread: have what runs now end with an error soon."""

    @property
    def warnings(self) -> Sequence[str]:
        """What the server warned of in this session, as far as that can be heard."""


class DriverSession:
    """A Session over psycopg."""

    def __init__(self, connection: psycopg.Connection[Row]) -> None:
        self._connection = connection
        self._warnings: list[str] = []
        connection.add_notice_handler(self._hear)

    def _hear(self, notice: psycopg.errors.Diagnostic) -> None:
        if notice.severity_nonlocalized == "WARNING":
            self._warnings.append(notice.message_primary or "")

    @property
    def warnings(self) -> Sequence[str]:
        """All warnings so far."""
        return self._warnings

    @property
    def version(self) -> int:
        """As libpq reports it."""
        return self._connection.info.server_version

    def rows(self, sql: str) -> list[Row]:
        """All rows of one statement."""
        with translated_errors():
            return self._connection.execute(sql.encode()).fetchall()

    def run(self, sql: str) -> None:
        """Execute statements without a result."""
        with translated_errors():
            self._connection.execute(sql.encode())

    def cancel(self) -> None:
        """Ask the server to cancel the statement that runs now; a server that cannot be reached is left alone."""
        self._connection.cancel_safe(timeout=_CANCEL_S)


@contextlib.contextmanager
def open_session(
    address: Address, password: str | None, *, patience_s: float = PATIENCE_S
) -> Iterator[DriverSession]:
    """A session that nothing but us ends, with values in their portable text form.

    Raises SourceError (`source.unreachable`, `source.refused`) when it cannot be had, ToolError when the
    driver is not installed, or the server is another machine and `--no-network` was given.
    """
    try:
        import psycopg
        from psycopg.rows import dict_row
    except ImportError as error:
        hint = "install it with: pip install 'drillbook[postgres]'"
        raise ToolError("the PostgreSQL driver is not installed", code="tool.missing", hint=hint) from error
    require_allowed(address.hosts(), address.location)
    values = dict(address.parameters)
    extra = {"connect_timeout": values.get("connect_timeout", "10"), "application_name": "drillbook"}
    # Names come as UTF-8 whatever the database's encoding is; one without encoding (SQL_ASCII) must hold UTF-8 names.
    extra["client_encoding"] = "UTF8"
    token = secrets.token_hex(8)
    options = f"{STARTUP} {marked(token)}"
    conninfo = address.lasting.with_options(options).with_parameters(**extra).conninfo

    def connect() -> psycopg.Connection[Row]:
        return psycopg.connect(
            conninfo, password=password, autocommit=True, row_factory=dict_row, prepare_threshold=None
        )

    with translated_errors(address.location):
        connection = connect()
    with contextlib.closing(connection):
        session = DriverSession(connection)
        with translated_errors(address.location):
            heard = require_own_process(connection, token, connect, address.location)
        prepare(session, patience_s=patience_s)
        if not heard:
            for name in _STARTUP:
                session.run(f"SET {name} = 0")
        yield session


def prepare(session: Session, *, patience_s: float = PATIENCE_S) -> None:
    """Give a session its portable text form, take away the time limits of newer servers, and bound its waiting.

    A superuser is answered in English as well: messages are read here. Even a look at a table's size waits for a lock on it.
    """
    session.run(f"SET lock_timeout = {max(1, round(patience_s * 1000))}")
    for statement in text_form():
        session.run(statement)
    session.run(
        "SELECT set_config('lc_messages', 'C', false) FROM pg_roles WHERE rolname = current_user AND rolsuper"
    )
    for version, settings in _NEWER.items():
        if session.version >= version:
            for name, value in settings.items():
                session.run(f"SET {name} = {value}")


def text_form() -> list[str]:
    """The statements that give a session the portable text form in which digests are computed."""
    return [f"SET {name} = {value}" for name, value in _TEXT_FORM.items()]
