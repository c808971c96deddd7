"""Secrets: read where they are used, from where the operator keeps them, and never shown."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ops.errors import ConfigError
from ops.proc import run_program

_COMMAND_TIMEOUT_S: Final = 60


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

        Raises ConfigError (`config.secret_unavailable`) when it is configured and can not be had.
        """
        if self.env is not None:
            return self._from_environment(self.env)
        if self.file is not None:
            return self._from_file(self.file)
        return self._from_command(self.command) if self.command else None

    def _from_environment(self, name: str) -> str:
        if name not in self.environ:
            raise self._unavailable(f"the environment has no {name}")
        return self.environ[name]

    def _from_file(self, path: Path) -> str:
        try:
            return _one_line(path.read_text("utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "not UTF-8 text"
            raise self._unavailable(f"{path}: {why}") from error

    def _from_command(self, command: tuple[str, ...]) -> str:
        # Through a file that is gone at once, private: output_tail would be shown in errors.
        with tempfile.TemporaryDirectory(prefix="drillbook-secret-") as folder:
            output = Path(folder) / "output"
            ended = run_program(
                command,
                timeout_s=_COMMAND_TIMEOUT_S,
                environment=self.environ,
                folder=Path.cwd(),
                stdout=output,
            )
            if ended.exit_code != 0:
                raise self._unavailable(f"{command[0]} ended with exit code {ended.exit_code}")
            try:
                return _one_line(output.read_text("utf-8"))
            except UnicodeDecodeError as error:
                raise self._unavailable(f"{command[0]} did not print UTF-8 text") from error

    def _unavailable(self, why: str) -> ConfigError:
        message = f"the {self.name} can not be read: {why}"
        return ConfigError(message, code="config.secret_unavailable", hint="see docs: secrets")


def _one_line(text: str) -> str:
    return text.removesuffix("\n").removesuffix("\r")
