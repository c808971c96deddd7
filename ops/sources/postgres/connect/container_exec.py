"""Programs inside a running container: how they are started there, and how they end when we do.

A program that `docker exec` started goes on when its client is killed. So one shell keeps watch in the container for
as long as a route is open: it is told which program to end, and when its input ends, because we are gone, it ends all
that we started. Every program is a process of the engine's own, never a child of a shell in the container: there
PostgreSQL is often process 1, inherits orphans, and takes one that does not end well for a crash of its own.
Source: https://github.com/docker-library/postgres/issues/1349
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Final

from ops.errors import ToolError
from ops.host.secret import Secret, without_secrets
from ops.proc import Coprocess, start_coprocess
from ops.sources.postgres.connect.container_errors import engine_failure

_ANSWER_S: Final = 30.0
_ENDING_S: Final = 15.0
_READY: Final = "drillbook ready"
_SWEPT: Final = "drillbook swept"
_VERSION: Final = re.compile(r"pg_dump \(PostgreSQL\) ((\d+)[\w.]*)")
_WATCH: Final = f"""
IFS= read -r token && [ -n "$token" ] || exit 0
place=
if ! command -v pg_dump >/dev/null 2>&1; then
  for folder in /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /opt/bitnami/postgresql/bin /usr/local/pgsql/bin; do
    if [ -x "$folder/pg_dump" ]; then place=$folder/; fi
  done
fi
echo "place $place"
"$place"pg_dump --version </dev/null 2>&1
for codec in lz4 zstd; do
  case $("$place"pg_dump -Fc --compress=$codec --host=/dev/null </dev/null 2>&1) in
    */dev/null*) echo "codec $codec" ;;
  esac
done
echo "{_READY}"
sweep() {{
  for signal in INT TERM TERM KILL; do
    found=
    for process in /proc/[0-9]*; do
      [ "$process" != /proc/1 ] || continue
      while IFS= read -r line || [ -n "$line" ]; do
        case $line in *"$1"*) found=1; kill -s $signal "${{process#/proc/}}" 2>/dev/null; break ;; esac
      done 2>/dev/null <"$process/cmdline"
    done
    [ -n "$found" ] || return 0
    sleep 1
  done
}}
while IFS= read -r mark; do
  case $mark in "$token"-*) sweep "$mark" ;; esac
  echo "{_SWEPT}"
done
sweep "$token"
"""


class Watch:
    """The shell that keeps watch in a container."""

    def __init__(self, dialogue: Coprocess) -> None:
        self._dialogue = dialogue
        self._token = f"drillbook-{secrets.token_hex(8)}"
        self._numbers = count(1)
        self._lock = threading.Lock()

    def begin(self) -> list[str]:
        """Start to watch; what was found out about the container's programs. Raises ToolError."""
        self._dialogue.send(f"{self._token}\n")
        return self._dialogue.read_until(_READY, _ANSWER_S).splitlines()

    def new_mark(self) -> str:
        """A text that must stand in a program's arguments, by which it is known; no other mark begins with it."""
        with self._lock:
            return f"{self._token}-{next(self._numbers):06}"

    def end(self, mark: str) -> bool:
        """End the program of that mark, if there is one; whether the container still answers.

        The shell takes no mark but one of `new_mark`: every process of the container is within its reach.
        """
        with self._lock:
            try:
                self._dialogue.send(f"{mark}\n")
                self._dialogue.read_until(_SWEPT, _ENDING_S)
            except ToolError:
                return False
        return True


@dataclass(frozen=True, slots=True)
class Engine:
    """What starts programs in one container: `command` up to the container's name, as the operator gave it."""

    container: str
    command: tuple[str, ...]
    password: Secret
    watch: Watch
    place: str = ""
    version: str = ""
    major: int = 0
    codecs: frozenset[str] = field(default_factory=frozenset)

    def call(self, program: str, *arguments: str) -> tuple[list[str], dict[str, str]]:
        """The argument list that runs a PostgreSQL program in the container, and the environment for that.

        The password is handed on by its name alone: the engine's client takes the value from its environment.
        """
        environment = _client_environment(self.password)
        options = []
        if (password := self.password.read()) is not None:
            environment["PGPASSWORD"] = password
            options = ["-e", "PGPASSWORD"]
        # LC_ALL stands above all else that decides the language of messages.
        inside = ["env", "LC_ALL=C", f"{self.place}{program}", *arguments]
        return [*self.command, *options, self.container, *inside], environment


def _client_environment(password: Secret) -> dict[str, str]:
    """All that the engine's client and a compose file may ask for, but no secret of anything else.

    The variable of the password itself stays: a compose file that makes the server may name it, too.
    """
    return without_secrets(os.environ, own=password.env)


@contextlib.contextmanager
def open_engine(container: str, command: tuple[str, ...], password: Secret) -> Iterator[Engine]:
    """The programs of a running container; whatever of them still runs at the end of the block is ended.

    Raises SourceError when there is no such container or it does not run, ToolError when the engine does not
    answer, or the container has no shell or no PostgreSQL programs.
    """
    argv = [*command, container, "sh", "-c", _WATCH]
    with start_coprocess(argv, environment=_client_environment(password), folder=Path.cwd()) as dialogue:
        watch = Watch(dialogue)
        said = translated(container, "starting a shell in it", watch.begin)
        place = next((line.removeprefix("place ") for line in said if line.startswith("place ")), "")
        found = _VERSION.search("\n".join(said))
        if found is None:
            message = f"container {container!r} has no pg_dump: {' / '.join(said[1:]) or 'nothing was found'}"
            hint = "name the container that the PostgreSQL server runs in, with its client programs on PATH"
            raise ToolError(message, code="tool.missing", hint=hint)
        codecs = {line.removeprefix("codec ") for line in said if line.startswith("codec ")}
        yield Engine(
            container, command, password, watch, place, found[1], int(found[2]), frozenset({"gzip", *codecs})
        )


def translated(container: str, step: str, action: Callable[[], list[str]]) -> list[str]:
    """What `action` gives; a ToolError of its dialogue becomes the error that says what is wrong with the container."""
    try:
        return action()
    except ToolError as error:
        raise engine_failure(container, step, error.message) from error
