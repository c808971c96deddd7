"""Questions to one database over a psql that keeps running, for servers that only a container's programs reach."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import re
import secrets
import threading
import time
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Final

from ops.errors import OpsError, SourceError, ToolError
from ops.proc import Coprocess, start_coprocess
from ops.sources.postgres.catalog.identifiers import literal
from ops.sources.postgres.connect.address import Address
from ops.sources.postgres.connect.container_errors import engine_failure, is_engine_failure, stopped_answering
from ops.sources.postgres.connect.container_exec import Engine
from ops.sources.postgres.connect.server_errors import source_error
from ops.sources.postgres.connect.session import STARTUP, Row, prepare

_CONNECT_S: Final = 30.0
_SLICE_S: Final = 5.0
_STEP_S: Final = 0.02
_WARNING: Final = "WARNING:  "
_OLDER_PSQL: Final = "invalid command \\warn"
_CANCELLED: Final = "57014"
# Nothing in here is anything to psql: no quote, no backslash, no :variable, no comment.
_HARMLESS: Final = re.compile(r"[A-Za-z0-9_ ,=]+")
_FIRST_WORD: Final = re.compile(r"(?:\s|\(|--[^\n]*\n|/\*.*?\*/)*(\w+)", re.DOTALL)
_WRAPPABLE: Final = frozenset(("select", "values", "table", "with"))
_REFUSALS: Final = (
    "authentication failed",
    "no password supplied",
    "no pg_hba.conf entry",
    "does not exist",
    "is not permitted to log in",
    "permission denied for database",
    "too many",
    "remaining connection slots",
    "not currently accepting connections",
)


class PsqlSession:
    """A Session over psql: one statement at a time, its rows as JSON, its error by SQLSTATE.

    Values are those of JSON: whole numbers as int, others as Decimal, times as ISO 8601 text.
    """

    def __init__(self, dialogue: Coprocess, engine: Engine, mark: str) -> None:
        self._dialogue = dialogue
        self._engine = engine
        self._mark = mark
        self._marker = secrets.token_hex(8)
        self._lock = threading.Lock()
        self._cancelled = threading.Event()
        self._version = 0
        self.busy = False

    @property
    def version(self) -> int:
        """As the server says it."""
        if not self._version:
            self._version = int(self._ask(["SHOW server_version_num;"]))
        return self._version

    def rows(self, sql: str) -> list[Row]:
        """All rows of one statement."""
        found = _FIRST_WORD.match(sql)
        if found is None or found[1].lower() not in _WRAPPABLE:
            return self._plain_rows(sql)
        inner = sql.strip().rstrip("; \n\t")
        # The line end: what stands before it may be a comment. The asterisk: no column can be meant.
        wrapped = f"SELECT row_to_json(found.*) FROM (\n{inner}\n) AS found"
        lines = self._ask(_commands(wrapped)).split("\n")
        return [json.loads(line, parse_float=Decimal) for line in lines if line]

    def run(self, sql: str) -> None:
        """Execute statements without a result."""
        self._ask(_commands(sql))

    @property
    def warnings(self) -> Sequence[str]:
        """All warnings so far, by psql's standard error; of a server that speaks another language none."""
        end = f"{self._marker} heard {secrets.token_hex(4)}"
        # Before 13 psql does not know this command, and says so with its name at the same place.
        with self._lock:
            self._dialogue.send(f"\\warn {end}\n\\echo {end}\n")
            self._dialogue.read_until(end, _CONNECT_S)
        deadline = time.monotonic() + _SLICE_S
        while True:
            # The two outputs of a program in a container arrive each in its own time.
            errors = self._dialogue.errors()
            if end in errors or _OLDER_PSQL in errors:
                break
            if time.monotonic() > deadline:
                return [
                    f"what the server warned of could not be read from container {self._engine.container!r}"
                ]
            time.sleep(_STEP_S)
        return [line.removeprefix(_WARNING) for line in errors.splitlines() if line.startswith(_WARNING)]

    def cancel(self) -> None:
        """End the statement that runs now, and psql with it: the session is over."""
        self._cancelled.set()
        self._engine.watch.end(self._mark)

    def greet(self) -> None:
        """Wait until psql is connected; raises the error that says why it is not."""
        marker = f"{self._marker} connected"
        try:
            self._dialogue.send(f"\\echo {marker}\n")
            self._dialogue.read_until(marker, _CONNECT_S)
        except ToolError as error:
            raise self._ended(error, "connecting") from error

    def _plain_rows(self, sql: str) -> list[Row]:
        """Of a statement that can be no part of a SELECT: every value as text, a plan in JSON as what it says."""
        nothing = f"{self._marker} null"
        before = ["\\pset format csv", "\\pset tuples_only off", f"\\pset null '{nothing}'"]
        after = ["\\pset format unaligned", "\\pset tuples_only on", "\\pset null ''"]
        text = self._ask([*before, *_commands(sql)], after)
        names, *rows = list(csv.reader(io.StringIO(text, newline=""))) or [[]]
        # A line without anything is a row whose only value is the empty text.
        return [
            {name: _plain_value(value, nothing) for name, value in zip(names, row or [""], strict=False)}
            for row in rows
        ]

    def _ask(self, commands: list[str], after: list[str] | None = None) -> str:
        """What psql prints for the commands; raises SourceError when the last of them that ran failed."""
        over, said = f"{self._marker} over", f"{self._marker} said"
        state = [f"\\echo {over}", "\\echo :ERROR :SQLSTATE", "\\echo :LAST_ERROR_MESSAGE"]
        text = "\n".join([*commands, *state, *(after or []), f"\\echo {said}", ""])
        with self._lock:
            self.busy = True
            try:
                self._dialogue.send(text)
                answer = self._read(over)
                failed, _, message = self._read(said).partition("\n")
            except ToolError as error:
                raise self._ended(error, "in the middle of a question") from error
            self.busy = False
        if failed.startswith("true "):
            raise source_error(failed.removeprefix("true "), " ".join(message.split()))
        if not failed.startswith("false "):
            raise ToolError(
                f"psql in container {self._engine.container!r} is too old: 11 or newer is needed",
                code="tool.too_old",
            )
        return answer

    def _read(self, marker: str) -> str:
        # A statement may take hours. One that was cancelled ends, or its container does not answer any more.
        while True:
            began = time.monotonic()
            try:
                return self._dialogue.read_until(marker, _SLICE_S)
            except ToolError:
                if self._cancelled.is_set() or time.monotonic() - began < _SLICE_S / 2:
                    raise

    def _ended(self, error: ToolError, step: str) -> OpsError:
        if self._cancelled.is_set():
            return source_error(_CANCELLED, "canceling statement due to user request")
        said = error.message.partition(": ")[2]
        if "psql: error: " not in said:
            if is_engine_failure(0, said):
                return engine_failure(self._engine.container, step, said)
            return stopped_answering(self._engine.container, step, said)
        return _not_connected(self._engine.container, said)


