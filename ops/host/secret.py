"""Secrets: read where they are used, from where the operator keeps them, and never shown."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ops.errors import ConfigError
from ops.proc import ask_program

_COMMAND_TIMEOUT_S: Final = 60
_USUAL_VARIABLE: Final = re.compile(r"[A-Z_][A-Z0-9_]{0,63}")
_OF_LIBRARIES: Final = frozenset({
    "AWS_BEARER_TOKEN_BEDROCK", "AWS_CONTAINER_AUTHORIZATION_TOKEN", "AWS_SECRET_ACCESS_KEY", "AWS_SECURITY_TOKEN",
    "AWS_SESSION_TOKEN", "PGPASSWORD",
})  # fmt: skip
"""Variables with secrets that boto3 and libpq look for by themselves."""
_OF_CONFIGURATION: Final = set[str]()


def remember_variable(name: str) -> None:
    """Count the variable of that name among those that hold secrets, for the rest of this process."""
    _OF_CONFIGURATION.add(name)


def without_secrets(environ: Mapping[str, str], own: str | None = None) -> dict[str, str]:
    """`environ` without the secrets that are known to be in it, but with the variable `own`.

    Known are those of boto3 and libpq, and every one that the configuration names with a key `X_env`.
    """
    secret = (_OF_LIBRARIES | _OF_CONFIGURATION) - {own}
    return {name: value for name, value in environ.items() if name not in secret}


@dataclass(frozen=True, slots=True)
class Secret:
    """Where one secret is: a variable's name, a file, or a program that prints it; at most one of them."""

    name: str
    env: str | None = None
    file: Path | None = None
    command: tuple[str, ...] | None = None
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False, compare=False)

    def read(self) -> str | None:
        """The secret without its final line end; None when none is configured.

        Raises ConfigError (`config.secret_unavailable`) when it is configured and cannot be had.
        """
        if self.env is not None:
            return self._from_environment(self.env)
        if self.file is not None:
            return self._from_file(self.file)
        return self._from_command(self.command) if self.command else None

    def _from_environment(self, name: str) -> str:
        if name not in self.environ:
            # Whoever mistook the key may have written the secret itself there.
            shown = name if _USUAL_VARIABLE.fullmatch(name) else "variable of the name that is configured"
            raise self._unavailable(f"the environment has no {shown}")
        return self.environ[name]

    def _from_file(self, path: Path) -> str:
        try:
            return _one_line(path.read_text("utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "not UTF-8 text"
            raise self._unavailable(f"{path}: {why}") from error

    def _from_command(self, command: tuple[str, ...]) -> str:
        answer = ask_program(
            command, timeout_s=_COMMAND_TIMEOUT_S, environment=self.environ, folder=Path.cwd()
        )
        if answer.exit_code is None:
            raise self._unavailable(
                f"{command[0]} did not end in {_COMMAND_TIMEOUT_S} s, or printed too much"
            )
        if answer.exit_code != 0:
            raise self._unavailable(f"{command[0]} ended with exit code {answer.exit_code}")
        try:
            return _one_line(answer.printed.decode("utf-8"))
        except UnicodeDecodeError as error:
            raise self._unavailable(f"{command[0]} did not print UTF-8 text") from error

    def _unavailable(self, why: str) -> ConfigError:
        message = f"the {self.name} cannot be read: {why}"
        return ConfigError(message, code="config.secret_unavailable", hint="see docs: secrets")


def _one_line(text: str) -> str:
    return text.removesuffix("\n").removesuffix("\r")
