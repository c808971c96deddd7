"""The demo's pet shop: a PostgreSQL database that psql builds from the SQL files in `fixtures/demo/petshop`.

This module only says what psql is to be given; starting it is the caller's business.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from ops.demo.texts import fixtures_folder
from ops.errors import ConfigError

DATABASE: Final = "petshop_db"
ROLES: Final = ("petshop_app", "petshop_leitura")
"""Made by the build where they are missing; the first owns the database and all that is in it."""

LARGEST_SCALE: Final = 5000
LAST_DAY: Final = date(2026, 1, 31)
_FIRST_CENTURY_DAY: Final = date(2000, 1, 1)
_LAST_CENTURY_DAY: Final = date(2099, 12, 31)
_FILES: Final = (
    "schema.sql",
    "schema-sales.sql",
    "lists.sql",
    "people.sql",
    "sales.sql",
    "constraints.sql",
)
_CHECKS: Final = "checks.sql"
_CONFIG: Final = "source.toml"
_CHECK: Final = re.compile(r"^-- check: (\w+)\n(.*?);$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class PetshopScript:
    """What builds one pet shop: SQL files in the order they are run, and the psql variables they read."""

    files: tuple[Path, ...]
    variables: dict[str, str]

    def psql_arguments(self) -> tuple[str, ...]:
        """The arguments that make psql build all of it or, when anything goes wrong, nothing.

        Host, port, user and database are the caller's to add: a superuser and an empty UTF-8 database.
        """
        return (
            "--no-psqlrc",
            "--quiet",
            "--single-transaction",
            "--output=/dev/null",
            "--set=ON_ERROR_STOP=1",
            *(f"--set={name}={value}" for name, value in self.variables.items()),
            *(f"--file={path}" for path in self.files),
        )


def petshop_script(*, scale: int = 1, until: date = LAST_DAY) -> PetshopScript:
    """How to build the shop: `scale` 1 makes about 7,800 rows, each further step some 6,300 more.

    Its last day of business is `until`, its first the first of a month eleven months before. Equal arguments
    give equal rows on every version of PostgreSQL from 12. Raises ConfigError (`usage.bad_value`) when
    `scale` is not from 1 to 5000 or `until` is not in this century, and when the demo's files are missing.
    """
    if not 1 <= scale <= LARGEST_SCALE:
        message = f"scale is {scale}; the pet shop can be built from 1 to {LARGEST_SCALE}"
        raise ConfigError(message, code="usage.bad_value", hint="1 fits a demo, 1400 makes 1.2 GiB")
    if not _FIRST_CENTURY_DAY <= until <= _LAST_CENTURY_DAY:
        message = f"until is {until}; the pet shop's last day must be from 2000 to 2099"
        raise ConfigError(message, code="usage.bad_value", hint=f"leave it out for {LAST_DAY}")
    folder = _folder()
    variables = {"scale": str(scale), "until": until.isoformat()}
    return PetshopScript(tuple(folder / name for name in _FILES), variables)


def petshop_checks() -> dict[str, str]:
    """What is always true of the shop: a name and a query for each; a sound shop answers with no row.

    Raises ConfigError (`demo.fixtures_missing`) when the demo's files are missing.
    """
    text = (_folder() / _CHECKS).read_text(encoding="utf-8")
    return {found[1]: found[2] for found in _CHECK.finditer(text)}


def petshop_config() -> bytes:
    """The table of the pet shop for the demo's `ops.toml`, which lies beside the cluster.

    Raises ConfigError (`demo.fixtures_missing`) when the demo's files are missing.
    """
    return (_folder() / _CONFIG).read_bytes()


def _folder() -> Path:
    folder = fixtures_folder() / "petshop"
    missing = [name for name in (*_FILES, _CHECKS, _CONFIG) if not (folder / name).is_file()]
    if missing:
        message = f"the pet shop's {', '.join(missing)} cannot be found in {folder}"
        hint = "install Drillbook again from its wheel, or work in a checkout of its repository"
        raise ConfigError(message, code="demo.fixtures_missing", hint=hint)
    return folder