def _plain_value(value: str, nothing: str) -> object:
    if value == nothing:
        return None
    try:
        plan = json.loads(value, parse_float=Decimal)
    except ValueError:
        return value
    return plan if isinstance(plan, list) else value


def _commands(sql: str) -> list[str]:
    """Lines that have psql send exactly `sql` to the server.

    psql reads backslashes and :variables in what it is given, except in quotes. So a statement travels as the
    quoted value of a setting, and psql executes what SHOW returns of it. Neither SET nor SHOW takes a snapshot.
    Source: https://www.postgresql.org/docs/current/app-psql.html (gexec; SQL interpolation)
    """
    if _HARMLESS.fullmatch(sql):
        return [f"{sql};"]
    if "\0" in sql:
        raise source_error("22021", "a statement cannot hold the character NUL")
    return [
        f"SET drillbook.statement = {literal(sql)};",
        # Else what an earlier SET left behind would be executed.
        "\\if :ERROR",
        "\\else",
        "SHOW drillbook.statement \\gexec",
        "\\endif",
    ]


def _not_connected(container: str, said: str) -> SourceError:
    text = " ".join(said.partition("psql: error: ")[2].split())
    message = f"container {container!r}: {text}"
    if any(words in text for words in _REFUSALS):
        hint = 'name a role and a database of that server: dsn = "user=postgres dbname=shop"; password_file where one is needed'
        return SourceError(message, code="source.refused", hint=hint)
    hint = f"the container runs, the server in it does not answer: see `docker logs {container}`; is it starting?"
    return SourceError(message, code="source.unreachable", hint=hint)


@contextlib.contextmanager
def open_psql(engine: Engine, address: Address) -> Iterator[PsqlSession]:
    """A session of its own in the container, with values in their portable text form.

    Raises SourceError (`source.unreachable`, `source.refused`, `source.missing`) when it cannot be had.
    """
    mark = engine.watch.new_mark()
    values = dict(address.parameters)
    target = address.with_options(STARTUP).with_parameters(
        connect_timeout=values.get("connect_timeout", "10"),
        client_encoding="UTF8",
        application_name=mark,
    )
    flags = ("--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--no-password")
    argv, environment = engine.call("psql", *flags, f"--dbname={target.conninfo}")
    with start_coprocess(argv, environment=environment, folder=Path.cwd()) as dialogue:
        session = PsqlSession(dialogue, engine, mark)
        try:
            session.greet()
            prepare(session)
            yield session
        finally:
            if session.busy:
                engine.watch.end(mark)
